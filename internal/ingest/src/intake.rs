//! The way of a request's records, the same for every protocol: validated and rendered into messages, one for each partition
//! (more where they do not fit), then appended side by side. Crash order: nothing is told to the client before the broker
//! confirmed it; what was appended and not told may come again.
//!
//! Where repeats are told apart (a session, an idempotency key) the same request becomes the same messages however often it is
//! sent, wherever: routed by the origin's own count of partitions, cut by the lengths of the lines, and with the same records.
//! So which records are refused must not depend on when they came: in a session their times are measured from its hour; a
//! request with a key is refused as a whole when one of its records lies outside of the times allowed; both are, when one of
//! their records is of a service that the tenant has no room for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use loglake_auth::limits::{Over, Quota};
use loglake_batch::Origin;
use loglake_batch::repeats::SESSION_GOOD_NS;
use loglake_broker::Producer;
use loglake_model::{Clock, ErrorKind, Fault, TenantId, failpoint, fails};
use loglake_pipeline::{Measured, Pipeline};
use tracing::warn;

use crate::gathering::Gathering;
use crate::log_time::LogTime;
use crate::metrics::Metrics;

/// How many of a request's faults are told; all are counted.
pub(crate) const MAX_TOLD: usize = 100;

/// Takes in the records of requests.
pub(crate) struct Intake {
    pub(crate) producer: Arc<dyn Producer>,
    pub(crate) partitions: u32,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pipeline: Pipeline,
    pub(crate) append_timeout: Duration,
    pub(crate) log_time: LogTime,
    pub(crate) metrics: Metrics,
}

/// A fault of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Where the record stood, as its protocol counts.
    pub(crate) place: u64,
    /// What is wrong with it.
    pub(crate) fault: Fault,
}

/// A request's records, ready to be appended.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// Whose they are.
    pub(crate) tenant: TenantId,
    /// By partition, in order.
    pub(crate) messages: BTreeMap<u32, Vec<Message>>,
    /// What is appended at or past this, by the log's time, does not count.
    pub(crate) deadline_ns: Option<i64>,
    pub(crate) line_bytes: u64,
    pub(crate) refused: u64,
    pub(crate) told: Vec<Refused>,
    /// The first of the refused that its tenant has no room for at the moment, and the limit.
    pub(crate) over: Option<(u64, Over)>,
}

impl Gathered {
    /// How many records there were, the refused ones too.
    pub(crate) fn records(&self) -> u64 {
        let kept: u64 = self.messages.values().flatten().map(|message| message.records).sum();
        kept + self.refused
    }
}

/// A message to append, and how many records it holds.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) payload: Bytes,
    pub(crate) records: u64,
}

/// What became of a request's records.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many are durable.
    pub(crate) accepted: u64,
    /// How many were refused for what is wrong with them.
    pub(crate) refused: u64,
    /// The first [`MAX_TOLD`] of those.
    pub(crate) told: Vec<Refused>,
    /// As in [`Gathered`].
    pub(crate) over: Option<(u64, Over)>,
    /// Why the rest could not be made durable, if there is a rest.
    pub(crate) failure: Option<ErrorKind>,
}

impl Intake {
    /// Begins with a request of `tenant` that is here now.
    pub(crate) fn begin(&self, tenant: &TenantId, origin: Origin, quota: Quota) -> Gathering<'_> {
        let received_at_ns = self.clock.now_ns();
        let (partitions, measured) = match &origin {
            Origin::None => (self.partitions, Measured::at(received_at_ns)),
            Origin::Key(key) => (key.partitions, Measured::at(received_at_ns)),
            Origin::Session(session) => {
                let earliest_ns = session.opened_at_ns;
                let latest_ns = earliest_ns.saturating_add(SESSION_GOOD_NS);
                (session.partitions, Measured { earliest_ns, latest_ns })
            }
        };
        Gathering::new(self, tenant, received_at_ns, measured, partitions, origin, quota)
    }

    /// Appends what was gathered, the partitions side by side, and returns when all of it is durable or has failed.
    pub(crate) async fn append(&self, gathered: Gathered) -> Outcome {
        let Gathered { tenant, messages, deadline_ns, line_bytes, refused, told, over } = gathered;
        failpoint!("ingest.decoded");
        let appends =
            messages.into_iter().map(|(partition, messages)| self.append_to(partition, messages, deadline_ns));
        let results = join_all(appends).await;
        let accepted = results.iter().map(|(records, _)| records).sum();
        let failure = results.into_iter().find_map(|(_, failure)| failure);
        // How many bytes the durable part of a broken request has is not known.
        self.metrics.kept(&tenant, accepted, if failure.is_none() { line_bytes } else { 0 });
        Outcome { accepted, refused, told, over, failure }
    }

    /// Appends to one partition, in order, until something fails.
    async fn append_to(
        &self,
        partition: u32,
        messages: Vec<Message>,
        deadline_ns: Option<i64>,
    ) -> (u64, Option<ErrorKind>) {
        let mut accepted = 0;
        for Message { payload, records } in messages {
            let began = Instant::now();
            let appended = tokio::time::timeout(self.append_timeout, self.producer.append(partition, payload)).await;
            let kind = match appended {
                Ok(Ok(_)) if fails!("ingest.appended") => ErrorKind::Unavailable,
                Ok(Ok(appended)) if self.is_late(appended.append_time_ns, deadline_ns) => {
                    warn!(partition, offset = appended.offset, "appended too late to count");
                    ErrorKind::Expired
                }
                Ok(Ok(_)) => {
                    self.metrics.append_seconds.observe(began.elapsed().as_secs_f64());
                    self.metrics.messages.inc();
                    accepted += records;
                    continue;
                }
                Ok(Err(error)) => {
                    warn!(partition, %error, "append failed");
                    error.kind()
                }
                Err(_) => {
                    warn!(partition, timeout = ?self.append_timeout, "append timed out");
                    ErrorKind::Deadline
                }
            };
            self.metrics.append_failures.with_label_values(&[kind.as_str()]).inc();
            // To the client it is one of three things: the log is full, the disk is, or it cannot be reached. All mean: again later.
            let told = match kind {
                ErrorKind::Exhausted | ErrorKind::NoSpace => kind,
                _ => ErrorKind::Unavailable,
            };
            return (accepted, Some(told));
        }
        (accepted, None)
    }

    /// Whether what was appended at `append_time_ns` will be dropped: it must not be acknowledged.
    fn is_late(&self, append_time_ns: i64, deadline_ns: Option<i64>) -> bool {
        self.log_time.saw(append_time_ns);
        deadline_ns.is_some_and(|deadline_ns| append_time_ns >= deadline_ns)
    }
}
