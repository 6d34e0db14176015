//! A topic that is deleted and made anew: nothing is taken for something else, and all of it is answered.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use loglake_integration::admin::{admin, assert_folder_is_clean};
use loglake_integration::oracle::Sent;
use loglake_integration::server::Process;
use loglake_integration::{Client, Dev, Oracle, send};
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

    // The operator's tools know both lives.
    let data = dev.data().to_str().unwrap().to_owned();
    std::fs::remove_dir_all(dev.data().join("index/older-0")).unwrap();
    let checked = admin(&["fsck", "--json", "--data", &data], &[]);
    assert!(checked.code == 1 && checked.codes().iter().all(|code| code == "index-missing"), "{checked:?}");
    let made = admin(&["reindex", "--data", &data], &[]);
    assert!(made.code == 0 && made.out.contains("incarnation   0") && made.out.contains("incarnation   1"), "{made:?}");
    assert_folder_is_clean(dev.data());
    dev.restart().await;
    Oracle::judge("both lives, reindexed", &all, &settled(&client).await, false);
    dev.process.stop().await;
}
