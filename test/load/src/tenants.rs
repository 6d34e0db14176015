//! What many tenants with many services cost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use loglake_agent::{render_line, thousands};
use serde::Serialize;
use serde_json::json;

use crate::bench::Site;
use crate::corpus::{Corpus, START_NS, records};
use crate::process::Cost;
use crate::queries::Asker;
use crate::stack::Stack;
use crate::watch::Watch;

/// Bodies under way at once.
const SENDERS: usize = 8;

/// What many tenants and services cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Tenants {
    /// Tenants.
    pub tenants: usize,
    /// Services of each.
    pub services: usize,
    /// Records of each service.
    pub records: usize,
    /// CPU of our processes, microseconds a record.
    pub us_per_record: f64,
    /// Records a second until the last was acknowledged.
    pub records_per_second: f64,
    /// Memory once everything was consumed and nothing stopped yet, MiB.
    pub held_mib: f64,
    /// The highest memory, MiB.
    pub peak_mib: f64,
    /// How long stopping took, with the flush of all that was held, seconds.
    pub flush_seconds: f64,
    /// Objects written: chunks and the chain's.
    pub objects: u64,
    /// How many of them are chunks.
    pub chunks: u64,
    /// Bytes of a chunk, on average.
    pub chunk_bytes: f64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// The newest hundred of one service of one tenant, after a restart, milliseconds.
    pub query_ms: f64,
}

/// Where and how many.
#[derive(Clone, Debug)]
pub struct Many {
    /// The server's program.
    pub binary: PathBuf,
    /// Where data folders are made.
    pub scratch: PathBuf,
    /// Real servers instead of a folder.
    pub stack: Option<Stack>,
    /// Tenants.
    pub tenants: usize,
    /// Services of each.
    pub services: usize,
    /// Records of each service.
    pub records: usize,
}

/// Sends some records of each service of each tenant, a body a tenant, and flushes them.
///
/// # Errors
/// The server fails, refuses a record, or does not return what was sent.
pub async fn run(many: &Many, corpus: &Corpus) -> anyhow::Result<Tenants> {
    let Many { binary, scratch, stack, tenants, services, records } = many;
    let body = body(corpus, *services, *records)?;
    let site = Site::of(stack.as_ref(), scratch, "tenants")?;
    let server = site.start_binary(binary).await?;
    let watch = Watch::begin(server.processes());
    let took = post_all(&body, &format!("{}/v1/ingest", server.urls().http), *tenants).await?;
    let sent = (tenants * services * records) as u64;
    server.wait_until_consumed(sent).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let held = watch.end()?.last_bytes();
    let stopping = Instant::now();
    let cost = Cost::of_all(&server.stop().await?);
    let flush = stopping.elapsed();
    let at_rest = site.place.at_rest()?;
    let query_ms = ask_one(&site, binary, *services, *records).await?;
    Ok(Tenants {
        tenants: *tenants,
        services: *services,
        records: *records,
        us_per_record: cost.cpu.as_secs_f64() * 1e6 / sent as f64,
        records_per_second: sent as f64 / took.as_secs_f64(),
        held_mib: held as f64 / 1024.0 / 1024.0,
        peak_mib: cost.peak_bytes as f64 / 1024.0 / 1024.0,
        flush_seconds: flush.as_secs_f64(),
        objects: at_rest.objects,
        chunks: at_rest.chunks,
        chunk_bytes: at_rest.object_bytes as f64 / at_rest.chunks as f64,
        index_bytes: site.place.index_bytes()?,
        query_ms,
    })
}

/// The records of one tenant as lines: so many of each service, within one hour.
fn body(corpus: &Corpus, services: usize, per_service: usize) -> anyhow::Result<Bytes> {
    let mut body = Vec::new();
    let mut at = 0;
    for batch in &corpus.batches {
        for mut record in records(batch)? {
            if at == services * per_service {
                return Ok(body.into());
            }
            record.service = service(at % services);
            record.timestamp_ns = START_NS.unsigned_abs() + at as u64 * 1_000_000;
            render_line(&mut body, &record);
            at += 1;
        }
    }
    ensure!(at == services * per_service, "the corpus is too small: {at} records");
    Ok(body.into())
}

fn service(at: usize) -> String {
    format!("service-{at:02}")
}

fn tenant(at: usize) -> String {
    format!("tenant-{at:04}")
}

/// Posts the body once for each tenant; returns how long it took until the last acknowledgement.
async fn post_all(body: &Bytes, url: &str, tenants: usize) -> anyhow::Result<Duration> {
    let client = reqwest::Client::new();
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let (client, next, body, url) = (client.clone(), Arc::clone(&next), body.clone(), url.to_owned());
        senders.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= tenants {
                    return anyhow::Ok(());
                }
                let request = client.post(&url).header("content-type", "application/x-ndjson");
                let answer = request.header("x-scope-orgid", tenant(at)).body(body.clone()).send().await;
                let answer = answer.context("sending over HTTP")?;
                let status = answer.status();
                let text = answer.text().await.context("reading an answer")?;
                ensure!(status.is_success() && text.contains("\"rejected\":0"), "answered with {status}: {text}");
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.context("a sender panicked")??;
    }
    Ok(started.elapsed())
}

/// Asks for one service of one tenant after a restart; checks that it is whole.
async fn ask_one(site: &Site, binary: &Path, services: usize, records: usize) -> anyhow::Result<f64> {
    let server = site.start_binary(binary).await?;
    let asker = Asker::new(server.urls(), Some(&tenant(0)));
    asker.connect().await?;
    let started = Instant::now();
    let page = asker.page(&json!({ "service": service(services / 2), "limit": 100 })).await?;
    let took = started.elapsed();
    ensure!(page.items.len() == records.min(100), "{} of {records} records came back", page.items.len());
    server.stop().await?;
    Ok(took.as_secs_f64() * 1e3)
}

/// What many tenants cost, as a table of Markdown.
#[must_use]
pub fn table(found: &Tenants) -> String {
    let services = found.tenants * found.services;
    let rows = [
        ("tenants x services x records", format!("{} x {} x {}", found.tenants, found.services, found.records)),
        ("records/s", thousands(found.records_per_second as u64)),
        ("CPU, us a record", format!("{:.2}", found.us_per_record)),
        (
            "CPU, us a chunk",
            format!("{:.0}", found.us_per_record * (services * found.records) as f64 / found.chunks as f64),
        ),
        ("memory when all is held, MiB", format!("{:.0}", found.held_mib)),
        ("peak MiB", format!("{:.0}", found.peak_mib)),
        ("stop with its flush, s", format!("{:.1}", found.flush_seconds)),
        ("objects", thousands(found.objects)),
        ("chunks", thousands(found.chunks)),
        ("chunks a service", format!("{:.2}", found.chunks as f64 / services as f64)),
        ("bytes of a chunk", format!("{:.0}", found.chunk_bytes)),
        ("index bytes", thousands(found.index_bytes)),
        ("index bytes a chunk", format!("{:.0}", found.index_bytes as f64 / found.chunks as f64)),
        ("newest 100 of one service, cold, ms", format!("{:.1}", found.query_ms)),
    ];
    let mut text = String::from("| many tenants | |\n|---|---|\n");
    for (name, value) in rows {
        text += &format!("| {name} | {value} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{Kind, Settings};

    #[test]
    fn a_tenants_body_has_the_records_of_each_service() {
        let loghub = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/loghub");
        let corpus = Corpus::make(Settings { kind: Kind::Hard, records: 1_000, seed: 1 }, &loghub).unwrap();
        let text = String::from_utf8(body(&corpus, 7, 3).unwrap().to_vec()).unwrap();
        assert_eq!(text.lines().count(), 21);
        assert_eq!(text.matches("\"service-06\"").count(), 3);
        assert!(body(&corpus, 100, 11).is_err());
    }
}
