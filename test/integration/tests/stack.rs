//! The roles on real Kafka, Redis and MinIO, two of each.
#![allow(clippy::unwrap_used, reason = "a test")]

use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Oracle, Stack, send};
use rand::prelude::*;
use reqwest::StatusCode;
use serde_json::json;

const START: &str = "2026-03-01T00:00:00Z";
const START_NS: i64 = 1_772_323_200_000_000_000;
const STEP: &str = "700ms";
const STEP_NS: i64 = 700_000_000;

#[tokio::test]
async fn every_line_comes_back_once_on_real_parts_whatever_ends() {
    let folder = tempfile::tempdir().unwrap();
    let stack =
        Stack::start(folder.path(), &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h"), ("LOGLAKE_INSECURE", "true")]);
    let mut roles: Vec<_> = ["ingestor", "processor", "query"]
        .into_iter()
        .flat_map(|role| [stack.role(role, &format!("{role}-0")), stack.role(role, &format!("{role}-1"))])
        .collect();
    for role in &mut roles {
        role.wait_ready().await;
    }
    let [ingestor_0, ingestor_1, processor_0, processor_1, query_0, query_1] = &mut roles[..] else { unreachable!() };

    // Half of the files through each ingestor.
    let files = Oracle::loghub();
    let mut oracle = Oracle::of_files(&files[..8], START_NS, STEP_NS);
    oracle.sent.extend(Oracle::of_files(&files[8..], START_NS, STEP_NS).sent);
    send::files(&ingestor_0.grpc, "default", START, STEP, &files[..8]);
    send::files(&ingestor_1.grpc, "default", START, STEP, &files[8..]);
    let clients = [Client::new(&query_0.http), Client::new(&query_1.http)];
    let everything = json!({});
    let before = clients[0].all(&everything, 1_000).await;
    Oracle::judge("before any flush", &oracle.sent, &before, false);

    // Pages that change the query service in between.
    let mut body = json!({"limit": 3_000});
    let mut items = Vec::new();
    for turn in 0.. {
        let page = clients[turn % 2].page(&body).await;
        items.extend(page.items);
        match page.cursor {
            Some(cursor) => body["cursor"] = json!(cursor),
            None => break,
        }
    }
    assert!(items == before, "pages by turns");

    // A processor dies; the other takes over and replays.
    processor_0.process.kill();
    let after_kill = settled(&clients[1], oracle.sent.len()).await;
    assert!(after_kill == before, "after kill -9 of a processor");
    processor_0.restart().await;

    // A clean stop of both flushes everything; new ones serve it from the bucket.
    processor_0.process.stop().await;
    processor_1.process.stop().await;
    processor_0.restart().await;
    processor_1.restart().await;
    let after_flush = settled(&clients[0], oracle.sent.len()).await;
    assert!(after_flush == before, "from the bucket");
    assert_ne!(redis(&stack, "dbsize"), "0", "the index is in Redis");

    // The index is lost: answers are right or say that they are not complete, and heal by themselves.
    redis(&stack, "flushall");
    let (status, first) = clients[1].post("/v1/query", json!({"limit": 100}).to_string()).await;
    if status == StatusCode::OK && first["complete"] == json!(true) {
        assert_eq!(first["items"].as_array().unwrap()[..], before[..100]);
    } else {
        assert!(first["complete"] == json!(false) || status.is_server_error(), "{status}: {first}");
    }
    assert!(settled(&clients[0], oracle.sent.len()).await == before, "after FLUSHALL");
    for role in [&mut *query_0, &mut *query_1] {
        role.process.stop().await;
        role.restart().await;
    }
    assert!(settled(&clients[1], oracle.sent.len()).await == before, "after FLUSHALL and a restart");

    // Filters agree with a plain scan here too, chunks and tail mixed.
    let seed: u64 = std::env::var("LOGLAKE_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("LOGLAKE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let traced: Vec<Sent> = (0..2_000)
        .map(|n: i64| Sent {
            service: format!("shop/{}", n % 7),
            timestamp_ns: START_NS + n / 3 * 1_000_000_000,
            level: [None, Some("error"), Some("info")][(n % 3) as usize],
            message: format!("order \"{}\" of {n}\n\tdone", n * 7919 % 1000),
            trace_id: format!("{:032x}", n / 5),
        })
        .collect();
    send::all(&ingestor_0.grpc, "default", &traced).await;
    oracle.sent.extend(traced);
    for number in 0..100 {
        let question = oracle.question(&mut random);
        let limit = random.random_range(1..3_000).max(question.expected.len() / 10);
        let items = clients[number % 2].all(&question.body, limit.clamp(1, 10_000)).await;
        let is_forward = question.body["direction"] == json!("forward");
        Oracle::judge(
            &format!("question {number} {} (seed {seed})", question.body),
            &question.expected,
            &items,
            is_forward,
        );
    }

    // An ingestor dies; clients go on at the other.
    ingestor_0.process.kill();
    let late = Sent { message: "after an ingestor died".to_owned(), ..oracle.sent[0].clone() };
    send::all(&ingestor_1.grpc, "default", std::slice::from_ref(&late)).await;
    let found = clients[0].all(&json!({"contains": "after an ingestor died"}), 10).await;
    Oracle::judge("through the other ingestor", &[late], &found, false);

    for (role, metric) in [
        (&*ingestor_1, "loglake_ingest_records_total"),
        (&*processor_0, "loglake_process_records_total"),
        (&*query_0, "loglake_query_requests_total"),
    ] {
        let (status, text) = Client::new(&role.metrics).get("/metrics").await;
        assert!(status == StatusCode::OK && text.contains(metric), "{metric}:\n{text}");
    }
    for role in &mut roles[1..] {
        role.process.stop().await;
    }
    stack.kafka.stop();
}

/// Everything, once complete answers are to be had again: while ownership moves an answer may say that it is not complete.
async fn settled(client: &Client, count: usize) -> Vec<serde_json::Value> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let (status, answer) = client.post("/v1/query", json!({"limit": 1}).to_string()).await;
        if status == StatusCode::OK && answer["complete"] == json!(true) {
            let items = client.all(&json!({}), 5_000).await;
            assert_eq!(items.len(), count);
            return items;
        }
        assert!(std::time::Instant::now() < deadline, "no complete answer within a minute: {status} {answer}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// What `redis-cli` says to `command`.
fn redis(stack: &Stack, command: &str) -> String {
    let output = std::process::Command::new("redis-cli")
        .args(["-p", &stack.redis.port.to_string(), command])
        .output()
        .expect("redis-cli comes with the server");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
