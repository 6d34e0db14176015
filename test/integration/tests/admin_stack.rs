//! `loglake admin` on real Kafka, Redis and MinIO, while the roles run.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use loglake_broker::kafka::{self, KafkaBroker};
use loglake_broker::{Producer as _, Reader as _};
use loglake_integration::admin::{Said, admin};
use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Oracle, Stack, send};
use redis::Commands as _;
use serde_json::{Value, json};

const START_NS: i64 = 1_772_323_200_000_000_000;

fn records(from: i64, count: i64) -> Vec<Sent> {
    let sent = |n: i64| Sent {
        service: format!("service-{}", n % 5),
        timestamp_ns: START_NS + n * 1_000_000,
        level: Some("info"),
        message: format!("record number {n}"),
        trace_id: String::new(),
    };
    (from..from + count).map(sent).collect()
}

fn assert_clean(said: &Said) {
    assert_eq!((said.code, said.codes()), (0, vec![]), "{said:?}");
}

fn is_whole(said: &Said) -> bool {
    said.json().as_array().unwrap().iter().all(|row| row["is_done"] == json!(true))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_checks_mends_flushes_and_redrives_a_running_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(
        folder.path(),
        &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h"), ("LOGLAKE_INSECURE", "true"), ("LOGLAKE_BROKER_PARTITIONS", "4")],
    );
    let mut roles: Vec<_> = ["ingestor", "processor", "processor", "query"]
        .into_iter()
        .enumerate()
        .map(|(at, role)| stack.role(role, &format!("{role}-{at}")))
        .collect();
    for role in &mut roles {
        role.wait_ready().await;
    }
    let [ingestor, _, _, query] = &roles[..] else { unreachable!() };
    let run = |args: &[&str]| admin(args, stack.env());
    let client = Client::new(&query.http);
    let mut sent = records(0, 5_000);
    send::all(&ingestor.grpc, "default", &sent).await;

    // Nothing is flushed for an hour, unless somebody asks.
    let flushed = run(&["flush", "--json"]);
    assert!(flushed.code == 0 && is_whole(&flushed), "{flushed:?}");
    let deep = run(&["fsck", "--deep", "--json"]);
    assert_clean(&deep);
    assert_eq!(deep.json()["totals"]["records"], json!(5_000), "{deep:?}");
    assert_eq!(run(&["flush", "--partition", "99"]).code, 2, "nobody has that one");

    // The index is damaged in every way that a server can be, and mended while queries go on.
    let mut connection =
        redis::Client::open(format!("redis://{}", stack.redis.address())).unwrap().get_connection().unwrap();
    let keys: Vec<String> = connection.keys("*").unwrap();
    let chunks: Vec<&String> =
        keys.iter().filter(|key| connection.key_type::<_, String>(key).unwrap() == "zset").collect();
    let mut wanted = Vec::new();
    for (at, key) in chunks.iter().enumerate() {
        let members: Vec<Vec<u8>> = connection.zrange(key, 0, 0).unwrap();
        let _gone: u64 = connection.zrem(key, &members[0]).unwrap();
        // The same number of entries, so that the index does not notice by itself.
        let mut other = members[0].clone();
        if at == 0 {
            other = b"not an entry".to_vec();
            wanted.push("index-unreadable");
        } else {
            let text = String::from_utf8(other).unwrap();
            other = text.replacen("\"records\":", "\"records\":1", 1).into_bytes();
            wanted.push("index-differs");
        }
        let _new: u64 = connection.zadd(key, other, 0).unwrap();
    }
    wanted.sort_unstable();
    let said = run(&["fsck", "--json"]);
    let mut found = said.codes();
    found.sort_unstable();
    assert_eq!((said.code, found), (1, wanted.iter().map(ToString::to_string).collect::<Vec<_>>()), "{said:?}");
    let mended = run(&["fsck", "--repair", "--json"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    assert_clean(&run(&["fsck", "--json"]));
    Oracle::judge("after the index was mended", &sent, &client.all(&json!({}), 1_000).await, false);

    // Queries go on while the whole index is built anew, again and again.
    let stop = Arc::new(AtomicBool::new(false));
    let asking = {
        let (stop, client, sent) = (Arc::clone(&stop), client.clone(), sent.clone());
        tokio::spawn(async move {
            let mut rounds = 0;
            while !stop.load(Ordering::SeqCst) {
                Oracle::judge("while the index is built anew", &sent, &client.all(&json!({}), 2_000).await, false);
                rounds += 1;
            }
            rounds
        })
    };
    for _ in 0..5 {
        let said = tokio::task::block_in_place(|| run(&["reindex", "--json"]));
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.json().as_array().unwrap().iter().all(|row| row["outcome"] == json!("replaced")), "{said:?}");
    }
    stop.store(true, Ordering::SeqCst);
    assert!(asking.await.unwrap() > 0, "something was asked meanwhile");

    // A message that nobody can read goes into quarantine and not into the way.
    let broker = KafkaBroker::connect(kafka::Config {
        brokers: stack.kafka.address(),
        topic: "logs.raw".to_owned(),
        client_id: "a stranger".to_owned(),
        ..kafka::Config::default()
    })
    .await
    .unwrap();
    assert_eq!(broker.topic().await.unwrap().partitions, 4);
    let junk = broker.append(2, Bytes::from_static(b"\x00not a batch\xff")).await.unwrap();
    sent.extend(records(5_000, 500));
    send::all(&ingestor.grpc, "default", &sent[5_000..]).await;
    let flushed = run(&["flush", "--json"]);
    assert!(flushed.code == 0 && is_whole(&flushed), "{flushed:?}");
    let listed = run(&["quarantine", "list", "--json"]);
    let objects: Value = listed.json();
    let message = &objects[0]["messages"][0];
    assert_eq!((objects.as_array().unwrap().len(), &objects[0]["partition"]), (1, &json!(2)), "{listed:?}");
    assert_eq!((&message["offset"], &message["is_readable"]), (&json!(junk.offset), &json!(false)), "{listed:?}");
    assert!(run(&["quarantine", "list"]).out.contains("cannot be read"));
    let redriven = run(&["quarantine", "redrive", "--json"]);
    assert_eq!((redriven.code, &redriven.json()[0]["unreadable"]), (0, &json!(1)), "{redriven:?}");
    let deep = run(&["fsck", "--deep", "--json"]);
    assert_clean(&deep);
    assert_eq!(deep.json()["totals"]["quarantined_messages"], json!(1));
    Oracle::judge("beside the quarantine", &sent, &client.all(&json!({}), 1_000).await, false);

    // The wrong secret asks nobody for anything.
    let mut env = stack.env().to_vec();
    env.push(("LOGLAKE_CLUSTER_SECRET".to_owned(), "another secret, long enough to be taken".to_owned()));
    let refused = admin(&["flush"], &env);
    assert!(refused.code != 0 && format!("{refused:?}").contains("cluster's secret"), "{refused:?}");
}
