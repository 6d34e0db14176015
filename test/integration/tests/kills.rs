//! `loglake dev` under load, killed at every step between "received" and "space given back", and started again: what was
//! acknowledged comes back exactly once, and nothing that was not sent.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loglake_broker::{EmbeddedLog, Producer as _, embedded};
use loglake_integration::admin::assert_folder_is_clean;
use loglake_integration::load::Size;
use loglake_integration::{Client, Dev, Load};
use loglake_model::SystemClock;
use loglake_model::failpoints::{POINTS, VARIABLE as FAILPOINTS};

const START_NS: i64 = 1_772_323_200_000_000_000;
/// How long a process may take until it reaches its end.
const PATIENCE: Duration = Duration::from_secs(60);
const SMALL: Size = Size { records: 20, bytes: 150 };
/// A few of these fill a segment of 1 MiB.
const LARGE: Size = Size { records: 50, bytes: 4_000 };

/// What is done before the process is started that is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// Another place kills it first, under load.
    Kill(&'static str),
    /// The index is lost.
    LoseIndex,
    /// Messages that cannot be read are in the log.
    Garble,
}

/// A place, at which of its hits the process dies, and what it takes to get there.
struct Case {
    point: &'static str,
    hits: &'static [u64],
    before: Before,
    size: Size,
}

const fn case(point: &'static str, hits: &'static [u64]) -> Case {
    Case { point, hits, before: Before::Nothing, size: SMALL }
}

const fn large(point: &'static str, hits: &'static [u64]) -> Case {
    Case { point, hits, before: Before::Nothing, size: LARGE }
}

const fn after(before: Before, point: &'static str, hits: &'static [u64]) -> Case {
    Case { point, hits, before, size: SMALL }
}

/// Every place that a running `loglake dev` passes.
const CASES: &[Case] = &[
    case("ingest.decoded", &[1, 5]),
    case("ingest.appended", &[1, 5]),
    case("log.written", &[1, 5]),
    case("log.synced", &[1, 5]),
    large("log.file_written", &[1, 2]),
    large("log.ended", &[1, 2]),
    large("log.rolled", &[1, 2]),
    large("log.segment_removed", &[1, 2]),
    case("takeover.chain_read", &[1, 2]),
    case("takeover.caught_up", &[1, 2]),
    case("takeover.opened", &[1, 2]),
    case("takeover.leased", &[1, 2]),
    case("worker.fetched", &[1, 5]),
    case("worker.held", &[1, 5]),
    case("flush.begun", &[1, 3]),
    // First, one in the middle, and (chunks_put) after the last.
    case("flush.chunk_built", &[1, 2, 5]),
    case("flush.chunk_put", &[1, 2, 5]),
    case("flush.chunks_put", &[1, 3]),
    after(Before::Garble, "flush.quarantine_put", &[1]),
    case("claim.begun", &[1, 3]),
    case("claim.created", &[1, 3]),
    case("flush.won", &[1, 3]),
    case("flush.applied", &[1, 3]),
    case("flush.committed", &[1, 3]),
    case("flush.trimmed", &[1, 3]),
    after(Before::Kill("flush.won=kill@2"), "index.entry_applied", &[1]),
    after(Before::LoseIndex, "index.rebuilding", &[1, 2]),
    after(Before::LoseIndex, "index.rebuilt", &[1, 2]),
    case("fold.segment_put", &[1, 3]),
    case("fold.checkpoint_created", &[1, 3]),
    case("sweep.object_deleted", &[1, 4]),
    case("sweep.done", &[1]),
    case("folder.staged", &[1, 3]),
    case("folder.linked", &[1, 3]),
];

/// Places that have a test of their own, or that only several processes pass.
const ELSEWHERE: &[(&str, &str)] = &[
    ("worker.finishing", "below: it takes an orderly stop"),
    ("collect.object_deleted", "it takes a thousand commits before something is left over"),
    ("flush.lost", "one processor alone loses no claim; the faults on real servers have it"),
];

#[test]
fn every_fail_point_has_its_case() {
    let known: HashSet<_> =
        CASES.iter().map(|case| case.point).chain(ELSEWHERE.iter().map(|(name, _)| *name)).collect();
    let without: Vec<_> = POINTS.iter().map(|(name, _)| *name).filter(|name| !known.contains(name)).collect();
    assert!(without.is_empty(), "no case kills at {without:?}");
}

/// Flushes and folds that come quickly, on few partitions.
const ENV: &[(&str, &str)] = &[
    ("LOGLAKE_BROKER_PARTITIONS", "2"),
    ("LOGLAKE_BROKER_SEGMENT_BYTES", "1MiB"),
    ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s"),
    ("LOGLAKE_PROCESSOR_FLUSH_BYTES", "1MiB"),
    ("LOGLAKE_PROCESSOR_FOLD_ENTRIES", "2"),
    ("LOGLAKE_PROCESSOR_FOLD_GRACE", "0s"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_it_loses_nothing_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(&folder.path().join("data"), ENV).await;
    let client = Client::new(dev.ports.query_url());
    let load = Load::new(START_NS);
    let only = std::env::var("LOGLAKE_TEST_POINT").ok();
    let mut fired = 0;
    for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| only == case.point)) {
        for hit in case.hits {
            dev.process.kill();
            let what = format!("{} hit {hit}", case.point);
            let first = load.sent();
            match case.before {
                Before::Nothing => {}
                Before::Kill(rule) => {
                    arm(&mut dev, rule);
                    die(&mut dev, &load, case.size, "failpoint ").await;
                }
                Before::LoseIndex => std::fs::remove_dir_all(dev.data().join("index")).unwrap(),
                Before::Garble => garble(&dev.data().join("log")).await,
            }
            arm(&mut dev, &format!("{}=kill@{hit}", case.point));
            die(&mut dev, &load, case.size, &format!("failpoint {what}: kill")).await;
            fired += 1;
            restart(&mut dev).await;
            load.judge(&what, &client, first..load.sent(), 1_000).await;
        }
    }
    load.judge("in the end", &client, 0..load.sent(), 5_000).await;
    assert!(load.acknowledged(0..load.sent()) > 100 * fired.min(5), "the load was taken");
    println!("{fired} kills; {} of {} records acknowledged", load.acknowledged(0..load.sent()), load.sent());
    dev.process.stop().await;
    assert_folder_is_clean(dev.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_its_folder_is_made_or_while_it_stops_it_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    for (number, point) in
        ["log.file_written@1", "log.file_written@2", "folder.staged@1", "folder.linked@1"].iter().enumerate()
    {
        let (name, hit) = point.split_once('@').unwrap();
        let rule = format!("{name}=kill@{hit}");
        let mut env = ENV.to_vec();
        env.push((FAILPOINTS, rule.as_str()));
        let mut dev = Dev::launch(&[], &folder.path().join(format!("data-{number}")), &env);
        let line = format!("failpoint {name} hit {hit}: kill");
        dev.process.killed_at(&line, PATIENCE).await;
        restart(&mut dev).await;
        let load = Load::new(START_NS);
        let running = load.run(&dev.ports.grpc_url(), &dev.ports.ingest_url(), SMALL);
        while load.acknowledged(0..load.sent()) < 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        running.stop().await;
        dev.process.kill();

        arm(&mut dev, "worker.finishing=kill@2");
        dev.wait_ready().await;
        dev.process.signal("TERM");
        dev.process.killed_at("failpoint worker.finishing hit 2: kill", PATIENCE).await;
        restart(&mut dev).await;
        load.judge(point, &Client::new(dev.ports.query_url()), 0..load.sent(), 1_000).await;
        dev.process.stop().await;
        assert_folder_is_clean(dev.data());
    }
}

/// Starts it to die at a place; does not wait, for that may be before it is ready.
fn arm(dev: &mut Dev, failpoints: &str) {
    dev.set(FAILPOINTS, failpoints);
    dev.start_again();
}

/// Starts it to live.
async fn restart(dev: &mut Dev) {
    arm(dev, "");
    dev.wait_ready().await;
}

/// Sends until the process has killed itself at the place that `line` names.
async fn die(dev: &mut Dev, load: &Load, size: Size, line: &str) {
    let running = load.run(&dev.ports.grpc_url(), &dev.ports.ingest_url(), size);
    dev.process.killed_at(line, PATIENCE).await;
    running.stop().await;
}

/// Puts messages that no one can read into both partitions of the log.
async fn garble(log: &Path) {
    let config = embedded::Config { partitions: 2, segment_bytes: 1 << 20, ..embedded::Config::default() };
    let log = EmbeddedLog::open(log, config, Arc::new(SystemClock)).unwrap();
    for partition in 0..2 {
        log.append(partition, Bytes::from_static(b"not a batch")).await.unwrap();
    }
    log.close().await;
}
