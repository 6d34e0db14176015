//! The rounds: gzip alone, ingest over gRPC, queries, gzip alone, ingest over HTTP, gzip alone; after each ingest, half of its rate
//! for a while on a server of its own, for the acknowledgements.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::corpus::{self, Corpus};
use crate::floor::{Floor, Lines};
use crate::place::Place;
use crate::process::Cost;
use crate::profile::{Profile, Recording};
use crate::queries::{Asker, Latency, check_counts, measure};
use crate::send::{Job, Pace, Protocol, Sent, send};
use crate::server::{Server, logs_in};
use crate::stack::Stack;
use crate::stats::{Percentiles, median};
use crate::watch::{Memory, Seen, Watch};

/// What a bench runs on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's program.
    pub binary: PathBuf,
    /// The folder under which data folders are made; on the disk that is to be measured.
    pub scratch: PathBuf,
    /// How many rounds; medians are taken over them.
    pub rounds: usize,
    /// The protocols that records come over.
    pub protocols: Vec<Protocol>,
    /// Three roles on these servers instead of `loglake dev`.
    pub stack: Option<Stack>,
    /// Sample where the CPU goes; this costs some CPU itself.
    pub is_profiled: bool,
    /// How long half of the saturated rate is sent for the acknowledgements; zero for not at all.
    pub half_for: Duration,
    /// Ask the queries.
    pub is_queried: bool,
}

/// What one ingest of the corpus cost, from the server's start to its end, flushed.
#[derive(Clone, Debug, Serialize)]
pub struct Ingest {
    /// How the records came.
    pub protocol: Protocol,
    /// CPU of our processes, microseconds a record.
    pub us_per_record: f64,
    /// The same in gzip floors, those before and after it.
    pub floors: f64,
    /// Records a second until the last was acknowledged.
    pub records_per_second: f64,
    /// Acknowledgements of batches while saturated, milliseconds.
    pub acknowledgements: Percentiles,
    /// The highest memory, all processes together, MiB.
    pub peak_mib: f64,
    /// How memory went while records came.
    pub memory: Memory,
    /// Bytes of all objects a record.
    pub bytes_per_record: f64,
    /// How many chunks.
    pub chunks: u64,
    /// Bytes of the index a chunk.
    pub index_bytes_per_chunk: f64,
    /// CPU by process and by the names of threads, microseconds a record.
    pub budget: Vec<(String, f64)>,
    /// Where the CPU went, if it was sampled.
    pub profile: Option<Profile>,
}

/// Acknowledgements at half of what saturates the server.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Half {
    /// How the records came.
    pub protocol: Protocol,
    /// Records a second.
    pub rate: f64,
    /// From when a batch was due to its acknowledgement, milliseconds.
    pub acknowledgements: Percentiles,
}

/// All figures of a bench.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// What was sent.
    pub corpus: corpus::Settings,
    /// One a protocol and round.
    pub ingests: Vec<Ingest>,
    /// One a protocol and round.
    pub halves: Vec<Half>,
    /// One before, between and after the ingests of each round.
    pub floors: Vec<Floor>,
    /// By query, one a round.
    pub latencies: Vec<Latency>,
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

    /// The median of a figure of a query over the rounds.
    #[must_use]
    pub fn latency(&self, name: &str, pick: fn(&Latency) -> f64) -> f64 {
        median(self.latencies.iter().filter(|latency| latency.name == name).map(pick))
    }

    /// The median of a figure over the rounds of a protocol.
    #[must_use]
    pub fn of(&self, protocol: Protocol, pick: fn(&Ingest) -> f64) -> f64 {
        median(self.ingests.iter().filter(|ingest| ingest.protocol == protocol).map(pick))
    }

    /// The median of a figure at half of saturation over the rounds of a protocol.
    #[must_use]
    pub fn at_half(&self, protocol: Protocol, pick: fn(&Half) -> f64) -> f64 {
        median(self.halves.iter().filter(|half| half.protocol == protocol).map(pick))
    }

    /// The protocols that were measured.
    #[must_use]
    pub fn protocols(&self) -> Vec<Protocol> {
        let has = |protocol: &Protocol| self.ingests.iter().any(|ingest| ingest.protocol == *protocol);
        Protocol::ALL.into_iter().filter(has).collect()
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
        corpus: corpus.settings,
        ingests: Vec::new(),
        halves: Vec::new(),
        floors: Vec::new(),
        latencies: Vec::new(),
        line_bytes: lines.bytes_per_record(),
    };
    for round in 1..=settings.rounds {
        let mut floor_before = lines.measure()?;
        figures.floors.push(floor_before);
        for (at, protocol) in settings.protocols.iter().copied().enumerate() {
            let site = Site::make(settings, "full")?;
            let mut ingest = ingest(settings, corpus, protocol, &site).await?;
            let floor_after = lines.measure()?;
            figures.floors.push(floor_after);
            ingest.floors = ingest.us_per_record / ((floor_before.us_per_record + floor_after.us_per_record) / 2.0);
            floor_before = floor_after;
            eprintln!(
                "round {round}: {} {:.2} us a record, {:.2} floors of {:.2} us, {:.0} records/s, {:.0} MiB",
                protocol.name(),
                ingest.us_per_record,
                ingest.floors,
                floor_after.us_per_record,
                ingest.records_per_second,
                ingest.peak_mib,
            );
            let rate = ingest.records_per_second / 2.0;
            figures.ingests.push(ingest);
            if at == 0 && settings.is_queried {
                figures.latencies.extend(queries(settings, corpus, &site).await?);
            }
            let server = site.start(settings).await?;
            check_counts(&corpus.services, &Asker::new(server.urls(), None)).await?;
            server.stop().await?;
            drop(site);
            if !settings.half_for.is_zero() {
                figures.halves.push(half(settings, corpus, protocol, rate).await?);
            }
        }
    }
    Ok(figures)
}

/// Data and logs of one Loglake, removed with it.
#[derive(Debug)]
pub struct Site {
    folder: tempfile::TempDir,
    /// Where its data are.
    pub place: Place,
    logs: PathBuf,
}

impl Site {
    /// Makes an empty one. On real servers nothing is removed but with the servers: names are never used twice.
    pub(crate) fn make(settings: &Settings, name: &str) -> anyhow::Result<Self> {
        Self::of(settings.stack.as_ref(), &settings.scratch, name)
    }

    /// The same on servers, or in a folder beneath `scratch`.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn of(stack: Option<&Stack>, scratch: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("loglake-bench-").tempdir_in(scratch);
        let folder = folder.with_context(|| format!("making a folder in {}", scratch.display()))?;
        let place = match stack {
            None => Place::Folder(folder.path().join("data")),
            Some(stack) => {
                // The folder's name is random: what a bucket and a topic may be called, once in lower case.
                let random = folder.path().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
                let random = random.rsplit('-').next().unwrap_or_default().to_owned();
                let letters: String = random.bytes().map(|byte| format!("{byte:02x}")).collect();
                Place::Servers { stack: stack.clone(), name: format!("{name}-{letters}") }
            }
        };
        let logs = logs_in(folder.path())?;
        Ok(Self { folder, place, logs })
    }

    pub(crate) async fn start(&self, settings: &Settings) -> anyhow::Result<Server> {
        self.start_binary(&settings.binary).await
    }

    /// Starts `binary` there, and waits until it is ready.
    ///
    /// # Errors
    /// It does not start; with the end of its log.
    pub async fn start_binary(&self, binary: &Path) -> anyhow::Result<Server> {
        Server::start(binary, &self.place, &self.logs).await
    }
}

/// Sends a job and checks that nothing was refused.
pub(crate) async fn send_all(corpus: &Arc<Corpus>, server: &Server, job: &Job) -> anyhow::Result<Sent> {
    let sent = send(corpus, server.urls(), job).await?;
    ensure!(sent.refused == 0, "{} of {} records were refused", sent.refused, sent.refused + sent.acknowledged);
    Ok(sent)
}

async fn ingest(settings: &Settings, corpus: &Arc<Corpus>, protocol: Protocol, site: &Site) -> anyhow::Result<Ingest> {
    let server = site.start(settings).await?;
    let mut recordings = Vec::new();
    if settings.is_profiled {
        for (id, name) in server.processes() {
            recordings.push(Recording::begin(id, &site.folder.path().join(format!("{name}.perf")))?);
        }
    }
    let threads = Watch::begin(server.processes());
    let watch = Watch::begin(server.processes());
    let sent = send_all(corpus, &server, &Job::whole(protocol, corpus)).await?;
    ensure!(sent.acknowledged == corpus.settings.records, "{} records were acknowledged", sent.acknowledged);
    let memory = watch.end()?.memory();
    server.wait_until_consumed(sent.acknowledged).await?;
    let costs = server.stop().await?;
    let seen = threads.end()?;
    // The one with the most samples: the whole in one process, the busiest role of three.
    let mut profile: Option<Profile> = None;
    for recording in recordings {
        let next = recording.end()?;
        if profile.as_ref().is_none_or(|best| best.samples < next.samples) {
            profile = Some(next);
        }
    }

    let records = corpus.settings.records as f64;
    let us = |cpu: Duration| cpu.as_secs_f64() * 1e6 / records;
    let cost = Cost::of_all(&costs);
    let at_rest = site.place.at_rest()?;
    Ok(Ingest {
        protocol,
        us_per_record: us(cost.cpu),
        floors: f64::NAN,
        records_per_second: sent.rate(),
        acknowledgements: Percentiles::of(&sent.acknowledgements),
        peak_mib: cost.peak_bytes as f64 / 1024.0 / 1024.0,
        memory,
        bytes_per_record: at_rest.object_bytes as f64 / records,
        chunks: at_rest.chunks,
        index_bytes_per_chunk: site.place.index_bytes()? as f64 / at_rest.chunks as f64,
        budget: budget(&costs, &seen, us),
        profile,
    })
}

/// CPU by process, where there are several, and by the names of threads.
fn budget(costs: &[(String, Cost)], seen: &Seen, us: impl Fn(Duration) -> f64) -> Vec<(String, f64)> {
    let mut budget = Vec::new();
    if costs.len() > 1 {
        budget.extend(costs.iter().map(|(name, cost)| (name.clone(), us(cost.cpu))));
    }
    budget.extend(seen.threads().into_iter().map(|(name, cpu)| (format!("threads {name}"), us(cpu))));
    budget
}

/// Half of what saturated the server, sent to a new one.
async fn half(settings: &Settings, corpus: &Arc<Corpus>, protocol: Protocol, rate: f64) -> anyhow::Result<Half> {
    let site = Site::make(settings, "half")?;
    let server = site.start(settings).await?;
    let job = Job {
        protocol,
        pace: Pace::Rate(rate),
        batches: usize::MAX,
        for_at_most: Some(settings.half_for),
        tenant: None,
    };
    let sent = send_all(corpus, &server, &job).await?;
    server.stop().await?;
    let half = Half { protocol, rate, acknowledgements: Percentiles::of(&sent.acknowledgements) };
    let Percentiles { p50, p95, p99, .. } = half.acknowledgements;
    eprintln!("  at {rate:.0} records/s: acknowledged in {p50:.1} ms, p95 {p95:.1}, p99 {p99:.1}");
    Ok(half)
}

/// Each query on a server that has just been started, so that the first time is a cold one.
pub(crate) async fn queries(settings: &Settings, corpus: &Corpus, site: &Site) -> anyhow::Result<Vec<Latency>> {
    let mut latencies = Vec::new();
    for needle in &corpus.needles.0 {
        let server = site.start(settings).await?;
        let latency = measure(needle, server.urls()).await?;
        server.stop().await?;
        eprintln!("  {}: {:.1} ms cold, {:.1} ms ({:?})", latency.name, latency.cold_ms, latency.warm_ms, latency.way);
        latencies.push(latency);
    }
    Ok(latencies)
}
