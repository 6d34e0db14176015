//! Ten thousand connections that do nothing, on each port in turn: a client that does something finds a place beside them.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::probe::Served;
use crate::site::{Site, Target};

/// As many as there are on a port.
const CROWD: usize = 10_000;
/// Files that the test has beside them.
const OTHER_FILES: usize = 500;
/// How long a connection may take to be made. What cannot be made then is not there, and harms nobody.
const PATIENCE: Duration = Duration::from_secs(3);
/// What may fail of them all: a burst may overflow the queue of those that wait to be accepted.
const MOST_FAILED: usize = CROWD / 50;
/// As many as there are on the ports that no client uses: more than there are places.
const SMALL_CROWD: usize = 1_500;
/// What a process has open besides a port's connections.
const MOST_FILES: usize = 1_024 + 600;
/// How many are made at a time.
const AT_A_TIME: usize = 1_000;

/// Raises how many files this process may have open; says how many connections fit.
fn room() -> usize {
    let wanted = CROWD + OTHER_FILES;
    let pid = std::process::id().to_string();
    for limit in [format!("{wanted}:"), format!("{wanted}:{wanted}")] {
        // As far as it is allowed.
        let _said = std::process::Command::new("prlimit").args(["--pid", &pid, "--nofile", &limit]).output();
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    CROWD.min(soft - OTHER_FILES)
}

/// What such a connection says, if anything, before it falls silent.
fn words(port: u16, target: &Target, n: usize) -> Vec<u8> {
    let is_grpc = port == target.ports.ingest_grpc;
    match n % 3 {
        0 => Vec::new(),
        1 if is_grpc => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        1 => b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        _ if is_grpc => b"PRI * HT".to_vec(),
        _ => b"GET /health HTTP/1.1\r\nX-Slow: ".to_vec(),
    }
}

async fn crowd(port: u16, target: &Target, count: usize) -> Vec<TcpStream> {
    let connections = stream::iter(0..count).map(|n| async move {
        let mut connection = timeout(PATIENCE, TcpStream::connect(("127.0.0.1", port))).await.ok()?.ok()?;
        // The server may have closed it again to make room.
        let _closed = connection.write_all(&words(port, target, n)).await;
        Some(connection)
    });
    connections.buffer_unordered(AT_A_TIME).filter_map(async |connection| connection).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_served_beside_ten_thousand_that_do_nothing() {
    let count = room();
    let mut site = Site::start().await;
    let target = site.target();
    for (what, port, count) in [
        ("gRPC ingest", target.ports.ingest_grpc, count),
        ("HTTP ingest", target.ports.ingest_http, count),
        ("query", target.ports.query, count),
        ("tail", target.ports.tail, SMALL_CROWD),
        ("metrics", target.ports.metrics[0], SMALL_CROWD),
    ] {
        let began = Instant::now();
        let idle = crowd(port, &target, count).await;
        let files = site.open_files();
        println!(
            "{what}: {} of {count} idle connections made in {:?}, {files} files open",
            idle.len(),
            began.elapsed()
        );
        assert!(idle.len() + MOST_FAILED >= count, "{what}: only {} of {count} connections were made", idle.len());
        assert!(files <= MOST_FILES, "{what}: {files} files are open");
        let mut served = Served::default();
        // One by gRPC, one by HTTP, and a query after each.
        for n in 0..4 {
            served.one(&target, n + 10 * u64::from(port)).await;
        }
        println!("{what}: {}", served.summary());
        site.stands(what);
        drop(idle);
    }
    println!("{} MiB resident, {} MiB at most", site.resident_mib(), site.peak_mib());
    site.stop().await;
}
