//! The limit of bytes at rest: who has too much stored is told, until an operator makes room; and nobody else is.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use loglake_integration::admin::admin;
use loglake_integration::ctl::done;
use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Dev, Session, Stack, send};
use redis::Commands as _;
use serde_json::{Value, json};
use tonic_types::StatusExt as _;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many lines that no compressor makes small.
fn lines(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, _| {
        let noise: String = (0..8).map(|_| format!("{:032x}", rand::random::<u128>())).collect();
        writeln!(text, "{{\"service\":\"shop\",\"message\":\"{noise}\",\"ts\":1772323200}}").unwrap();
        text
    })
}

/// Status, `Retry-After` and body of `POST /v1/ingest`.
async fn post(url: &str, tenant: &str, body: String) -> (u16, Option<String>, Value) {
    let request = reqwest::Client::new().post(format!("{url}/v1/ingest")).header("x-scope-orgid", tenant).body(body);
    let answer = request.send().await.unwrap();
    let wait = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), wait, answer.json().await.unwrap())
}

async fn status(url: &str, tenant: &str) -> u16 {
    post(url, tenant, lines(1)).await.0
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is stored of a tenant, as operators are told.
fn stored(query: &str, tenant: &str) -> Option<u64> {
    let shown: Value = serde_json::from_str(&done(query, "", &["--json", "tenants", "limits", tenant])).unwrap();
    shown["stored_bytes"].as_u64()
}

async fn metric(url: &str, name: &str) -> f64 {
    let text = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name);
    text.lines().filter(of_name).map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

async fn count(url: &str, tenant: &str) -> u64 {
    let (_, answer) = Client::new(url).tenant(tenant).post("/v1/aggregate", "{}").await;
    answer["series"].as_array().unwrap().iter().map(|series| series["points"][0][1].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn who_has_too_much_stored_is_refused_until_there_is_room_and_nobody_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("LOGLAKE_AUTH_REFRESH", "100ms"),
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s"),
        ("LOGLAKE_METRICS_TENANTS", "10"),
    ];
    let dev = Dev::start(&folder.path().join("data"), &env).await;
    let (url, grpc, query) = (dev.ports.ingest_url(), dev.ports.grpc_url(), dev.ports.query_url());
    for tenant in ["acme", "other"] {
        done(&query, "", &["tenants", "add", tenant]);
        assert_eq!(post(&url, tenant, lines(200)).await.0, 200);
    }
    assert!(done(&query, "", &["tenants", "limits", "acme"]).contains("stored_bytes                 none   default"));
    until("both are flushed", async || ["acme", "other"].iter().all(|name| stored(&query, name) > Some(20_000))).await;
    let before = stored(&query, "acme").unwrap();

    let shown = done(&query, "", &["tenants", "limit", "acme", "--stored-bytes", "8KiB"]);
    assert!(shown.contains("8KiB   tenant   ") && shown.contains("KiB now"), "{shown}");
    let mut kept = 200;
    until("acme is refused", async || {
        let status = status(&url, "acme").await;
        kept += u64::from(status == 200);
        status == 507
    })
    .await;
    let (status_code, wait, body) = post(&url, "acme", lines(1)).await;
    let error = &body["error"];
    assert_eq!(
        (status_code, &error["code"], &error["limit"]),
        (507, &json!("quota_exceeded"), &json!(8_192)),
        "{body}"
    );
    assert!(error["actual"].as_u64() >= Some(before) && wait.as_deref() == Some("30"), "{body} {wait:?}");
    let records = || {
        let sent = Sent {
            service: "shop".to_owned(),
            timestamp_ns: 1_772_323_200_000_000_000,
            level: None,
            message: "m".to_owned(),
            trace_id: String::new(),
        };
        vec![send::wire(&sent)]
    };
    let refused = send::batch(&grpc, &[("x-scope-orgid", "acme")], records()).await.unwrap_err();
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((refused.code(), info.reason.as_str()), (tonic::Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert!(refused.get_details_retry_info().is_some());
    let mut session = Session::open(&grpc, "acme", "").await.unwrap();
    session.send(1, 1, records()).await;
    let ended = session.result().await.unwrap_err();
    assert_eq!(ended.get_details_error_info().unwrap().reason, "QUOTA_EXCEEDED", "the stream ends");
    assert_eq!(post(&url, "other", lines(10)).await.0, 200);
    assert_eq!(count(&query, "acme").await, kept, "what was refused is not there, and what is there can be read");
    let metrics = format!("http://127.0.0.1:{}", dev.ports.metrics[0]);
    assert_eq!(metric(&metrics, "loglake_ingest_storage_limit_enforced").await, 1.0);
    assert!(metric(&metrics, "loglake_ingest_tenant_stored_bytes").await >= 8_192.0);

    done(&query, "", &["tenants", "limit", "acme", "--stored-bytes", "1GiB"]);
    until("there is room", async || status(&url, "acme").await == 200).await;
    session = Session::open(&grpc, "acme", &session.token.clone()).await.unwrap();
    session.send(1, 1, records()).await;
    assert_eq!(session.result().await.unwrap().accepted, 1, "the session goes on where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_says_is_stored_is_right_again_after_it_was_lost_and_after_it_was_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s"),
        ("LOGLAKE_LIMITS_STORED_BYTES", "64KiB"),
        ("LOGLAKE_BROKER_PARTITIONS", "4"),
        ("LOGLAKE_INSECURE", "true"),
    ];
    let stack = Stack::start(folder.path(), &env);
    let mut roles = ["ingestor", "processor", "query"].map(|role| stack.role(role, role));
    for role in &mut roles {
        role.wait_ready().await;
    }
    let [ingestor, _, query] = &roles;
    for tenant in ["acme", "other"] {
        done(&query.http, "", &["tenants", "add", tenant]);
    }
    until("acme is full", async || {
        assert_eq!(status(&ingestor.http, "other").await, 200);
        post(&ingestor.http, "acme", lines(50)).await.0 == 507
    })
    .await;
    // What was on its way comes to rest.
    let mut last = stored(&query.http, "acme");
    until("all is flushed", async || {
        let flushed = admin(&["flush"], stack.env());
        assert_eq!(flushed.code, 0, "{flushed:?}");
        let now = stored(&query.http, "acme");
        now.is_some() && std::mem::replace(&mut last, now) == now
    })
    .await;
    let right = last;
    assert!(right >= Some(64 << 10), "{right:?}");
    let clean = || {
        let said = admin(&["fsck", "--json"], stack.env());
        assert_eq!((said.code, said.codes()), (0, vec![]), "{said:?}");
        said.json()["totals"]["stored_bytes"].as_u64().unwrap()
    };
    assert_eq!(Some(clean()), right.zip(stored(&query.http, "other")).map(|(acme, other)| acme + other));

    let address = format!("redis://{}", stack.redis.address());
    let mut redis = redis::Client::open(address).unwrap().get_connection().unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut redis).unwrap();
    until("the index is rebuilt", async || stored(&query.http, "acme") == right).await;
    clean();
    assert_eq!(status(&ingestor.http, "acme").await, 507);

    // A sum that somebody altered is nothing that the index can notice by itself.
    let keys: Vec<String> = redis.keys("*:b").unwrap();
    let has_acme = |key: &&String| redis::cmd("HEXISTS").arg(*key).arg("acme").query(&mut redis).unwrap();
    let key = keys.iter().find(has_acme).unwrap().clone();
    let _: () = redis.hset(&key, "acme", 7).unwrap();
    assert_eq!(stored(&query.http, "acme"), Some(7));
    let said = admin(&["fsck", "--json"], stack.env());
    assert_eq!((said.code, said.codes()), (1, vec!["index-differs".to_owned()]), "{said:?}");
    assert!(said.out.contains("stored bytes are wrong for 1 tenant(s), such as acme: it says 7"), "{said:?}");
    let mended = admin(&["fsck", "--repair", "--json"], stack.env());
    assert_eq!(mended.code, 0, "{mended:?}");
    assert_eq!(stored(&query.http, "acme"), right);
    let _: () = redis.hset(&key, "acme", 7).unwrap();
    assert_eq!(admin(&["reindex"], stack.env()).code, 0);
    assert_eq!(stored(&query.http, "acme"), right);
}
