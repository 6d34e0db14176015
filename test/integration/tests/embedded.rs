//! `loglake dev` as a user runs it: real lines in, every one of them out again, whatever happens to the process.
#![allow(clippy::unwrap_used, reason = "a test")]

use loglake_integration::oracle::{Sent, rfc3339};
use loglake_integration::{Client, Dev, Oracle, send};
use rand::prelude::*;
use serde_json::{Value, json};

const START: &str = "2026-03-01T00:00:00Z";
const START_NS: i64 = 1_772_323_200_000_000_000;
const STEP: &str = "700ms";
const STEP_NS: i64 = 700_000_000;

/// The sixteen files of Loghub, and what they should give.
fn loghub() -> (Oracle, Vec<std::path::PathBuf>) {
    assert_eq!(rfc3339(START_NS), "2026-03-01T00:00:00.000000000Z");
    let files = Oracle::loghub();
    (Oracle::of_files(&files, START_NS, STEP_NS), files)
}

#[tokio::test]
async fn every_line_comes_back_once_before_a_flush_after_a_crash_and_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h")]).await;
    let (oracle, files) = loghub();
    send::files(&dev.ports.grpc_url(), "default", START, STEP, &files);
    let client = Client::new(dev.ports.query_url());

    let everything = json!({});
    let before = client.all(&everything, 1000).await;
    Oracle::judge("before any flush", &oracle.sent, &before, false);
    assert!(!dev.objects().join("data").exists(), "nothing was flushed yet");

    dev.process.kill();
    dev.restart().await;
    let after_crash = client.all(&everything, 777).await;
    assert!(before == after_crash, "the same records with the same ids after kill -9 and a restart");

    dev.process.stop().await;
    let chunks = walk(&dev.objects().join("data"));
    assert!(chunks.len() >= 16, "a clean stop flushes: {} chunks", chunks.len());
    dev.restart().await;
    let after_stop = client.all(&everything, 10_000).await;
    assert!(before == after_stop, "the same records with the same ids after a clean stop");
    let forward = client.all(&json!({"direction": "forward"}), 5_000).await;
    Oracle::judge("oldest first", &oracle.sent, &forward, true);

    // New records beside flushed ones, and a crash in between.
    let more: Vec<Sent> = (0..500)
        .map(|n| Sent {
            service: "Hadoop".to_owned(),
            timestamp_ns: START_NS + n * 1_000_000,
            level: Some("warn"),
            message: format!("beside the flushed ones, number {n}"),
            trace_id: format!("{n:032x}"),
        })
        .collect();
    send::all(&dev.ports.grpc_url(), "default", &more).await;
    dev.process.kill();
    dev.restart().await;
    let all: Vec<Sent> = oracle.sent.iter().chain(&more).cloned().collect();
    Oracle::judge("flushed and not", &all, &client.all(&everything, 4_000).await, false);
    let services: Value = serde_json::from_str(&client.get("/v1/services").await.1).unwrap();
    assert_eq!(services["complete"], json!(true), "{services}");
    let counts: u64 =
        services["services"].as_array().unwrap().iter().map(|service| service["records"].as_u64().unwrap()).sum();
    assert_eq!(counts, all.len() as u64, "{services}");
    dev.process.stop().await;

    // The index is derived: without it the answers are the same.
    std::fs::remove_dir_all(dev.data().join("index")).unwrap();
    dev.restart().await;
    Oracle::judge("index rebuilt", &all, &client.all(&everything, 4_000).await, false);
    dev.process.stop().await;
}

#[tokio::test]
async fn filters_agree_with_a_plain_scan() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "2s")]).await;
    let (mut oracle, files) = loghub();
    let seed: u64 = std::env::var("LOGLAKE_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("LOGLAKE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    send::files(&dev.ports.grpc_url(), "default", START, STEP, &files);
    // Records with traces across services, texts that need escaping, and equal timestamps.
    let odd = [
        "quote \" and \\ back",
        "tab\there",
        "nül \u{0}\u{7f}\u{202e}bidi",
        "line\nfeed",
        "日本語のログ",
        "\\n is not a line feed",
    ];
    let traced: Vec<Sent> = (0..3_000)
        .map(|n: i64| Sent {
            service: format!("shop/{}", n % 7),
            timestamp_ns: START_NS + n / 3 * 1_000_000_000,
            level: [None, Some("error"), Some("info")][(n % 3) as usize],
            message: format!("{} order {} of {}", odd[(n % 6) as usize], n * 7919 % 1000, n),
            trace_id: format!("{:032x}", n / 5),
        })
        .collect();
    send::all(&dev.ports.grpc_url(), "default", &traced).await;
    oracle.sent.extend(traced);
    let client = Client::new(dev.ports.query_url());
    // Some before the flush, some while it runs, most after it.
    for number in 0..300 {
        let question = oracle.question(&mut random);
        let limit = random.random_range(1..3_000).max(question.expected.len() / 15);
        let items = client.all(&question.body, limit.clamp(1, 10_000)).await;
        let is_forward = question.body["direction"] == json!("forward");
        Oracle::judge(
            &format!("question {number} {} (seed {seed})", question.body),
            &question.expected,
            &items,
            is_forward,
        );
        if number == 60 {
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        }
    }
    assert!(!walk(&dev.objects().join("data")).is_empty(), "most questions were asked of flushed chunks");
}

/// All files below `folder`.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path] }
        })
        .collect()
}
