//! The rounds: gzip alone, ingest over gRPC, queries, gzip alone, ingest over HTTP, gzip alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::corpus::Corpus;
use crate::floor::{Floor, Lines};
use crate::ingest::{over_grpc, over_http};
use crate::queries::{Latency, check_counts, measure};
use crate::server::Server;
use crate::stats::median;

/// What a bench runs on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's program.
    pub binary: PathBuf,
    /// The folder under which data folders are made; on the disk that is to be measured.
    pub scratch: PathBuf,
    /// How many rounds; medians are taken over them.
    pub rounds: usize,
}

/// The protocol that records came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One stream of batches.
    Grpc,
    /// Bodies of NDJSON.
    Http,
}

/// What one ingest of the corpus cost, from the server's start to its end, flushed.
#[derive(Clone, Copy, Debug)]
pub struct Ingest {
    /// How the records came.
    pub protocol: Protocol,
    /// CPU of the server, microseconds a record.
    pub us_per_record: f64,
    /// The same in gzip floors, those before and after it.
    pub floors: f64,
    /// Records a second until the last was acknowledged.
    pub records_per_second: f64,
    /// The server's highest memory, MiB.
    pub peak_mib: f64,
    /// Bytes of all objects a record.
    pub bytes_per_record: f64,
    /// How many chunks.
    pub chunks: u64,
}

/// All figures of a bench.
#[derive(Debug)]
pub struct Figures {
    /// One a protocol and round.
    pub ingests: Vec<Ingest>,
    /// One before, between and after the ingests of each round.
    pub floors: Vec<Floor>,
    /// By query, one a round.
    latencies: Vec<Latency>,
    /// How long a line is, in bytes.
    pub line_bytes: f64,
}

impl Figures {
    /// The names of the queries, in order.
    #[must_use]
    pub fn queries(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for latency in &self.latencies {
            if !names.contains(&latency.name) {
                names.push(latency.name);
            }
        }
        names
    }

    /// The medians of a query over the rounds: cold and warm, in milliseconds.
    #[must_use]
    pub fn latency_ms(&self, name: &str) -> (f64, f64) {
        let of = |pick: fn(&Latency) -> Duration| {
            let times = self.latencies.iter().filter(|latency| latency.name == name);
            median(times.map(|latency| pick(latency).as_secs_f64() * 1_000.0))
        };
        (of(|latency| latency.cold), of(|latency| latency.warm))
    }

    /// The median of a figure over the rounds of a protocol.
    #[must_use]
    pub fn of(&self, protocol: Protocol, pick: fn(&Ingest) -> f64) -> f64 {
        median(self.ingests.iter().filter(|ingest| ingest.protocol == protocol).map(pick))
    }

    /// The median of the gzip floors.
    #[must_use]
    pub fn floor(&self, pick: fn(&Floor) -> f64) -> f64 {
        median(self.floors.iter().map(pick))
    }
}

/// Runs all rounds.
///
/// # Errors
/// The server fails, refuses a record, or returns another number of records than was sent: then no figure means anything.
pub async fn run(settings: &Settings, corpus: &Arc<Corpus>) -> anyhow::Result<Figures> {
    let lines = Lines::of(corpus)?;
    let mut figures = Figures {
        ingests: Vec::new(),
        floors: Vec::new(),
        latencies: Vec::new(),
        line_bytes: lines.bytes_per_record(),
    };
    for round in 1..=settings.rounds {
        let mut floor_before = lines.measure()?;
        figures.floors.push(floor_before);
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let folder = tempfile::Builder::new().prefix("loglake-bench-").tempdir_in(&settings.scratch);
            let folder = folder.with_context(|| format!("making a folder in {}", settings.scratch.display()))?;
            let mut ingest = ingest(settings, corpus, protocol, folder.path()).await?;
            let floor_after = lines.measure()?;
            figures.floors.push(floor_after);
            ingest.floors = ingest.us_per_record / ((floor_before.us_per_record + floor_after.us_per_record) / 2.0);
            floor_before = floor_after;
            eprintln!(
                "round {round}: {protocol:?} {:.2} us a record, {:.2} floors of {:.2} us, {:.0} records/s, {:.0} MiB",
                ingest.us_per_record,
                ingest.floors,
                floor_after.us_per_record,
                ingest.records_per_second,
                ingest.peak_mib,
            );
            figures.ingests.push(ingest);
            if protocol == Protocol::Grpc {
                figures.latencies.extend(query(settings, corpus, folder.path()).await?);
            }
            let server = start(settings, folder.path()).await?;
            check_counts(corpus, &server.query_url(), &server.services_url()).await?;
            server.stop().await?;
        }
    }
    Ok(figures)
}

async fn start(settings: &Settings, folder: &Path) -> anyhow::Result<Server> {
    Server::start(&settings.binary, &folder.join("data"), &folder.join("server.log")).await
}

async fn ingest(
    settings: &Settings,
    corpus: &Arc<Corpus>,
    protocol: Protocol,
    folder: &Path,
) -> anyhow::Result<Ingest> {
    let server = start(settings, folder).await?;
    let took = match protocol {
        Protocol::Grpc => over_grpc(corpus, &server.grpc_url()).await?,
        Protocol::Http => over_http(corpus, &server.ingest_url()).await?,
    };
    let cost = server.stop().await?;
    let records = corpus.settings.records as f64;
    let (bytes, chunks) = at_rest(&folder.join("data").join("objects"))?;
    Ok(Ingest {
        protocol,
        us_per_record: cost.cpu.as_secs_f64() * 1e6 / records,
        floors: f64::NAN,
        records_per_second: records / took.as_secs_f64(),
        peak_mib: cost.peak_bytes as f64 / 1024.0 / 1024.0,
        bytes_per_record: bytes as f64 / records,
        chunks,
    })
}

/// Each query on a server that has just been started, so that the first time is a cold one.
async fn query(settings: &Settings, corpus: &Corpus, folder: &Path) -> anyhow::Result<Vec<Latency>> {
    let mut latencies = Vec::new();
    for needle in &corpus.needles.0 {
        let server = start(settings, folder).await?;
        let latency = measure(needle, &server.query_url()).await?;
        server.stop().await?;
        eprintln!(
            "  {}: {:.1} ms cold, {:.1} ms",
            latency.name,
            1e3 * latency.cold.as_secs_f64(),
            1e3 * latency.warm.as_secs_f64()
        );
        latencies.push(latency);
    }
    Ok(latencies)
}

/// Bytes of all objects under `folder`, and how many of them are chunks.
fn at_rest(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let (mut bytes, mut chunks) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let reading = || format!("reading {}", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let metadata = entry.metadata().with_context(reading)?;
            if metadata.is_dir() {
                folders.push(entry.path());
                continue;
            }
            bytes += metadata.len();
            chunks += u64::from(entry.file_name().to_string_lossy().ends_with(".ndjson.gz"));
        }
    }
    ensure!(chunks > 0, "no chunk under {}: nothing was flushed", folder.display());
    Ok((bytes, chunks))
}
