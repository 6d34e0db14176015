//! Tenants are walls, on every surface there is; and bad input gets the answer that the documentation names.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write as _;

use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Dev, send};
use reqwest::StatusCode;
use serde_json::{Value, json};

const START_NS: i64 = 1_772_323_200_000_000_000;

fn canaries(tenant: &str, count: i64) -> Vec<Sent> {
    (0..count)
        .map(|n| Sent {
            // The same services, times and traces for both: only the tenant keeps them apart.
            service: format!("shared-{}", n % 3),
            timestamp_ns: START_NS + n * 1_000_000,
            level: Some(["info", "error"][(n % 2) as usize]),
            message: format!("canary-{tenant} number {n} of the day"),
            trace_id: format!("{:032x}", n / 5),
        })
        .collect()
}

/// Everything that tenant `own` can see must carry its canary and never the other's.
async fn look_around(client: &Client, own: &str, other: &str, count: usize) {
    for body in [
        json!({}),
        json!({"direction": "forward"}),
        json!({"services": ["shared-0", "shared-1", "shared-2"]}),
        json!({"contains": "canary-"}),
        json!({"min_level": "info"}),
    ] {
        let items = client.all(&body, 97).await;
        assert_eq!(items.len(), count, "{own}: {body}");
        for item in &items {
            let text = item.to_string();
            assert!(text.contains(&format!("canary-{own} ")) && !text.contains(&format!("canary-{other} ")), "{text}");
        }
    }
    let trace = client.all(&json!({"trace_id": format!("{:032x}", 7)}), 3).await;
    assert_eq!(trace.len(), 5, "{own}: one trace");
    assert!(client.all(&json!({"contains": format!("canary-{other} ")}), 100).await.is_empty());
    assert!(client.all(&json!({"tenant_id": own}), 1000).await.len() == count);
    let (status, refusal) = client.post("/v1/query", json!({"tenant_id": other}).to_string()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{refusal}");
    let services: Value = serde_json::from_str(&client.get("/v1/services").await.1).unwrap();
    let sum: u64 = services["services"].as_array().unwrap().iter().map(|one| one["records"].as_u64().unwrap()).sum();
    assert_eq!(sum, count as u64, "{own}: {services}");
}

#[tokio::test]
async fn a_tenant_never_sees_another_ones_records() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokenFile::new(folder.path());
    let mut dev = Dev::start(
        &folder.path().join("data"),
        &[("LOGLAKE_CONFIG", tokens.path.to_str().unwrap()), ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h")],
    )
    .await;
    let bearer = |tenant: &str| format!("Bearer {}", tokens.of(tenant));
    for tenant in ["alpha", "beta"] {
        for part in canaries(tenant, if tenant == "alpha" { 900 } else { 600 }).chunks(100) {
            let headers = [("authorization", &*bearer(tenant))];
            let result =
                send::batch(&dev.ports.grpc_url(), &headers, part.iter().map(send::wire).collect()).await.unwrap();
            assert_eq!(result.accepted, part.len() as u64);
        }
    }
    let alpha = Client::new(dev.ports.query_url()).with_header("authorization", &bearer("alpha"));
    let beta = Client::new(dev.ports.query_url()).with_header("x-api-key", tokens.of("beta"));
    for round in ["from the tail", "from chunks", "after a crash"] {
        println!("{round}");
        look_around(&alpha, "alpha", "beta", 900).await;
        look_around(&beta, "beta", "alpha", 600).await;
        if round == "from the tail" {
            dev.process.stop().await;
            dev.restart().await;
        } else {
            dev.process.kill();
            dev.restart().await;
        }
    }

    // A cursor is its tenant's, its query's, and unaltered.
    let page = alpha.page(&json!({"limit": 10})).await;
    let cursor = page.cursor.unwrap();
    let status = |client: Client, body: Value| async move { client.post("/v1/query", body.to_string()).await.0 };
    assert_eq!(status(beta.clone(), json!({"limit": 10, "cursor": cursor})).await, StatusCode::FORBIDDEN);
    assert_eq!(status(alpha.clone(), json!({"contains": "x", "cursor": cursor})).await, StatusCode::BAD_REQUEST);
    assert_eq!(status(alpha.clone(), json!({"limit": 20, "cursor": cursor})).await, StatusCode::OK);
    let at = cursor.len() / 2;
    let flipped = if &cursor[at..=at] == "A" { "B" } else { "A" };
    let tampered = format!("{}{flipped}{}", &cursor[..at], &cursor[at + 1..]);
    assert_eq!(status(alpha.clone(), json!({"cursor": tampered})).await, StatusCode::BAD_REQUEST);
    assert_eq!(status(alpha.clone(), json!({"cursor": "random"})).await, StatusCode::BAD_REQUEST);

    // Every surface wants a credential; every wrong one gets the same text.
    let mut texts = std::collections::HashSet::new();
    for wrong in ["", "Bearer", "Bearer ll_nobody_secret", "Bearer x", &format!("Bearer {}x", tokens.of("alpha"))] {
        let client = Client::new(dev.ports.query_url()).with_header("authorization", wrong);
        let (status, answer) = client.post("/v1/query", "{}").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong:?}: {answer}");
        texts.insert(answer["error"]["message"].as_str().unwrap().to_owned());
        assert_eq!(client.get("/v1/services").await.0, StatusCode::UNAUTHORIZED, "{wrong:?}");
        let ingest = client.clone().at(dev.ports.ingest_url());
        assert_eq!(ingest.post("/v1/ingest", "{}").await.0, StatusCode::UNAUTHORIZED, "{wrong:?}");
        let refused = send::batch(&dev.ports.grpc_url(), &[("authorization", wrong)], vec![]).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{wrong:?}");
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    let reader = Client::new(dev.ports.ingest_url()).with_header("authorization", &bearer("reader"));
    assert_eq!(reader.post("/v1/ingest", "{}").await.0, StatusCode::FORBIDDEN, "a token without the scope");
    let expired = Client::new(dev.ports.query_url()).with_header("authorization", &bearer("expired"));
    assert_eq!(expired.post("/v1/query", "{}").await.0, StatusCode::UNAUTHORIZED, "an expired token");
    let swapped = alpha.clone().with_header("x-scope-orgid", "beta");
    assert_eq!(swapped.post("/v1/query", "{}").await.0, StatusCode::FORBIDDEN, "another tenant in the header");
    for path in ["/health", "/ready"] {
        assert_eq!(Client::new(dev.ports.query_url()).get(path).await.0, StatusCode::OK);
    }
    for port in dev.ports.metrics {
        let metrics = Client::new(format!("http://127.0.0.1:{port}")).get("/metrics").await;
        assert_eq!(metrics.0, StatusCode::OK);
        assert!(!metrics.1.contains("canary") && !metrics.1.contains("alpha"), "metrics name no tenant");
    }
}

/// A configuration with tokens, made by the program itself.
struct TokenFile {
    path: std::path::PathBuf,
    tokens: Vec<(&'static str, String)>,
}

impl TokenFile {
    fn new(folder: &std::path::Path) -> Self {
        let path = folder.join("loglake.toml");
        let mut file = std::fs::File::create(&path).unwrap();
        let mut tokens = Vec::new();
        for (name, tenant, scopes, expires) in [
            ("alpha", "alpha", "ingest,query", None),
            ("beta", "beta", "ingest,query", None),
            ("reader", "alpha", "query", None),
            ("expired", "alpha", "query", Some("2020-01-01T00:00:00Z")),
        ] {
            let mut command = std::process::Command::new(loglake_integration::programs::loglake());
            command.args(["token", "new", "--tenant", tenant, "--scopes", scopes]);
            if let Some(expires) = expires {
                command.args(["--expires", expires]);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said = String::from_utf8(output.stdout).unwrap();
            let token = said.split_whitespace().find(|word| word.starts_with("ll_")).expect("a token").to_owned();
            let rows = said.split_once("[[auth.tokens]]").expect("rows for the configuration").1;
            writeln!(file, "[[auth.tokens]]{rows}").unwrap();
            tokens.push((name, token));
        }
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { path, tokens }
    }

    fn of(&self, name: &str) -> &str {
        &self.tokens.iter().find(|(known, _)| *known == name).unwrap().1
    }
}

#[tokio::test]
async fn bad_queries_get_a_clear_400_that_names_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[]).await;
    send::all(&dev.ports.grpc_url(), "default", &canaries("default", 10)).await;
    let client = Client::new(dev.ports.query_url());
    let huge = "a".repeat(5_000);
    let parens = "(".repeat(10_000);
    for (body, field) in [
        (json!({"from_ts": 20, "to_ts": 10}), "from_ts"),
        (json!({"limit": 0}), "limit"),
        (json!({"limit": -1}), "limit"),
        (json!({"limit": 1_000_000_000}), "limit"),
        (json!({"limit": "ten"}), "limit"),
        (json!({"contians": "typo"}), "contians"),
        (json!({"level": "chatty"}), "level"),
        (json!({"min_level": "chatty"}), "min_level"),
        (json!({"regex": "("}), "regex"),
        (json!({"regex": huge.clone() + "{1000}{1000}"}), "regex"),
        (json!({"regex": parens}), "regex"),
        (json!({"direction": "sideways"}), "direction"),
        (json!({"from_ts": "yesterday"}), "from_ts"),
        (json!({"service": ""}), "service"),
        (json!({"service": "x".repeat(200)}), "service"),
        (json!({"contains": 7}), "contains"),
        (json!({"tenant_id": "../x"}), "tenant_id"),
        (json!({"fields": [{"name": "a", "op": "like", "value": 1}]}), "fields"),
    ] {
        let (status, answer) = client.post("/v1/query", body.to_string()).await;
        let shown = body.to_string().chars().take(80).collect::<String>();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{shown}: {answer}");
        assert!(answer["error"]["field"].as_str().unwrap_or_default().contains(field), "{shown}: {answer}");
        assert!(answer["error"]["request_id"].is_string() && answer["error"]["code"].is_string(), "{shown}: {answer}");
    }
    for body in ["", "{", "[]", "null", "{\"limit\":1}x", "\u{0}"] {
        assert_eq!(client.post("/v1/query", body).await.0, StatusCode::BAD_REQUEST, "{body:?}");
    }
    let (status, _) = client.get("/v1/nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(client.get("/v1/query").await.0, StatusCode::METHOD_NOT_ALLOWED);
    for tenant in ["..", "a/b", "%252e", &"x".repeat(1024)] {
        let refused = Client::new(dev.ports.query_url()).tenant(tenant).post("/v1/query", "{}").await.0;
        assert_eq!(refused, StatusCode::BAD_REQUEST, "{tenant}");
    }
    assert_eq!(client.all(&json!({}), 100).await.len(), 10, "others are still served");
}

#[tokio::test]
async fn bad_records_are_named_and_the_good_ones_beside_them_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[]).await;
    let ingest = Client::new(dev.ports.ingest_url());
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let lines = [
        r#"{"service":"s","message":"good 1","ts":1772323200}"#.to_owned(),
        r#"{"service":"s","message":"broken"#.to_owned(),
        r#"{"service":"s","message":"twice","a":1,"a":2}"#.to_owned(),
        format!(r#"{{"service":"s","message":"deep","a":{deep}}}"#),
        r#"{"service":"s","message":"lone \ud800 surrogate"}"#.to_owned(),
        r#"{"message":"no service"}"#.to_owned(),
        r#"{"service":"s"}"#.to_owned(),
        r#"{"service":"s","message":""}"#.to_owned(),
        format!(r#"{{"service":"{}","message":"long name"}}"#, "s".repeat(129)),
        format!(r#"{{"service":"s","message":"{}"}}"#, "m".repeat(257 * 1024)),
        r#"{"service":"s","message":"far ahead","ts":"2200-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"service":"s","message":"negative","ts":-5}"#.to_owned(),
        String::new(),
        r#"{"service":"s","message":"nul \u0000 control \u0007 bidi \u202e kept","level":"CRITICAL"}"#.to_owned(),
        r#"{"service":"s","message":"good 2","level":"chatty","n":1.10,"big":123456789012345678901234567890}"#
            .to_owned(),
    ];
    let (status, answer) = ingest.post_typed("/v1/ingest", "application/x-ndjson", lines.join("\n")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(3), &json!(11)), "{answer}");
    let named: Vec<u64> =
        answer["errors"].as_array().unwrap().iter().map(|error| error["line"].as_u64().unwrap()).collect();
    assert_eq!(named, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "{answer}");
    let client = Client::new(dev.ports.query_url());
    let items = client.all(&json!({}), 10).await;
    assert_eq!(items.len(), 3);
    let odd = client.all(&json!({"contains": "nul \u{0} control \u{7} bidi \u{202e} kept"}), 10).await;
    assert_eq!((odd.len(), &odd[0]["level"]), (1, &json!("fatal")));
    let raw = client.post_text("/v1/query", json!({"contains": "good 2"})).await;
    assert!(
        raw.contains("\"n\":1.10") && raw.contains("123456789012345678901234567890"),
        "numbers stay as sent: {raw}"
    );
    assert!(raw.contains("\"level_text\":\"chatty\""), "{raw}");

    for (content_type, encoding, body, expected) in [
        ("text/csv", None, b"a,b".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/x-ndjson", Some("br"), b"{}".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/x-ndjson", Some("gzip"), b"not gzip".to_vec(), StatusCode::BAD_REQUEST),
        ("application/x-ndjson", Some("zstd"), b"not zstd".to_vec(), StatusCode::BAD_REQUEST),
        ("application/x-ndjson", Some("gzip"), gzip(&vec![b' '; 65 << 20]), StatusCode::PAYLOAD_TOO_LARGE),
        ("application/x-ndjson", None, b"nothing good".to_vec(), StatusCode::BAD_REQUEST),
        ("application/x-ndjson", None, Vec::new(), StatusCode::OK),
    ] {
        let shown = format!("{content_type} {encoding:?} {} bytes", body.len());
        let (status, answer) = ingest.post_encoded("/v1/ingest", content_type, encoding, body).await;
        assert_eq!(status, expected, "{shown}: {answer}");
    }
    // The server answers before it has read all; curl, unlike many clients, looks at the answer then.
    assert_eq!(curl_zeros(&format!("{}/v1/ingest", dev.ports.ingest_url()), 17 << 20), "413");
    let body = gzip(br#"[{"service":"z","message":"zipped"},{"service":"z","message":"twice"}]"#);
    let (status, answer) = ingest.post_encoded("/v1/ingest", "application/json", Some("gzip"), body).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(2)), "{answer}");
    assert_eq!(client.all(&json!({"service": "z"}), 10).await.len(), 2);
}

/// The status that curl gets for a body of so many blanks.
fn curl_zeros(url: &str, bytes: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b' '; bytes]).unwrap();
    let output = std::process::Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "content-type: application/x-ndjson",
            "--data-binary",
        ])
        .arg(format!("@{}", body.display()))
        .arg(url)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = out.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = out.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}
