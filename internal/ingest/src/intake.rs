//! The way of a request's records, the same for every protocol: validated and rendered into messages, one for each partition
//! (more where they do not fit), then appended side by side. Crash order: nothing is told to the client before the broker
//! confirmed it; what was appended and not told may come again.
//!
//! Where repeats are told apart (a session, an idempotency key) the same request becomes the same messages however often it is
//! sent, wherever: routed by the origin's own count of partitions, cut by the lengths of the lines, and with the same records.
//! So which records are refused must not depend on when they came: in a session their times are measured from its hour; a
//! request with a key is refused as a whole when one of its records lies outside of the times allowed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use loglake_api::Refusal;
use loglake_batch::repeats::{MAX_PARTS, SESSION_GOOD_NS};
use loglake_batch::{BatchBuilder, MAX_MINUTES, Origin};
use loglake_broker::Producer;
use loglake_model::{Clock, ErrorKind, Fault, FaultCode, Record, TenantId, failpoint, fails, partition_of};
use loglake_pipeline::{Measured, Pipeline};
use tracing::{error, warn};

use crate::log_time::LogTime;
use crate::metrics::Metrics;

/// How many of a request's faults are told; all are counted.
pub(crate) const MAX_TOLD: usize = 100;
/// After how many records others get their turn on this thread.
const RECORDS_A_TURN: u64 = 256;

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

/// Records on their way to becoming messages.
pub(crate) struct Gathering<'a> {
    intake: &'a Intake,
    tenant: TenantId,
    received_at_ns: i64,
    origin: Origin,
    partitions: u32,
    measured: Measured,
    open: BTreeMap<u32, BatchBuilder>,
    full: Vec<(u32, BatchBuilder)>,
    line: Vec<u8>,
    line_bytes: u64,
    turn: u64,
    refused: u64,
    told: Vec<Refused>,
    /// The first record whose refusal depends on when it came, where none may.
    untimely: Option<Refused>,
}

/// A request's records, ready to be appended.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// By partition, in order.
    messages: BTreeMap<u32, Vec<Message>>,
    /// What is appended at or past this, by the log's time, does not count.
    deadline_ns: Option<i64>,
    line_bytes: u64,
    refused: u64,
    told: Vec<Refused>,
}

#[derive(Debug)]
struct Message {
    payload: Bytes,
    records: u64,
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
    /// Why the rest could not be made durable, if there is a rest.
    pub(crate) failure: Option<ErrorKind>,
}

impl Intake {
    /// Begins with a request of `tenant` that is here now.
    pub(crate) fn begin(&self, tenant: &TenantId, origin: Origin) -> Gathering<'_> {
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
        Gathering {
            intake: self,
            tenant: tenant.clone(),
            received_at_ns,
            origin,
            partitions,
            measured,
            untimely: None,
            open: BTreeMap::new(),
            full: Vec::new(),
            line: Vec::new(),
            line_bytes: 0,
            turn: 0,
            refused: 0,
            told: Vec::new(),
        }
    }

    /// Appends what was gathered, the partitions side by side, and returns when all of it is durable or has failed.
    pub(crate) async fn append(&self, gathered: Gathered) -> Outcome {
        let Gathered { messages, deadline_ns, line_bytes, refused, told } = gathered;
        failpoint!("ingest.decoded");
        let appends =
            messages.into_iter().map(|(partition, messages)| self.append_to(partition, messages, deadline_ns));
        let results = join_all(appends).await;
        let accepted = results.iter().map(|(records, _)| records).sum();
        let failure = results.into_iter().find_map(|(_, failure)| failure);
        self.metrics.records.inc_by(accepted);
        if failure.is_none() {
            self.metrics.line_bytes.inc_by(line_bytes);
        }
        Outcome { accepted, refused, told, failure }
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

impl Gathering<'_> {
    /// Takes the record at `place`, or the fault that its decoder found. Now and then lets others have their turn.
    pub(crate) async fn take(&mut self, place: u64, record: Result<Record, Fault>) {
        if let Err(fault) = record.and_then(|record| self.render(record)) {
            self.intake.metrics.refused_records.with_label_values(&[fault.code.as_str()]).inc();
            self.refused += 1;
            let is_untimely = matches!(fault.code, FaultCode::TooFarAhead | FaultCode::TooOld);
            if is_untimely && matches!(self.origin, Origin::Key(_)) && self.untimely.is_none() {
                self.untimely = Some(Refused { place, fault: fault.clone() });
            }
            if self.told.len() < MAX_TOLD {
                self.told.push(Refused { place, fault });
            }
        }
        self.turn += 1;
        if self.turn.is_multiple_of(RECORDS_A_TURN) {
            tokio::task::yield_now().await;
        }
    }

    /// How many were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    fn render(&mut self, record: Record) -> Result<(), Fault> {
        self.line.clear();
        let rendered =
            self.intake.pipeline.render_measured(record, self.received_at_ns, self.measured, &mut self.line)?;
        let (service, trace_id, line) = (&rendered.service, rendered.trace_id.as_str(), self.line.as_slice());
        let partition = partition_of(&self.tenant, service, self.partitions);
        let fresh = || BatchBuilder::new(&self.tenant, self.received_at_ns, self.origin.clone());
        let builder = self.open.entry(partition).or_insert_with(fresh);
        // A builder that counts minutes ends at another record when a time of receipt falls into another minute: where repeats are
        // told apart it ends before.
        let may_count = self.origin == Origin::None || builder.records() < MAX_MINUTES;
        let has_room = may_count && builder.fits(service, trace_id, line.len());
        if !has_room && !builder.is_empty() {
            self.full.push((partition, std::mem::replace(builder, fresh())));
        }
        builder.push(service, rendered.timestamp_ns, rendered.level, trace_id, line).map_err(|error| {
            error!(%error, "rendered record does not fit its message");
            Fault::new(FaultCode::Internal, "", "the record could not be stored; this is a fault of the server")
        })?;
        self.line_bytes += line.len() as u64;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// `Invalid` when a record of a request with a key lies outside of the times allowed: none of it is kept. `TooLarge` when
    /// one partition gets more messages than can be told apart. `Internal` when a message could not be written, which only
    /// happens when the clock shows a time before 1970.
    pub(crate) fn finish(self) -> Result<Gathered, Refusal> {
        if let Some(Refused { place, mut fault }) = self.untimely {
            let what = "none of a request with a key is kept when one of its records lies outside of the times allowed";
            fault.message = format!("{what}; record {place}: {}", fault.message);
            return Err(fault.into());
        }
        let mut builders: BTreeMap<u32, Vec<BatchBuilder>> = BTreeMap::new();
        for (partition, builder) in self.full.into_iter().chain(self.open).filter(|(_, builder)| !builder.is_empty()) {
            builders.entry(partition).or_default().push(builder);
        }
        let mut messages: BTreeMap<u32, Vec<Message>> = BTreeMap::new();
        let deadline_ns = self.origin.deadline_ns();
        for (partition, builders) in builders {
            let parts = u32::try_from(builders.len()).unwrap_or(u32::MAX);
            if parts > MAX_PARTS && deadline_ns.is_some() {
                let message = "too many bytes for one partition: cut the request into several";
                let fault = Fault::new(FaultCode::TooLarge, "", message);
                return Err(fault.with_limit(u64::from(MAX_PARTS), u64::from(parts)).into());
            }
            for (part, mut builder) in (0..).zip(builders) {
                builder.set_part(part, parts);
                let records = builder.records() as u64;
                let payload = builder.finish();
                let payload = payload.map_err(|error| Refusal::new(ErrorKind::Internal, error.to_string()))?;
                messages.entry(partition).or_default().push(Message { payload, records });
            }
        }
        let (line_bytes, refused, told) = (self.line_bytes, self.refused, self.told);
        Ok(Gathered { messages, deadline_ns, line_bytes, refused, told })
    }
}
