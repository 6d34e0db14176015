//! Limits per tenant: who is over them is told, and nobody else is.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use loglake_integration::ctl::{done, loglakectl};
use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Dev, Session, Stack, send};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic_types::StatusExt as _;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn record(service: &str, n: usize) -> Sent {
    Sent {
        service: service.to_owned(),
        timestamp_ns: 1_772_323_200_000_000_000 + i64::try_from(n).unwrap(),
        level: Some("info"),
        message: format!("number {n}"),
        trace_id: String::new(),
    }
}

/// Lines of the services with these names.
fn lines(services: impl IntoIterator<Item = String>) -> String {
    services.into_iter().fold(String::new(), |mut text, service| {
        writeln!(text, "{{\"service\":\"{service}\",\"message\":\"m\",\"ts\":1772323200}}").unwrap();
        text
    })
}

fn of(service: &str, count: usize) -> String {
    lines((0..count).map(|_| service.to_owned()))
}

/// What `POST /v1/ingest` said.
struct Said {
    status: u16,
    retry_after: Option<u64>,
    body: Value,
}

async fn post(url: &str, tenant: &str, body: String) -> Said {
    let request = reqwest::Client::new().post(format!("{url}/v1/ingest")).header("x-scope-orgid", tenant).body(body);
    let answer = request.send().await.unwrap();
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    Said { status: answer.status().as_u16(), retry_after, body: answer.json().await.unwrap() }
}

/// The sum of a metric over the series that have `label`, or all.
async fn metric(url: &str, name: &str, label: &str) -> f64 {
    let text = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(label);
    text.lines().filter(of_name).map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

async fn count(url: &str, tenant: &str) -> u64 {
    let (status, answer) = Client::new(url).tenant(tenant).post("/v1/aggregate", "{}").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["series"].as_array().unwrap().iter().map(|series| series["points"][0][1].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn only_the_noisy_tenant_is_told_to_slow_down_and_the_wait_it_is_told_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let env = [("LOGLAKE_LIMITS_INGEST_RECORDS", "200"), ("LOGLAKE_LIMITS_INGEST_BURST", "1s")];
    let dev = Dev::start(&folder.path().join("data"), &env).await;
    let url = dev.ports.ingest_url();
    let (mut kept, mut refused) = (0, 0);
    let quiet = tokio::spawn({
        let url = url.clone();
        async move {
            for n in 0..40 {
                let said = post(&url, "quiet", of("shop", 1)).await;
                assert_eq!(said.status, 200, "number {n}: {}", said.body);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    while refused < 5 || !quiet.is_finished() {
        let said = post(&url, "noisy", of("shop", 50)).await;
        match said.status {
            200 => kept += 50,
            429 => {
                refused += 1;
                let error = &said.body["error"];
                assert_eq!((&error["code"], &error["limit"]), (&json!("rate_limited"), &json!(200)), "{error}");
                assert!(error["actual"].as_u64().unwrap() > 200 && said.retry_after == Some(1), "{error}");
            }
            other => panic!("{other}: {}", said.body),
        }
    }
    quiet.await.unwrap();
    // Who waits as told is let in; more than a burst never is, and is told so.
    let over = post(&url, "noisy", of("shop", 200)).await;
    if over.status == 429 {
        tokio::time::sleep(Duration::from_secs(over.retry_after.unwrap())).await;
        assert_eq!(post(&url, "noisy", of("shop", 200)).await.status, 200);
    }
    kept += 200;
    let never = post(&url, "noisy", of("shop", 201)).await;
    assert_eq!((never.status, &never.body["error"]["code"]), (413, &json!("too_large")), "{}", never.body);
    assert_eq!(never.retry_after, None);
    let grpc = loop {
        let records = (0..50).map(|n| send::wire(&record("shop", n))).collect();
        match send::batch(&dev.ports.grpc_url(), &[("x-scope-orgid", "noisy")], records).await {
            Ok(result) => kept += result.accepted,
            Err(status) => break status,
        }
    };
    assert_eq!(grpc.code(), tonic::Code::ResourceExhausted, "{grpc:?}");
    let info = grpc.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["limit"].as_str()), ("RATE_LIMITED", "200"));
    let wait = grpc.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");

    let query = dev.ports.query_url();
    assert_eq!(
        (count(&query, "noisy").await, count(&query, "quiet").await),
        (kept, 40),
        "what was refused is not there"
    );
    let metrics = format!("http://127.0.0.1:{}", dev.ports.metrics[0]);
    let limited = metric(&metrics, "loglake_ingest_limited_total", "ingest_records").await;
    assert!(limited >= 6.0, "{limited}");
}

#[tokio::test]
async fn an_operators_change_holds_without_a_restart_for_that_tenant_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_AUTH_REFRESH", "100ms")]).await;
    let (url, query) = (dev.ports.ingest_url(), dev.ports.query_url());
    let ctl = |args: &[&str]| done(&query, "", args);
    assert_eq!(loglakectl(&query, "", &["tenants", "limits", "acme"]).code, 1, "no such tenant");
    ctl(&["tenants", "add", "acme"]);
    let shown = ctl(&["tenants", "limits", "acme"]);
    assert!(shown.lines().count() == 11 && !shown.contains(" tenant"), "{shown}");
    assert_eq!(post(&url, "acme", of("shop", 100)).await.status, 200);

    let changes = ["--ingest-records", "10/s", "--ingest-burst", "1s", "--attributes", "2", "--services", "2"];
    let shown = ctl(&[&["tenants", "limit", "acme"], &changes[..]].concat());
    assert!(shown.contains("10/s   tenant") && shown.contains("1s   tenant"), "{shown}");
    assert_eq!(post(&url, "acme", of("shop", 100)).await.status, 413, "more than a burst now");
    assert_eq!(post(&url, "other", of("shop", 100)).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let wide = r#"{"service":"shop","message":"m","attributes":{"a":1,"b":2,"c":3}}"#;
    let fits = r#"{"service":"shop","message":"m","attributes":{"a":1,"b":{"x":",,,"}}}"#;
    let said = post(&url, "acme", format!("{wide}\n{fits}")).await;
    let error = &said.body["errors"][0];
    assert_eq!((said.status, &said.body["accepted"]), (200, &json!(1)), "{}", said.body);
    assert_eq!(
        (&error["code"], &error["field"], &error["limit"], &error["actual"]),
        (&json!("too_many"), &json!("attributes"), &json!(2), &json!(3))
    );
    assert_eq!(post(&url, "other", wide.to_owned()).await.body["accepted"], json!(1));

    // Back to the defaults, one by one.
    let shown = ctl(&["tenants", "limit", "acme", "--default", "ingest_records,ingest_burst_ms", "--services", "none"]);
    assert!(shown.contains("attributes                      2   tenant"), "{shown}");
    assert_eq!(post(&url, "acme", lines((0..100).map(|n| format!("s{n}")))).await.body["accepted"], json!(100));
    for wrong in [&["--attributes", "1000"][..], &["--default", "storage"], &["--ingest-burst", "none"], &[]] {
        assert_eq!(loglakectl(&query, "", &[&["tenants", "limit", "acme"], wrong].concat()).code, 1, "{wrong:?}");
    }

    // What a query may search: a count is refused, a page that got nowhere too.
    ctl(&["tenants", "limit", "acme", "--query-bytes", "100"]);
    let mut dev = dev;
    dev.process.stop().await;
    dev.restart().await;
    for (path, body) in [("/v1/query", json!({})), ("/v1/aggregate", json!({"contains": "m"}))] {
        let (status, answer) = Client::new(&query).tenant("acme").post(path, body.to_string()).await;
        let error = &answer["error"];
        assert_eq!(
            (status.as_u16(), &error["code"], &error["limit"]),
            (422, &json!("query_too_expensive"), &json!(100))
        );
        assert!(error["actual"].as_u64().unwrap() > 100, "{answer}");
        assert_eq!(Client::new(&query).tenant("other").post(path, body.to_string()).await.0, StatusCode::OK);
    }
    done(&query, "", &["tenants", "limit", "acme", "--default", "query_bytes"]);
    assert_eq!(count(&query, "acme").await, 201);
}

#[tokio::test]
async fn services_without_end_leave_the_known_ones_in() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_LIMITS_SERVICES", "100")]).await;
    let url = dev.ports.ingest_url();
    let known = || lines((0..10).map(|n| format!("known-{n}")));
    assert_eq!(post(&url, "acme", known()).await.status, 200);
    let mut let_in = 10;
    for part in 0..20 {
        let names = (0..1_000).map(|n| format!("random-{part}-{n}"));
        let said = post(&url, "acme", lines(names)).await;
        if part == 0 {
            // Some had room: they are kept, the others named.
            assert_eq!((said.status, &said.body["accepted"], &said.body["rejected"]), (200, &json!(90), &json!(910)));
            assert_eq!(said.body["errors"][0]["code"], "rate_limited");
            let_in += 90;
        } else {
            assert_eq!(said.status, 429, "{}", said.body["error"]);
            assert_eq!((&said.body["error"]["limit"], &said.body["error"]["field"]), (&json!(100), &json!("service")));
            assert!(said.retry_after.unwrap() > 3_000, "{:?}", said.retry_after);
        }
        assert_eq!(post(&url, "acme", known()).await.status, 200, "part {part}");
    }
    assert_eq!(post(&url, "other", of("random-0-999", 1)).await.status, 200);
    let (_, found) = Client::new(dev.ports.query_url()).tenant("acme").get("/v1/services").await;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["services"].as_array().unwrap().len(), let_in);
}

#[tokio::test]
async fn random_event_times_open_no_more_windows_than_the_tenant_may() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_LIMITS_WINDOWS", "20")]).await;
    let url = dev.ports.ingest_url();
    let of_hours = |hours: std::ops::Range<u64>| {
        hours.fold(String::new(), |mut text, hour| {
            let seconds = 1_700_000_000 + 3_600 * hour;
            writeln!(text, "{{\"service\":\"shop\",\"message\":\"m\",\"ts\":{seconds}}}").unwrap();
            text
        })
    };
    let said = post(&url, "acme", of_hours(0..1_000)).await;
    assert_eq!((said.status, &said.body["accepted"], &said.body["rejected"]), (200, &json!(20), &json!(980)));
    let error = &said.body["errors"][0];
    let expected = (&json!("rate_limited"), &json!("timestamp"), &json!(20));
    assert_eq!((&error["code"], &error["field"], &error["limit"]), expected, "{error}");
    assert_eq!(post(&url, "acme", of_hours(500..600)).await.status, 429);
    assert_eq!(post(&url, "acme", of_hours(0..20)).await.body["accepted"], json!(20), "those that are open");
    assert_eq!(post(&url, "other", of_hours(500..520)).await.body["accepted"], json!(20));
    let metrics = format!("http://127.0.0.1:{}", dev.ports.metrics[1]);
    until("no more chunks than that", async || metric(&metrics, "loglake_process_open_chunks", "").await == 40.0).await;
}

#[tokio::test]
async fn sessions_are_slowed_down_resumed_and_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("LOGLAKE_LIMITS_INGEST_RECORDS", "100"),
        ("LOGLAKE_LIMITS_INGEST_BURST", "1s"),
        ("LOGLAKE_LIMITS_SERVICES", "2"),
    ];
    let dev = Dev::start(&folder.path().join("data"), &env).await;
    let (grpc, query) = (dev.ports.grpc_url(), dev.ports.query_url());
    done(&query, "", &["tenants", "add", "acme"]);
    let batch = |service: &str, n: usize| (0..50).map(|k| send::wire(&record(service, n * 50 + k))).collect::<Vec<_>>();

    // One stream waits for its rate and sees no error.
    let mut session = Session::open(&grpc, "acme", "").await.unwrap();
    for number in 1..=6 {
        session.send(number, 1, batch("shop", usize::try_from(number).unwrap())).await;
    }
    for _ in 1..=6 {
        let result = session.result().await.unwrap();
        assert_eq!((result.accepted, result.retry_reason.as_str()), (50, ""));
    }
    let metrics = format!("http://127.0.0.1:{}", dev.ports.metrics[0]);
    assert!(metric(&metrics, "loglake_ingest_held_back_total", "").await >= 1.0);

    // Many at once are too much to wait for: some end, and go on where they were.
    let mut sessions = Vec::new();
    for _ in 0..16 {
        let session = Session::open(&grpc, "acme", "").await.unwrap();
        session.send(1, 1, batch("shop", 0)).await;
        sessions.push(session);
    }
    let mut ended = 0;
    for mut session in sessions {
        let began = Instant::now();
        loop {
            match session.result().await {
                Ok(result) => {
                    assert_eq!((result.number, result.accepted, result.retry_reason.as_str()), (1, 50, ""));
                    break;
                }
                Err(status) => {
                    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
                    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
                    assert!(wait > Duration::from_secs(5), "{wait:?}");
                    ended += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    session = Session::open(&grpc, "acme", &session.token.clone()).await.unwrap();
                    session.send(1, 1, batch("shop", 0)).await;
                }
            }
            assert!(began.elapsed() < PATIENCE);
        }
    }
    assert!(ended > 0);
    assert_eq!(count(&query, "acme").await, 22 * 50);

    // A batch with a service too many is kept as a whole or not at all: sent again once there is room, it is there once.
    let mut mixed = batch("pay", 0);
    mixed.truncate(10);
    mixed.extend([send::wire(&record("cart", 1))]);
    session.send(7, 7, mixed.clone()).await;
    let result = session.result().await.unwrap();
    assert!(result.accepted == 0 && result.retry_reason.contains("2 services"), "{result:?}");
    let mut known = batch("shop", 8);
    known.truncate(10);
    session.send(8, 7, known).await;
    assert_eq!(session.result().await.unwrap().accepted, 10, "known ones are unharmed");
    done(&query, "", &["tenants", "limit", "acme", "--services", "3"]);
    for _ in 0..2 {
        session.send(7, 7, mixed.clone()).await;
        let result = session.result().await.unwrap();
        assert_eq!((result.number, result.accepted, result.retry_reason.as_str()), (7, 11, ""));
    }
    assert_eq!(count(&query, "acme").await, 22 * 50 + 10 + 11);
}

/// Sends to both ingestors as fast as they answer for `span`; returns records kept a second.
async fn pour(ingestors: [&str; 2], span: Duration) -> f64 {
    let began = Instant::now();
    let senders = ingestors.map(|url| {
        let url = url.to_owned();
        tokio::spawn(async move {
            let mut kept = 0.0;
            while began.elapsed() < span {
                match post(&url, "acme", of("shop", 10)).await.status {
                    200 => kept += 10.0,
                    429 => tokio::time::sleep(Duration::from_millis(20)).await,
                    other => panic!("{other}"),
                }
            }
            kept
        })
    });
    let mut kept = 0.0;
    for sender in senders {
        kept += sender.await.unwrap();
    }
    kept / began.elapsed().as_secs_f64()
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn two_ingestors_share_a_rate_through_redis_and_go_by_themselves_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("LOGLAKE_LIMITS_INGEST_RECORDS", "200"),
        ("LOGLAKE_LIMITS_INGEST_BURST", "1s"),
        ("LOGLAKE_AUTH_REFRESH", "200ms"),
    ];
    let stack = Stack::start(folder.path(), &env);
    let mut query = stack.role("query", "query");
    let (mut one, mut two) = (stack.role("ingestor", "one"), stack.role("ingestor", "two"));
    for role in [&mut query, &mut one, &mut two] {
        role.wait_ready().await;
    }
    let shared = async |role: &str| metric(role, "loglake_ingest_limits_shared", "").await == 1.0;
    let (one_metrics, two_metrics) = (one.metrics.clone(), two.metrics.clone());
    until("both share", async || shared(&one_metrics).await && shared(&two_metrics).await).await;
    // What both let through before they hear of each other is paid back within the first seconds.
    pour([&one.http, &two.http], Duration::from_secs(4)).await;
    let together = pour([&one.http, &two.http], Duration::from_secs(6)).await;

    stack.redis.stop();
    until("both go by themselves", async || !shared(&one_metrics).await && !shared(&two_metrics).await).await;
    assert!(metric(&one_metrics, "loglake_ingest_limit_sharing_failures_total", "").await >= 1.0);
    pour([&one.http, &two.http], Duration::from_secs(2)).await;
    let apart = pour([&one.http, &two.http], Duration::from_secs(6)).await;
    println!("together {together:.0} records/s, each by itself {apart:.0}; the limit is 200");
    assert!(together < 300.0 && apart > 1.3 * together, "together {together}, apart {apart}");

    stack.redis.start_again();
    until("both share again", async || shared(&one_metrics).await && shared(&two_metrics).await).await;

    // An override reaches ingestors that were told of no change.
    done(&query.http, "", &["tenants", "add", "acme"]);
    let big = async || post(&one.http, "acme", of("shop", 1_000)).await.status;
    assert_eq!(big().await, 413);
    done(&query.http, "", &["tenants", "limit", "acme", "--ingest-records", "none"]);
    until("the override is known", async || big().await == 200).await;
}
