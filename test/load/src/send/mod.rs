//! Sending a corpus: as fast as the server takes it, or at a rate; by a protocol; with the time of every acknowledgement.

mod grpc;
mod http;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::corpus::Corpus;
use crate::server::Urls;

/// The protocol that records come over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// One gRPC stream of batches, in a session.
    Grpc,
    /// Bodies of NDJSON to `POST /v1/ingest`.
    Http,
}

impl Protocol {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC stream",
            Self::Http => "HTTP NDJSON",
        }
    }
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the server takes it, with so many batches under way: what saturates it.
    Saturate(usize),
    /// So many records a second, whether earlier ones were acknowledged or not, as many independent senders would. A batch
    /// counts from when it was due, so that a server that stalls is not spared the waiting.
    Rate(f64),
}

/// Batches under way at once when a server is saturated.
pub const IN_FLIGHT: usize = 8;
/// And at most when it is sent to at a rate: past that it has lost the race, and sending waits.
const MOST_IN_FLIGHT: usize = 64;
/// No answer for so long is a failure.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What is sent.
#[derive(Clone, Debug)]
pub struct Job {
    /// Over which protocol.
    pub protocol: Protocol,
    /// How fast.
    pub pace: Pace,
    /// At most so many batches of the corpus, from its beginning, and from there again when it ends.
    pub batches: usize,
    /// No batch is begun later than this.
    pub for_at_most: Option<Duration>,
    /// The tenant, of a server in open mode; `None` for the default one.
    pub tenant: Option<String>,
}

impl Job {
    /// A corpus, whole and once, as fast as the server takes it.
    #[must_use]
    pub fn whole(protocol: Protocol, corpus: &Corpus) -> Self {
        let pace = Pace::Saturate(IN_FLIGHT);
        Self { protocol, pace, batches: corpus.batches.len(), for_at_most: None, tenant: None }
    }
}

/// What became of it: all batches from the corpus' beginning, one acknowledgement each.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Records that the server refused.
    pub refused: u64,
    /// Until the last acknowledgement.
    pub took: Duration,
    /// From sending a batch (or when it was due) to its acknowledgement, one a batch.
    pub acknowledgements: Vec<Duration>,
}

impl Sent {
    /// Records acknowledged a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Sends a job's batches and waits for their acknowledgements.
///
/// # Errors
/// The server cannot be reached, breaks the protocol, does not answer for a minute, or cannot keep a batch.
pub async fn send(corpus: &Arc<Corpus>, urls: &Urls, job: &Job) -> anyhow::Result<Sent> {
    match job.protocol {
        Protocol::Grpc => grpc::send(corpus, &urls.grpc, job).await,
        Protocol::Http => http::send(corpus, &urls.http, job).await,
    }
}

/// When each batch of a job is to be sent.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    started: Instant,
    /// `None`: at once.
    between: Option<Duration>,
    in_flight: usize,
    batches: usize,
    ends: Option<Instant>,
}

impl Schedule {
    fn begin(corpus: &Corpus, job: &Job) -> Self {
        let (between, in_flight) = match job.pace {
            Pace::Saturate(in_flight) => (None, in_flight.max(1)),
            Pace::Rate(rate) => {
                let records = corpus.settings.records as f64 / corpus.batches.len().max(1) as f64;
                (Some(Duration::from_secs_f64(records / rate.max(1e-3))), MOST_IN_FLIGHT)
            }
        };
        let started = Instant::now();
        Self { started, between, in_flight, batches: job.batches, ends: job.for_at_most.map(|span| started + span) }
    }

    /// Whether the batch `at` is to be sent at all.
    fn has(&self, at: usize) -> bool {
        let begins = self.due(at).unwrap_or_else(Instant::now);
        at < self.batches && self.ends.is_none_or(|ends| begins < ends)
    }

    /// When the batch `at` is due; `None` when it may go at once.
    fn due(&self, at: usize) -> Option<Instant> {
        self.between.map(|between| self.started + between.mul_f64(at as f64))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::corpus::{Kind, Settings};

    #[test]
    fn a_rate_sets_when_each_batch_is_due() {
        let loghub = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/loghub");
        let corpus = Corpus::make(Settings { kind: Kind::Easy, records: 3_000, seed: 1 }, &loghub).unwrap();
        let mut job = Job { pace: Pace::Rate(10_000.0), ..Job::whole(Protocol::Grpc, &corpus) };
        let schedule = Schedule::begin(&corpus, &job);
        assert_eq!(schedule.due(5), Some(schedule.started + Duration::from_millis(500)));
        assert!(schedule.has(2) && !schedule.has(3), "the corpus has three batches");
        job.batches = usize::MAX;
        job.for_at_most = Some(Duration::from_millis(450));
        let schedule = Schedule::begin(&corpus, &job);
        assert!(schedule.has(4) && !schedule.has(5));
        let schedule = Schedule::begin(&corpus, &Job { pace: Pace::Saturate(3), for_at_most: None, ..job });
        assert_eq!((schedule.due(5), schedule.in_flight, schedule.has(1_000)), (None, 3, true));
    }
}
