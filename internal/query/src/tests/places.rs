use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tenants::Running;

const PLACES: usize = 4;
const IDLE: usize = 40;

#[tokio::test]
async fn idle_connections_give_way_and_a_query_in_progress_stays() {
    let mut lake = super::tenants::two_tenants().await;
    lake.service = lake.service.with_max_connections(PLACES);
    let (store, displaced) = (lake.store.clone(), lake.service.shared.metrics.displaced_connections.clone());
    let running = Running::start(lake);
    // The store does not answer.
    store.left.store(0, Ordering::SeqCst);
    let ask = |service: &str| {
        let url = format!("{}/v1/query", running.base);
        let request = reqwest::Client::new().post(url).bearer_auth(&running.tokens["acme"]);
        request.json(&json!({"service": service, "limit": 50}))
    };
    let working = tokio::spawn(ask("api").send());
    while store.left.load(Ordering::SeqCst) >= 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let address = running.base.strip_prefix("http://").unwrap().to_owned();
    let mut idlers = Vec::new();
    for n in 0..IDLE {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        match n % 4 {
            0 => {}
            1 => stream.write_all(b"GET /hea").await.unwrap(),
            2 => {
                stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
                let mut read = Vec::new();
                while !read.ends_with(b"ok\n") {
                    assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "closed after {read:?}");
                }
            }
            // The preface of HTTP/2 and empty settings.
            _ => stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap(),
        }
        idlers.push(stream);
    }
    let health = reqwest::Client::new().get(format!("{}/health", running.base)).send().await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
    assert!(!working.is_finished(), "it waits for the store");
    assert!(displaced.get() >= (IDLE - PLACES) as u64, "{}", displaced.get());
    working.abort();
    store.left.store(i64::MAX, Ordering::SeqCst);
    let (status, answer) = running.query("acme", &json!({"service": "api", "limit": 50})).await;
    assert!(status == 200 && answer["items"][0]["service"] == "api", "{answer}");
    running.stop.cancel();
}
