//! A topic that is deleted and made anew, and one that gets partitions: nothing is taken for something else, and all of it is
//! answered.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use loglake_integration::oracle::Sent;
use loglake_integration::server::Process;
use loglake_integration::{Client, Dev, Oracle, Stack, send};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};

const START_NS: i64 = 1_772_323_200_000_000_000;
const ACCEPT: &str = "LOGLAKE_BROKER_ACCEPT_NEW_TOPIC";

fn some(life: &str, count: i64) -> Vec<Sent> {
    let sent = |n: i64| Sent {
        service: format!("shop/{}", n % 13),
        timestamp_ns: START_NS + n / 2 * 1_000_000_000,
        level: Some("info"),
        message: format!("{life} life, number {n}"),
        trace_id: format!("{n:032x}"),
    };
    (0..count).map(sent).collect()
}

/// Waits until the process has refused to start, and says why.
async fn refused(process: &mut Process) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match process.ended() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "it runs:\n{}", process.log_text()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(!status.success(), "{status}");
    assert!(process.said().contains("broker.accept_new_topic = true"), "{}", process.log_text());
}

/// Everything, once complete answers are to be had again.
async fn settled(client: &Client) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, answer) = client.post("/v1/query", json!({"limit": 1}).to_string()).await;
        if status.is_success() && answer["complete"] == json!(true) {
            // Pages that end within one life, and in both.
            return client.all(&json!({}), 130).await;
        }
        assert!(Instant::now() < deadline, "no complete answer within a minute: {status} {answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn services(client: &Client) -> u64 {
    let services: Value = serde_json::from_str(&client.get("/v1/services").await.1).unwrap();
    assert_eq!(services["complete"], json!(true), "{services}");
    services["services"].as_array().unwrap().iter().map(|service| service["records"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_local_log_made_anew_is_refused_until_it_is_accepted_and_older_records_stay() {
    let folder = tempfile::tempdir().unwrap();
    let env = [("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h"), ("LOGLAKE_PROCESSOR_FOLD_ENTRIES", "1")];
    let mut dev = Dev::start(&folder.path().join("data"), &env).await;
    let client = Client::new(dev.ports.query_url());
    let mut all = some("first", 400);
    send::all(&dev.ports.grpc_url(), "default", &all).await;
    dev.process.stop().await;
    std::fs::remove_dir_all(dev.data().join("log")).unwrap();
    dev.start_again();
    refused(&mut dev.process).await;

    dev.set(ACCEPT, "true");
    dev.restart().await;
    Oracle::judge("the first life", &all, &settled(&client).await, false);
    let second = some("second", 300);
    send::all(&dev.ports.grpc_url(), "default", &second).await;
    all.extend(second);
    Oracle::judge("both lives, one of them not flushed", &all, &settled(&client).await, false);
    dev.process.stop().await;

    // Known from then on; and without an index both are found again.
    dev.set(ACCEPT, "false");
    std::fs::remove_dir_all(dev.data().join("index")).unwrap();
    dev.restart().await;
    let items = settled(&client).await;
    Oracle::judge("both lives, index rebuilt", &all, &items, false);
    let lives = |life: &str| items.iter().filter(|item| item["id"].as_str().unwrap().starts_with(life)).count();
    assert_eq!((lives("0-"), lives("1-")), (400, 300));
    assert_eq!(services(&client).await, 700);
    dev.process.stop().await;
}

fn admin(stack: &Stack) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", stack.kafka.address()).create().unwrap()
}

#[tokio::test]
async fn a_topic_made_anew_and_partitions_added_lose_and_mix_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "2s"),
        ("LOGLAKE_PROCESSOR_FOLD_ENTRIES", "2"),
        ("LOGLAKE_PROCESSOR_FOLD_GRACE", "1s"),
        ("LOGLAKE_BROKER_PARTITIONS", "3"),
        ("LOGLAKE_INSECURE", "true"),
    ];
    let stack = Stack::start(folder.path(), &env);
    let mut roles = ["ingestor", "processor", "query"].map(|role| stack.role(role, role));
    for role in &mut roles {
        role.wait_ready().await;
    }
    let [ingestor, processor, query] = &mut roles;
    let client = Client::new(&query.http);
    let mut all = some("first", 300);
    send::all(&ingestor.grpc, "default", &all).await;
    Oracle::judge("the first life", &all, &settled(&client).await, false);
    for role in [&mut *ingestor, &mut *processor, &mut *query] {
        role.process.stop().await;
    }

    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(20)));
    admin(&stack).delete_topics(&["logs.raw"], &options).await.unwrap()[0].as_ref().unwrap();
    ingestor.restart().await;
    for role in [&mut *processor, &mut *query] {
        role.start_again();
        refused(&mut role.process).await;
        role.set(ACCEPT, "true");
        role.restart().await;
    }
    let second = some("second", 300);
    send::all(&ingestor.grpc, "default", &second).await;
    all.extend(second);
    Oracle::judge("both lives", &all, &settled(&client).await, false);

    // Partitions are added while everything runs; one that starts afterwards routes to them at once.
    admin(&stack).create_partitions(&[NewPartitions::new("logs.raw", 8)], &options).await.unwrap()[0].as_ref().unwrap();
    let mut newer = stack.role("ingestor", "ingestor-newer");
    newer.wait_ready().await;
    for (life, to) in [("old routes", &ingestor.grpc), ("new routes", &newer.grpc), ("old again", &ingestor.grpc)] {
        let more = some(life, 100);
        send::all(to, "default", &more).await;
        all.extend(more);
        Oracle::judge(life, &all, &settled(&client).await, false);
    }

    // The index is lost: both lives come back.
    let flushed = std::process::Command::new("redis-cli")
        .args(["-p", &stack.redis.port.to_string(), "flushall"])
        .status()
        .expect("redis-cli comes with the server");
    assert!(flushed.success());
    Oracle::judge("after FLUSHALL", &all, &settled(&client).await, false);
    assert_eq!(services(&client).await, all.len() as u64);
    for role in [&mut newer, ingestor, processor, query] {
        role.process.stop().await;
    }
    stack.kafka.stop();
}
