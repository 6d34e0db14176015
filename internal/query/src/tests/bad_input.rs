use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::lake::Lake;
use super::tenants::Running;

async fn running() -> Running {
    Running::start(Lake::new().await)
}

async fn told(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["request_id"].as_str(), Some(id.as_str()), "{body}");
    (status, body)
}

#[tokio::test]
async fn wrong_requests_are_named_at_once() {
    let running = running().await;
    let url = format!("{}/v1/query", running.base);
    for (body, field) in [
        (json!({"nonsense": 1}).to_string(), Some("nonsense")),
        (json!({"limit": 0}).to_string(), Some("limit")),
        (json!({"limit": -1}).to_string(), Some("limit")),
        (json!({"limit": 1_000_000_000}).to_string(), Some("limit")),
        (json!({"from_ts": 2_000, "to_ts": 1_000}).to_string(), Some("from_ts")),
        (json!({"regex": "(".repeat(10_000)}).to_string(), Some("regex")),
        (json!({"regex": r"(\w{900}){900}"}).to_string(), Some("regex")),
        (json!({"contains": "x".repeat(70_000)}).to_string(), Some("contains")),
        (json!({"tenant_id": "../other"}).to_string(), Some("tenant_id")),
        (json!({"tenant_id": "%252e"}).to_string(), Some("tenant_id")),
        ("[".repeat(100_000), None),
        ("{\"limit\":".to_owned(), None),
        (String::new(), None),
    ] {
        let began = Instant::now();
        let request = running.client.post(&url).bearer_auth(&running.tokens["acme"]).body(body.clone());
        let (status, answer) = told(request.send().await.unwrap()).await;
        assert_eq!((status, answer["error"]["field"].as_str()), (400, field), "{answer}");
        // Unoptimised and on a busy machine; a hang would take far longer.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?} for {answer}", began.elapsed());
    }
    for (parameters, field) in
        [("?nonsense=1", "nonsense"), ("?from_ts=soon", "from_ts"), ("?to_ts=1&to_ts=2", "to_ts")]
    {
        let (status, answer) = running.services("acme", parameters).await;
        assert_eq!((status, answer["error"]["field"].as_str()), (400, Some(field)), "{answer}");
    }
}

#[tokio::test]
async fn types_methods_and_sizes_have_their_status() {
    let running = running().await;
    let token = &running.tokens["acme"];
    let post = || running.client.post(format!("{}/v1/query", running.base)).bearer_auth(token);
    let typed = |kind: &str| post().header("Content-Type", kind).body("{}").send();
    assert_eq!(told(typed("text/plain").await.unwrap()).await.0, 415);
    assert_eq!(told(post().header("Content-Encoding", "gzip").body("{}").send().await.unwrap()).await.0, 415);
    assert_eq!(typed("application/json; charset=utf-8").await.unwrap().status(), 200);
    assert_eq!(told(post().body(" ".repeat((1 << 20) + 1)).send().await.unwrap()).await.0, 413);
    let get = |path: &str| running.client.get(format!("{}{path}", running.base)).send();
    let wrong = get("/v1/query").await.unwrap();
    assert_eq!(wrong.headers()["allow"], "POST");
    assert_eq!(told(wrong).await.0, 405);
    assert_eq!(told(get("/v1/nothing").await.unwrap()).await.0, 404);
}

#[tokio::test]
async fn callers_prove_themselves() {
    let running = running().await;
    let url = format!("{}/v1/query", running.base);
    let mut texts = std::collections::BTreeSet::new();
    for token in [None, Some("nonsense"), Some("ll_a_b")] {
        let request = running.client.post(&url).body("{}");
        let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
        let (status, answer) = told(request.send().await.unwrap()).await;
        assert_eq!(status, 401);
        texts.insert(answer["error"]["message"].as_str().unwrap().to_owned());
    }
    assert_eq!(texts.len(), 1, "all 401s read alike");
    let (status, answer) = running.query("writer", &json!({})).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (403, Some("forbidden")));
}

#[tokio::test]
async fn health_needs_nothing_and_readiness_follows() {
    let running = running().await;
    let get = |path: &'static str| {
        let request = running.client.get(format!("{}{path}", running.base)).header("X-Request-Id", "mine-1");
        async move { request.send().await.unwrap() }
    };
    let health = get("/health").await;
    assert_eq!((health.status().as_u16(), health.headers()["x-request-id"].to_str().unwrap()), (200, "mine-1"));
    let ready = async {
        while get("/ready").await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();
    let home = get("/").await;
    assert!(home.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(home.text().await.unwrap().contains("/v1/query"));
    running.stop.cancel();
}

#[tokio::test]
async fn a_lying_length_and_a_cut_body_are_no_query() {
    let running = running().await;
    let address = running.base.strip_prefix("http://").unwrap();
    let send = async |head: String, body: &[u8]| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let token = &running.tokens["acme"];
        let head = format!(
            "POST /v1/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{head}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let huge = send("Content-Length: 99999999999\r\n".to_owned(), b"{}").await;
    assert!(huge.starts_with("HTTP/1.1 413"), "{huge}");
    let cut = send("Content-Length: 50\r\n".to_owned(), b"{}").await;
    assert!(!cut.starts_with("HTTP/1.1 200"), "{cut}");
    // The service goes on.
    assert_eq!(running.query("acme", &json!({})).await.0, 200);
}

#[tokio::test]
async fn a_query_ends_when_its_caller_hangs_up() {
    let lake = Lake::new().await;
    // It would wait for the rebuild of an index.
    lake.index.state.lock().partitions.get_mut(&0).unwrap().0 = None;
    let running_queries = lake.shared().metrics.running.clone();
    let running = Running::start(lake);
    let token = &running.tokens["acme"];
    let mut stream = tokio::net::TcpStream::connect(running.base.strip_prefix("http://").unwrap()).await.unwrap();
    let request =
        format!("POST /v1/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let until = async |count: i64| {
        let is = async {
            while running_queries.get() != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), is).await.unwrap();
    };
    until(1).await;
    drop(stream);
    until(0).await;
}
