//! The load: writers over HTTP, unary gRPC and gRPC streams, for several tenants. Half of them send again what has no answer, with
//! what the server promises to drop repetitions by: a key, or a session.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::prelude::*;

use crate::entry::Record;
use crate::ledger::{Draft, Ledger};
use crate::site::Site;
use crate::writer::{self, Kind};

/// What the event times of the load are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Of the last two hours.
    Recent,
    /// Anything from 1970 to 2262.
    Wild,
}

/// The shape of the load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Writers; they take turns over kinds and tenants.
    pub writers: usize,
    /// Their kinds; not none.
    pub kinds: &'static [Kind],
    /// Services a tenant.
    pub services: usize,
    /// Records a batch.
    pub batch: Range<usize>,
    /// Bytes of text a record, besides tenant and number.
    pub text: Range<usize>,
    /// Between two batches of a writer.
    pub pause: Duration,
    /// How long a writer waits for an answer before it takes the outcome as unknown.
    pub patience: Duration,
    /// Event times.
    pub times: Times,
    /// Between two walks of the background reader.
    pub watch_pause: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            writers: 6,
            kinds: Kind::ALL,
            services: 3,
            batch: 1..30,
            text: 10..200,
            pause: Duration::from_millis(40),
            patience: Duration::from_secs(20),
            times: Times::Recent,
            watch_pause: Duration::from_millis(100),
        }
    }
}

/// Makes the records of one writer.
#[derive(Debug)]
pub struct Source {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) plan: Plan,
    pub(crate) site: Site,
    pub(crate) writer: usize,
    pub(crate) kind: Kind,
    pub(crate) tenant: usize,
    pub(crate) random: StdRng,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Source {
    /// The tenant's name.
    pub(crate) fn tenant(&self) -> String {
        self.ledger.tenants()[self.tenant].clone()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A batch of new records; not yet attempted.
    pub(crate) fn batch(&mut self) -> Vec<Record> {
        let count = self.random.random_range(self.plan.batch.clone());
        (0..count).map(|_| self.record()).collect()
    }

    fn record(&mut self) -> Record {
        let length = self.random.random_range(self.plan.text.clone());
        let text: String = (0..length).map(|_| *TEXT.choose(&mut self.random).unwrap_or(&'x')).collect();
        let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() as i64;
        let timestamp_ns = match self.plan.times {
            Times::Recent => now - self.random.random_range(0..2 * 3_600_000_000_000i64),
            // A gRPC time of 0 means the time of receipt.
            Times::Wild => match self.random.random_range(0..4) {
                0 => self.random.random_range(1..1_000),
                1 => self.random.random_range(1..now),
                2 => i64::MAX - self.random.random_range(1..1_000_000_000),
                _ => self.random.random_range(now..i64::MAX),
            },
        };
        let draft = Draft {
            tenant: self.tenant,
            writer: self.writer,
            service: format!("service-{}", self.random.random_range(0..self.plan.services)),
            timestamp_ns,
            level: *[None, Some("info"), Some("warn"), Some("error")].choose(&mut self.random).unwrap_or(&None),
            text: &text,
            is_deduplicated: self.kind.is_deduplicated(),
        };
        self.ledger.number(draft)
    }
}

/// What must survive JSON, gzip and filters: quotes, escapes, controls, other scripts.
const TEXT: [char; 20] = [
    'a', 'b', 'c', 'd', 'e', 'f', 'g', ' ', ' ', '0', '1', '"', '\\', '\n', '\t', '\u{7f}', 'ü', '日', '\u{202e}', '🦀',
];

/// Writers at work.
#[derive(Debug)]
pub struct Load {
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Starts the writers.
    pub fn start(ledger: &Arc<Ledger>, site: &Site, plan: &Plan, seed: u64) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let tasks = (0..plan.writers)
            .map(|writer| {
                let source = Source {
                    ledger: Arc::clone(ledger),
                    plan: plan.clone(),
                    site: site.clone(),
                    writer,
                    kind: plan.kinds[writer % plan.kinds.len()],
                    tenant: (writer + writer / 3) % ledger.tenants().len(),
                    random: StdRng::seed_from_u64(seed.wrapping_add(writer as u64)),
                    stop: Arc::clone(&stop),
                };
                tokio::spawn(writer::run(source))
            })
            .collect();
        Self { ledger: Arc::clone(ledger), stop, tasks }
    }

    /// Waits until `count` more records were acknowledged.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn acknowledged_more(&self, count: u64, within: Duration) -> Result<()> {
        let began = Instant::now();
        let before = self.ledger.counts().1;
        loop {
            let now = self.ledger.counts().1;
            if now >= before + count {
                return Ok(());
            }
            if began.elapsed() > within {
                bail!("only {} of {count} more records were acknowledged within {within:?}", now - before);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the writers once they know the outcome of what they sent, or have given up.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            // A writer that panicked has told so on stderr; what it sent counts as unknown.
            let _panicked = task.await;
        }
    }
}
