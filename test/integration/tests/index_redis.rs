//! The chunk index in a real Redis server.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use loglake_index::redis::Config;
use loglake_index::{Apply, Change, ChunkIndex, Error, RedisIndex, SessionChange, Snapshot, Watermark, conformance};
use loglake_integration::programs;
use loglake_integration::stack::Native;

fn server(dir: &Path) -> Native {
    programs::tools(&["redis"]);
    Native::start("redis.sh", dir.to_owned())
}

async fn connect(server: &Native, cluster: &str, incarnation: u32) -> RedisIndex {
    RedisIndex::connect(Config::new(server.address(), cluster, incarnation)).await.unwrap()
}

/// Says something to the server itself.
async fn command(server: &Native, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.unwrap()
}

fn entry(seq: u64) -> Change {
    let session = SessionChange { session: "aa".to_owned(), state: Some(seq.to_string()) };
    Change { seq, next: seq, adds: Vec::new(), removes: Vec::new(), sessions: vec![session], gap: None }
}

async fn begin(index: &RedisIndex) {
    let token = index.begin_rebuild(0).await.unwrap();
    let snapshot =
        Snapshot { watermark: Watermark { seq: 0, next: 0 }, live: Vec::new(), sessions: Vec::new(), gaps: Vec::new() };
    assert!(index.rebuild(0, &token, &snapshot).await.unwrap());
    assert_eq!(index.apply(0, &entry(1)).await.unwrap(), Apply::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let index = connect(&server, "conformance {x}/", 3).await;
    conformance::all(Arc::new(index)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushall_leads_to_a_rebuild_never_to_a_wrong_answer() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let index = connect(&server, "c", 0).await;
    conformance::survives_loss(&index, 0, async || {
        command(&server, &["FLUSHALL"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_key_that_vanishes_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let index = connect(&server, "c", 0).await;
    for key in ["w", "s", "c"] {
        begin(&index).await;
        let added = Change { adds: vec![conformance::chunk("t", "s", 0, 0, "a")], ..entry(2) };
        assert_eq!(index.apply(0, &added).await.unwrap(), Apply::Applied);
        let token = index.begin_rebuild(0).await.unwrap();
        command(&server, &["DEL", &format!("loglake:1:{{c/0/0}}:{key}")]).await;
        assert_eq!(index.apply(0, &entry(3)).await.unwrap(), Apply::Refused(None), "without {key}");
        assert_eq!(index.sessions(0).await.unwrap(), None);
        if key != "w" {
            let snapshot = Snapshot {
                watermark: Watermark { seq: 9, next: 9 },
                live: Vec::new(),
                sessions: Vec::new(),
                gaps: Vec::new(),
            };
            assert!(!index.rebuild(0, &token, &snapshot).await.unwrap(), "begun before the loss");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_that_a_program_left_behind_are_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let index = connect(&server, "c", 0).await;
    let (mark, sums) = ("loglake:1:{c/0/0}:w", "loglake:1:{c/0/0}:b");
    // As a program leaves it that writes no sums, as one that knows of none and goes on where another had some, without the key,
    // with a tenant too many.
    let ways: [&[&[&str]]; 4] = [
        &[&["HDEL", mark, "summed", "tenants"], &["HSET", sums, "t", "7"]],
        &[&["HSET", mark, "summed", "0"], &["HSET", sums, "t", "7"]],
        &[&["DEL", sums]],
        &[&["HSET", sums, "v", "7"]],
    ];
    for way in ways {
        conformance::forgotten_sums_are_added_up(&index, 0, async || {
            for words in way {
                command(&server, words).await;
            }
        })
        .await;
        command(&server, &["FLUSHALL"]).await;
    }
    // Another adds up at the moment: told as such, and known a moment later.
    begin(&index).await;
    let added = Change { adds: vec![conformance::chunk("t", "s", 0, 0, "a")], ..entry(2) };
    assert_eq!(index.apply(0, &added).await.unwrap(), Apply::Applied);
    command(&server, &["DEL", sums]).await;
    let lease = index.acquire("sums:0:0", "another", "", std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(lease.holder, "another");
    let tenant = [loglake_model::TenantName::parse("t").unwrap()];
    assert_eq!(index.stored_bytes(&tenant, &[0]).await.unwrap().lacking, [0]);
    assert!(index.stored_by_tenant(0).await.unwrap_err().kind().is_retryable());
    index.release("sums:0:0", "another").await.unwrap();
    let stored = index.stored_bytes(&tenant, &[0]).await.unwrap();
    assert_eq!((&stored.bytes[..], &stored.lacking[..]), (&[1000][..], &[][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_and_incarnations_do_not_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    begin(&connect(&server, "c", 0).await).await;
    for (cluster, incarnation) in [("c", 1), ("d", 0), ("C", 0), ("c/0", 0)] {
        assert_eq!(connect(&server, cluster, incarnation).await.watermark(0).await.unwrap(), None);
    }
    assert!(connect(&server, "c", 0).await.watermark(0).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_would_evict_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    command(&server, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let error = RedisIndex::connect(Config::new(server.address(), "c", 0)).await.unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("noeviction")), "{error}");

    // Where CONFIG is forbidden INFO tells it; where the server does not tell at all, it is taken with a warning.
    command(&server, &["ACL", "SETUSER", "limited", "on", ">pass", "~*", "+@all", "-config"]).await;
    let limited = format!("redis://limited:pass@{}", server.address());
    let error = RedisIndex::connect(Config::new(limited.clone(), "c", 0)).await.unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("allkeys-lru")), "{error}");
    command(&server, &["ACL", "SETUSER", "limited", "-info"]).await;
    RedisIndex::connect(Config::new(limited, "c", 0)).await.unwrap();
    let wrong = format!("redis://limited:wrong@{}", server.address());
    let error = RedisIndex::connect(Config::new(wrong, "c", 0)).await.unwrap_err();
    assert!(matches!(error, Error::Unfit(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_memory_changes_nothing_by_halves() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let index = connect(&server, "c", 0).await;
    begin(&index).await;
    command(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let added = Change { adds: vec![conformance::chunk("t", "s", 0, 0, "a")], ..entry(2) };
    for change in [&added, &entry(2)] {
        let error = index.apply(0, change).await.unwrap_err();
        assert!(error.kind().is_retryable(), "{error}");
    }
    let (watermark, sessions) = index.sessions(0).await.unwrap().unwrap();
    assert_eq!((watermark.seq, sessions[0].state.as_deref()), (1, Some("1")));
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(index.apply(0, &added).await.unwrap(), Apply::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_a_stall_are_survived() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let config = Config { response_timeout: Duration::from_millis(500), ..Config::new(server.address(), "c", 0) };
    let index = RedisIndex::connect(config).await.unwrap();
    begin(&index).await;

    server.stop();
    assert!(index.watermark(0).await.unwrap_err().kind().is_retryable());
    server.start_again();
    let mut tries = 0;
    let watermark = loop {
        match index.watermark(0).await {
            Ok(watermark) => break watermark,
            Err(error) => assert!(error.kind().is_retryable() && tries < 50, "{error}"),
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(watermark, Some(Watermark { seq: 1, next: 1 }));

    command(&server, &["CLIENT", "PAUSE", "1500", "ALL"]).await;
    let error = index.watermark(0).await.unwrap_err();
    assert!(error.kind().is_retryable(), "{error}");
    tokio::time::sleep(Duration::from_millis(1600)).await;
    // Late answers go to nobody: this one is its own.
    assert_eq!(index.apply(0, &entry(2)).await.unwrap(), Apply::Applied);
    assert_eq!(index.watermark(0).await.unwrap(), Some(Watermark { seq: 2, next: 2 }));
}
