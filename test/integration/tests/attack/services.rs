//! Very many services of one tenant, flushed, and a flood of queries over all of them: each has a chunk of its own.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::probe::Probe;
use crate::site::Site;

/// When the records are of: two windows.
const TIMES: [&str; 2] = ["2026-03-01T10:00:00Z", "2026-03-01T20:00:00Z"];
/// Between the two.
const HALF: &str = "2026-03-01T15:00:00Z";
/// Records a request.
const BATCH: usize = 5_000;
/// Queries at a time.
const AT_ONCE: usize = 32;

/// Services, each a chunk: a file system that syncs each of them takes some hundred a second.
fn services() -> usize {
    if crate::size() > 1 { 40_000 } else { 3_000 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_over_very_many_services_hold_bounded_memory() {
    let count = services();
    // The limit of services is raised: what it does not keep out must not harm others either.
    let env = [
        ("LOGLAKE_LIMITS_SERVICES", "1000000"),
        ("LOGLAKE_LIMITS_NEW_SERVICES", "1000000"),
        ("LOGLAKE_LIMITS_WINDOWS", "1000000"),
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "5s"),
    ];
    // Half of them fit, all do not.
    let room = [("LOGLAKE_QUERY_PLAN_BYTES", if crate::size() > 1 { "64MiB" } else { "4MiB" })];
    let env = [&env[..], &room].concat();
    let mut site = Site::start_with(&env).await;
    let probe = Probe::start(&site);
    let target = site.target();
    let client = reqwest::Client::new();
    for from in (0..count).step_by(BATCH) {
        let body: String = (from..count.min(from + BATCH))
            .map(|n| {
                let (service, at) = (format!("service-with-a-name-{n:x}"), TIMES[n % 2]);
                json!({"service": service, "timestamp": at, "message": "one of many"}).to_string() + "\n"
            })
            .collect();
        loop {
            let request = client.post(format!("{}/v1/ingest", target.ports.ingest_url())).bearer_auth(&target.evil);
            let request = request.header("content-type", "application/x-ndjson").body(body.clone());
            let answer = request.send().await.unwrap();
            let status = answer.status();
            if status == StatusCode::OK {
                let answer: Value = answer.json().await.unwrap();
                assert_eq!(answer["rejected"], json!(0), "{answer}");
                break;
            }
            assert!([429, 503].contains(&status.as_u16()), "{status}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    println!("{count} services sent, {} MiB resident, {} MiB at most", site.resident_mib(), site.peak_mib());
    // All are in chunks.
    let objects = site.dev.objects();
    loop {
        let chunks = walk(&objects);
        if chunks >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        site.stands("while it is flushed");
    }
    println!("flushed: {} MiB resident, {} MiB at most", site.resident_mib(), site.peak_mib());
    let query = target.ports.query_url();
    // Half of them have room, one after the other; all do not.
    let questions = [
        ("/v1/query", json!({"limit": 10, "to_ts": HALF})),
        ("/v1/query", json!({"limit": 10})),
        ("/v1/aggregate", json!({"group_by": ["level"], "to_ts": HALF})),
        ("/v1/query", json!({"contains": "no such words"})),
        ("/v1/aggregate", json!({"contains": "of many"})),
        ("/v1/query", json!({"limit": 10, "direction": "forward", "from_ts": HALF})),
    ];
    let statuses = stream::iter(0..AT_ONCE * crate::size().min(4)).map(|n| {
        let (path, body) = &questions[n % questions.len()];
        let request = client.post(format!("{query}{path}")).bearer_auth(&target.evil);
        let request = request.header("content-type", "application/json").body(body.to_string());
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    });
    let answers: Vec<(u16, String)> = statuses.buffer_unordered(AT_ONCE).collect().await;
    let of = |status: u16| answers.iter().filter(|(said, _)| *said == status).count();
    println!("{} answered, {} 422, {} 429, {} 504", of(200), of(422), of(429), of(504));
    assert!(of(200) > 0 && of(422) > 0, "some have room, some do not");
    for (status, text) in &answers {
        assert!([200, 422, 429, 504].contains(status), "{status}: {}", &text[..text.len().min(500)]);
        assert!(*status != 422 || text.contains("shorter range"), "{text}");
    }
    // One service is as quick as ever.
    let one =
        client.post(format!("{query}/v1/query")).bearer_auth(&target.evil).header("content-type", "application/json");
    let answer = one.body(json!({"service": "service-with-a-name-7b"}).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["items"].as_array().map(Vec::len), Some(1), "{answer}");
    println!("queries: {} MiB resident, {} MiB at most", site.resident_mib(), site.peak_mib());
    site.stands("queries over very many services");
    println!("{}", probe.end().await);
    site.stop().await;
}

/// How many chunks lie below `folder`.
fn walk(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => walk(&entry.path()),
        Ok(kind) if kind.is_file() => usize::from(entry.path().to_string_lossy().contains("/tenant=evil/")),
        _ => 0,
    };
    entries.flatten().map(count).sum()
}
