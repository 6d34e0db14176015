//! More connections than there are places: idle ones give way, whoever is at work stays.

use loglake_api::ingest::v1::Batch;
use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_ingest::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::grpc::Talk;
use crate::harness::{Harness, Mode, record, say};

const PLACES: usize = 4;
/// Far more than there are places.
const IDLE: usize = 40;
const REQUEST: &[u8] =
    b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 34\r\n\r\n{\"service\":\"api\",\"message\":\"good\"}";

async fn harness() -> Harness {
    Harness::with(Config { max_connections: PLACES, ..Config::default() }, loglake_auth::Authenticator::open()).await
}

/// Connections that do nothing: never a byte, half a head, a request and no more.
async fn idlers(address: std::net::SocketAddr, speaks_http1: bool) -> Vec<TcpStream> {
    let mut idlers = Vec::new();
    for n in 0..IDLE {
        let mut stream = TcpStream::connect(address).await.unwrap();
        match (n % 3, speaks_http1) {
            (0, _) => {}
            (1, _) => stream.write_all(if speaks_http1 { b"POST /v1/in" } else { b"PRI * HT" }).await.unwrap(),
            (_, true) => {
                stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
                assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
            }
            // The preface and empty settings, and then nothing.
            (_, false) => {
                stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
            }
        }
        idlers.push(stream);
    }
    idlers
}

/// What is answered, up to its last brace.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "closed after {read:?}");
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn idle_http_connections_give_way_and_a_request_in_progress_stays() {
    let harness = harness().await;
    harness.broker.become_(Mode::Stalls);
    let mut working = TcpStream::connect(harness.http).await.unwrap();
    working.write_all(REQUEST).await.unwrap();
    harness.broker.asked(1).await;
    let idlers = idlers(harness.http, true).await;
    // A new client is served although nobody has gone.
    assert_eq!(say(reqwest::Client::new().get(harness.url("/health"))).await.status, 200);
    harness.broker.become_(Mode::Works);
    assert!(read_answer(&mut working).await.starts_with("HTTP/1.1 200"));
    assert_eq!(say(harness.post(r#"{"service":"api","message":"good"}"#)).await.status, 200);
    let displaced = harness.metric("loglake_ingest_displaced_connections_total", &[("listener", "http")]);
    assert!(displaced >= (IDLE - PLACES) as f64, "{displaced}");
    assert!(harness.metric("loglake_ingest_connections", &[("listener", "http")]) <= PLACES as f64);
    drop(idlers);
    harness.stop().await;
}

#[tokio::test]
async fn idle_grpc_connections_give_way_and_a_stream_stays() {
    let harness = harness().await;
    // Open, and with nothing to say at the moment.
    let (mut talk, _) = Talk::open(&harness).await;
    let idlers = idlers(harness.grpc, false).await;
    let mut client = harness.client().await;
    let batch = |number| Batch { number, records: vec![record("api", "m")], ..Batch::default() };
    assert_eq!(client.ingest_batch(batch(1)).await.unwrap().into_inner().accepted, 1);
    talk.send(Kind::Batch(batch(1))).await;
    assert_eq!(talk.result().await.accepted, 1);
    let displaced = harness.metric("loglake_ingest_displaced_connections_total", &[("listener", "grpc")]);
    assert!(displaced >= (IDLE - PLACES) as f64, "{displaced}");
    drop((idlers, client, talk));
    harness.stop().await;
}

#[tokio::test]
async fn where_all_are_at_work_a_new_connection_waits() {
    let harness = harness().await;
    harness.broker.become_(Mode::Stalls);
    let mut working = Vec::new();
    for at_work in 1..=PLACES {
        let mut stream = TcpStream::connect(harness.http).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        harness.broker.asked(at_work).await;
        working.push(stream);
    }
    let mut waiting = TcpStream::connect(harness.http).await.unwrap();
    waiting.write_all(REQUEST).await.unwrap();
    harness.broker.become_(Mode::Works);
    for stream in working.iter_mut().chain([&mut waiting]) {
        assert!(read_answer(stream).await.starts_with("HTTP/1.1 200"));
    }
    harness.stop().await;
}
