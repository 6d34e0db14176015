use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loglake_auth::AuditTrail;
use loglake_batch::{BatchBuilder, Origin};
use loglake_broker::Producer;
use loglake_model::{AuditEntry, Clock, Level, Record, Timestamp, partition_of};
use loglake_pipeline::Pipeline;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::Error;

/// How many entries one message holds at most: far less than fits.
const MAX_ENTRIES: usize = 256;
/// How long one append may take, and how long to wait after one that failed.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Writes the audit log down: as records of its own tenant, the way of all records. Part of every process that lets somebody in.
pub struct AuditWriter {
    /// Where records go.
    pub producer: Arc<dyn Producer>,
    /// How many partitions its topic has, at least 1.
    pub partitions: u32,
    /// The time of receipt.
    pub clock: Arc<dyn Clock>,
    /// What is to be written.
    pub trail: AuditTrail,
}

impl AuditWriter {
    /// Writes until `shutdown`, then what waits still. While the broker does not answer, entries wait, up to a bound that the next
    /// entry tells of; one that was appended without an answer may stand there twice, with one number.
    ///
    /// # Errors
    /// `Internal` when an entry cannot be made a record, which is a fault of this program.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        loop {
            let entries = tokio::select! {
                () = shutdown.cancelled() => break,
                entries = self.trail.next(MAX_ENTRIES) => entries,
            };
            let Some(entries) = entries else { break };
            let message = self.message(&entries)?;
            if !self.append(message, &shutdown).await {
                error!(first = ?entries.first(), entries = entries.len(), "audit entries could not be written before the end");
                return Ok(());
            }
        }
        loop {
            let entries = self.trail.waiting(MAX_ENTRIES);
            if entries.is_empty() {
                return Ok(());
            }
            let message = self.message(&entries)?;
            if !self.append(message, &shutdown).await {
                error!(first = ?entries.first(), entries = entries.len(), "audit entries could not be written before the end");
                return Ok(());
            }
        }
    }

    /// Appends until that succeeds; after `shutdown` only once. Says whether it did.
    async fn append(&self, message: (u32, Bytes), shutdown: &CancellationToken) -> bool {
        let (partition, payload) = message;
        loop {
            let is_last = shutdown.is_cancelled();
            match tokio::time::timeout(APPEND_TIMEOUT, self.producer.append(partition, payload.clone())).await {
                Ok(Ok(_)) => return true,
                Ok(Err(error)) => warn!(%error, "audit entries not appended"),
                Err(_) => warn!("audit entries not appended in time"),
            }
            if is_last {
                return false;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// One message with `entries`, and its partition.
    fn message(&self, entries: &[AuditEntry]) -> Result<(u32, Bytes), Error> {
        let wrong = |what: &dyn std::fmt::Display| Error::Audit(what.to_string());
        // The times are those of this process, hours old at most: no limit of clients holds for them.
        let config = loglake_pipeline::Config { max_future: DAY, max_age: None, keep_received_at: false };
        let (pipeline, now_ns) = (Pipeline::new(config), self.clock.now_ns());
        let mut builder = BatchBuilder::new(self.trail.tenant(), now_ns, Origin::None);
        let (mut line, mut partition) = (Vec::new(), 0);
        for entry in entries {
            info!(target: "loglake_audit", number = entry.number, "{}", entry.sentence());
            line.clear();
            let rendered = pipeline.render(record(entry), now_ns, &mut line).map_err(|fault| wrong(&fault.message))?;
            partition = partition_of(self.trail.tenant(), &rendered.service, self.partitions);
            let pushed = builder.push(&rendered.service, rendered.timestamp_ns, rendered.level, "", &line);
            pushed.map_err(|error| wrong(&error))?;
        }
        builder.finish().map(|payload| (partition, payload)).map_err(|error| wrong(&error))
    }
}

fn record(entry: &AuditEntry) -> Record {
    let level = match entry.outcome.as_str() {
        "done" => Level::Info,
        "refused" => Level::Warn,
        _ => Level::Error,
    };
    let fields = AuditEntry::FIELDS.into_iter().map(str::to_owned).zip(entry.values());
    let all = fields.chain([(AuditEntry::HASH.to_owned(), entry.hash())]);
    // A text is always JSON.
    let attributes = all.map(|(name, value)| (name, serde_json::Value::String(value).to_string())).collect();
    Record {
        timestamp_ns: Timestamp::parse(&entry.at).ok().map(|at| at.0),
        level: Some(level),
        service: AuditEntry::SERVICE.to_owned(),
        message: entry.sentence(),
        attributes,
        ..Record::default()
    }
}

#[cfg(test)]
mod tests;
