//! The roles on a real Redis Cluster that loses a master while records come in and queries run.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Oracle, RedisSet, Stack, send};
use reqwest::StatusCode;
use serde_json::{Value, json};

const START_NS: i64 = 1_772_323_200_000_000_000;

fn records(from: i64, count: i64) -> Vec<Sent> {
    (from..from + count)
        .map(|n| Sent {
            service: format!("shop/{}", n % 11),
            timestamp_ns: START_NS + n * 1_000_000,
            level: Some("info"),
            message: format!("record {n}"),
            trace_id: String::new(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_over_of_the_index_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let servers = RedisSet::cluster(&folder.path().join("cluster"));
    let address = servers.address();
    let env = [
        ("REDIS_ADDR", address.as_str()),
        // Flushes all the time: the index is written to.
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s"),
        ("LOGLAKE_PROCESSOR_TAIL_HOLD", "1s"),
        ("LOGLAKE_INSECURE", "true"),
    ];
    let stack = Stack::start(folder.path(), &env);
    let mut ingestor = stack.role("ingestor", "ingestor");
    let mut processor = stack.role("processor", "processor");
    let mut query = stack.role("query", "query");
    for role in [&mut ingestor, &mut processor, &mut query] {
        role.wait_ready().await;
    }
    let client = Client::new(&query.http);

    let mut sent = records(0, 2_000);
    send::all(&ingestor.grpc, "default", &sent).await;
    settled(&client, sent.len()).await;

    let dead = servers.masters(&[])[0];
    let mut is_dead = false;
    for round in 0..60 {
        if round == 10 {
            servers.kill(dead);
            is_dead = true;
        }
        let more = records(2_000 + round * 100, 100);
        send::all(&ingestor.grpc, "default", &more).await;
        sent.extend(more);
        // What is complete is right; anything else says so.
        let (status, answer) = client.post("/v1/query", json!({"limit": 10_000}).to_string()).await;
        if status == StatusCode::OK && answer["complete"] == json!(true) {
            Oracle::judge(&format!("round {round}"), &sent, answer["items"].as_array().unwrap(), false);
        } else {
            assert!(is_dead && (status == StatusCode::OK || status.is_server_error()), "{status}: {answer}");
        }
    }
    servers.failed_over(&[dead], 3).await;
    servers.start_again(dead);
    let items = settled(&client, sent.len()).await;
    Oracle::judge("after the fail-over", &sent, &items, false);

    processor.process.stop().await;
    processor.restart().await;
    Oracle::judge("from the bucket", &sent, &settled(&client, sent.len()).await, false);
    assert_eq!(RedisSet::ask(stack.redis.port, &["dbsize"]), "0", "the single server is not used");
    for role in [&mut ingestor, &mut processor, &mut query] {
        role.process.stop().await;
    }
}

/// Everything, once complete answers are to be had.
async fn settled(client: &Client, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let (status, answer) = client.post("/v1/query", json!({"limit": 10_000}).to_string()).await;
        if status == StatusCode::OK && answer["complete"] == json!(true) {
            let items = answer["items"].as_array().unwrap().clone();
            assert_eq!(items.len(), count);
            return items;
        }
        assert!(Instant::now() < deadline, "no complete answer within 90 s: {status} {answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
