//! Exactly once from the client on: batches of a session, and requests with a key, are sent again and again, after crashes and
//! elsewhere, and come back once.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loglake_api::ingest::v1::LogRecord;
use loglake_integration::{Client, Dev, Oracle, Sent, Session, Stack, programs, send};
use loglake_model::failpoints::VARIABLE as FAILPOINTS;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic::Code;

const START: &str = "2026-03-01T00:00:00Z";
const START_NS: i64 = 1_772_323_200_000_000_000;
const STEP: &str = "700ms";
const STEP_NS: i64 = 700_000_000;

/// The records of batch `number`: four, each of another service, and so of several partitions.
fn batch(number: u64) -> Vec<Sent> {
    let sent = |n: i64| Sent {
        service: format!("service-{n}"),
        timestamp_ns: START_NS + i64::try_from(number).unwrap() * 1_000 + n,
        level: Some("info"),
        message: format!("batch {number} record {n}"),
        trace_id: String::new(),
    };
    (0..4).map(sent).collect()
}

fn wire(number: u64) -> Vec<LogRecord> {
    batch(number).iter().map(send::wire).collect()
}

fn batches(numbers: impl IntoIterator<Item = u64>) -> Vec<Sent> {
    numbers.into_iter().flat_map(batch).collect()
}

/// Sends the batches `numbers`, in this order, and waits until all are acknowledged.
async fn deliver(session: &mut Session, numbers: &[u64], oldest: u64) {
    for number in numbers {
        session.send(*number, oldest, wire(*number)).await;
    }
    let mut left: Vec<u64> = numbers.to_vec();
    while !left.is_empty() {
        let result = session.result().await.unwrap();
        assert_eq!((result.accepted, result.retry_reason.as_str()), (4, ""), "batch {}", result.number);
        let at = left.iter().position(|number| *number == result.number).expect("a number that was sent");
        left.remove(at);
    }
}

/// All records, once complete answers are to be had: while ownership moves an answer may say that it is not complete.
async fn settled(client: &Client) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, answer) = client.post("/v1/query", json!({"limit": 1}).to_string()).await;
        if status == StatusCode::OK && answer["complete"] == json!(true) {
            return client.all(&json!({}), 5_000).await;
        }
        assert!(Instant::now() < deadline, "no complete answer within a minute: {status} {answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A shipper that sends `files` to `servers`.
fn shipper(servers: &str, files: &[std::path::PathBuf]) -> Child {
    Command::new(programs::agent())
        .args(["send", "--quiet", "--server", servers, "--tenant", "default", "--start", START, "--step", STEP])
        .args(["--batch-records", "100"])
        .args(files)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shipper runs")
}

/// Waits until it has delivered everything, without a doubt.
fn delivered(shipper: Child) {
    let output = shipper.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("trying again") && !said.contains("twice"), "{said}");
}

#[tokio::test]
async fn batches_that_are_sent_again_come_back_once_through_crashes_and_flushes() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h")]).await;
    let (server, client) = (dev.ports.grpc_url(), Client::new(dev.ports.query_url()));
    let mut session = Session::open(&server, "default", "").await.unwrap();
    let token = session.token.clone();
    // 6 comes before 5, and 3 twice at once.
    deliver(&mut session, &[1, 2, 3, 3, 4, 6], 1).await;
    deliver(&mut session, &[5], 5).await;
    let mut other = Session::open(&server, "default", &token).await.unwrap();
    deliver(&mut other, &[6, 5, 7], 5).await;
    Oracle::judge("in the tail", &batches(1..=7), &settled(&client).await, false);

    // The acknowledgements of 8 and 9 are lost with the process.
    deliver(&mut other, &[8, 9], 8).await;
    dev.process.kill();
    dev.restart().await;
    let mut session = Session::open(&server, "default", &token).await.unwrap();
    assert_eq!(session.token, token, "the same session after a crash");
    deliver(&mut session, &[8, 9, 11], 8).await;
    Oracle::judge("after a crash", &batches((1..=9).chain([11])), &settled(&client).await, false);

    // Everything is flushed, the state with it; the retries come after.
    dev.process.stop().await;
    dev.restart().await;
    let mut session = Session::open(&server, "default", &token).await.unwrap();
    deliver(&mut session, &[11, 10, 9, 10], 9).await;
    Oracle::judge("after a flush", &batches(1..=11), &settled(&client).await, false);
    // Other sessions and tenants have numbers of their own.
    let mut foreign = Session::open(&server, "tenant-2", "").await.unwrap();
    deliver(&mut foreign, &[1, 2], 1).await;
    let theirs = Client::new(dev.ports.query_url()).tenant("tenant-2");
    Oracle::judge("another tenant", &batches(1..=2), &theirs.all(&json!({}), 100).await, false);
    let refused = Session::open(&server, "tenant-2", &token).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(Session::open(&server, "default", "forged").await.unwrap_err().code(), Code::NotFound);

    dev.process.stop().await;
    std::fs::remove_dir_all(dev.data().join("index")).unwrap();
    dev.restart().await;
    let mut session = Session::open(&server, "default", &token).await.unwrap();
    deliver(&mut session, &[9, 10, 11, 12], 9).await;
    Oracle::judge("index rebuilt", &batches(1..=12), &settled(&client).await, false);
    dev.process.stop().await;
}

#[tokio::test]
async fn the_shipper_delivers_each_line_once_although_acknowledgements_are_lost_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "2s"), (FAILPOINTS, "ingest.appended=kill@20")];
    let mut dev = Dev::start(&folder.path().join("data"), &environment).await;
    let files = Oracle::loghub();
    let shipper = shipper(&dev.ports.grpc_url(), &files);
    let said = "failpoint ingest.appended hit 20: kill";
    dev.process.killed_at(said, Duration::from_secs(60)).await;
    dev.set(FAILPOINTS, "");
    dev.restart().await;
    delivered(shipper);
    let client = Client::new(dev.ports.query_url());
    let oracle = Oracle::of_files(&files, START_NS, STEP_NS);
    Oracle::judge("once each", &oracle.sent, &settled(&client).await, false);
    dev.process.stop().await;
    dev.restart().await;
    Oracle::judge("once each, flushed", &oracle.sent, &settled(&client).await, false);
    dev.process.stop().await;
}

#[tokio::test]
async fn requests_with_a_key_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h")]).await;
    let body = |text: &str| {
        let line = |n: u64| format!("{{\"service\":\"service-{n}\",\"ts\":{},\"message\":\"{text} {n}\"}}\n", START_NS);
        (0..4).map(line).collect::<String>()
    };
    let post = async |dev: &Dev, tenant: &str, key: &str, body: String| {
        let client = Client::new(dev.ports.ingest_url()).tenant(tenant).with_header("Idempotency-Key", key);
        let (status, answer) = client.post_typed("/v1/ingest", "application/x-ndjson", body).await;
        assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(4)), "{answer}");
    };
    let messages = async |dev: &Dev, tenant: &str| {
        let client = Client::new(dev.ports.query_url()).tenant(tenant);
        let mut found: Vec<String> = settled(&client).await.iter().map(|item| item["message"].to_string()).collect();
        found.sort();
        found
    };
    let expected = |texts: &[&str]| {
        let of = |text: &&str| (0..4).map(|n| format!("\"{text} {n}\"")).collect::<Vec<_>>();
        texts.iter().flat_map(of).collect::<Vec<_>>()
    };
    post(&dev, "a", "order-1", body("first")).await;
    post(&dev, "a", "order-1", body("first")).await;
    // Another body under the same key: the first one counts.
    post(&dev, "a", "order-1", body("another")).await;
    assert_eq!(messages(&dev, "a").await, expected(&["first"]));
    post(&dev, "b", "order-1", body("theirs")).await;
    assert_eq!(messages(&dev, "b").await, expected(&["theirs"]), "another tenant's key");

    dev.process.kill();
    dev.restart().await;
    post(&dev, "a", "order-1", body("first")).await;
    dev.process.stop().await;
    dev.restart().await;
    post(&dev, "a", "order-1", body("first")).await;
    post(&dev, "a", "order-2", body("second")).await;
    assert_eq!(messages(&dev, "a").await, expected(&["first", "second"]));
    dev.process.stop().await;
    dev.restart().await;
    assert_eq!(messages(&dev, "a").await, expected(&["first", "second"]), "flushed");
    dev.process.stop().await;
}

#[tokio::test]
async fn a_session_goes_on_at_another_ingestor_and_owners_may_die() {
    let folder = tempfile::tempdir().unwrap();
    let stack =
        Stack::start(folder.path(), &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h"), ("LOGLAKE_INSECURE", "true")]);
    let mut ingestors = [stack.role("ingestor", "ingestor-0"), stack.role("ingestor", "ingestor-1")];
    let (mut processor, mut query) = (stack.role("processor", "processor"), stack.role("query", "query"));
    for role in ingestors.iter_mut().chain([&mut processor, &mut query]) {
        role.wait_ready().await;
    }
    let client = Client::new(&query.http);
    let mut session = Session::open(&ingestors[0].grpc, "default", "").await.unwrap();
    let token = session.token.clone();
    deliver(&mut session, &[1, 2, 3, 4, 6, 7, 8], 1).await;
    // All acknowledgements were lost; the client goes on elsewhere, and 5 comes late.
    let mut resumed = Session::open(&ingestors[1].grpc, "default", &token).await.unwrap();
    deliver(&mut resumed, &[1, 2, 3, 4, 5, 6, 7, 8, 9], 1).await;
    Oracle::judge("from the owner", &batches(1..=9), &settled(&client).await, false);

    // The owner is dead: the broker is read.
    processor.process.kill();
    deliver(&mut session, &[8, 9, 10], 8).await;
    deliver(&mut resumed, &[10], 10).await;
    Oracle::judge("from the broker", &batches(1..=10), &settled(&client).await, false);
    processor.restart().await;
    Oracle::judge("from the next owner", &batches(1..=10), &settled(&client).await, false);
    processor.process.stop().await;
    deliver(&mut resumed, &[10, 12], 10).await;
    deliver(&mut session, &[11], 10).await;
    Oracle::judge("chunks, and the broker from their state on", &batches(1..=12), &settled(&client).await, false);
    processor.restart().await;
    deliver(&mut resumed, &[10, 11, 12, 13], 10).await;
    Oracle::judge("chunks and the next owner", &batches(1..=13), &settled(&client).await, false);

    // A shipper loses its ingestor, goes on at the other one, and it comes back.
    let files = &Oracle::loghub()[..8];
    let servers = format!("{},{}", ingestors[0].grpc, ingestors[1].grpc);
    let shipper = shipper(&servers, files);
    let mut expected = batches(1..=13);
    let in_flight = Instant::now() + Duration::from_secs(30);
    while settled(&client).await.len() < expected.len() + 500 && Instant::now() < in_flight {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ingestors[0].process.kill();
    ingestors[0].restart().await;
    ingestors[1].process.kill();
    ingestors[1].restart().await;
    let output = shipper.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    expected.extend(Oracle::of_files(files, START_NS, STEP_NS).sent);
    Oracle::judge("the shipper's lines", &expected, &settled(&client).await, false);
    processor.process.stop().await;
    processor.restart().await;
    Oracle::judge("flushed", &expected, &settled(&client).await, false);
    for role in ingestors.iter_mut().chain([&mut processor, &mut query]) {
        role.process.stop().await;
    }
    stack.kafka.stop();
}
