//! Puts messages into the log again, each once.
//!
//! The order, and what a crash after each step leaves:
//! 1. Write down what is to be appended and where the partitions end now. A crash leaves an attempt that the next one goes on with.
//! 2. Append each message with an idempotency key made of its place in the quarantine. A crash leaves some of them in the log; the
//!    next one reads the log from where step 1 stood and leaves out what is there. Two that run at once are told apart by the
//!    processor, which drops the repeat.
//! 3. Write down that all is in the log. From here on the messages are left alone.
//!
//! Where the broker no longer holds what step 2 may have appended, nobody can tell, and nothing is appended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use loglake_batch::{BatchBuilder, IdempotencyKey, KEY_GOOD_NS, LogBatch, Origin};
use loglake_broker::{Producer, Reader};
use loglake_model::{Clock, partition_of};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::attempts::{self, Begun};
use super::{QuarantineObject, object};
use crate::{Error, Lake};

/// Payload bytes read of the log at a time.
const READ_BYTES: usize = 4 << 20;

/// The log that messages go into.
#[derive(Clone)]
pub struct Target {
    /// Appends.
    pub producer: Arc<dyn Producer>,
    /// Reads back.
    pub reader: Arc<dyn Reader>,
    /// The life of its topic.
    pub incarnation: u32,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("incarnation", &self.incarnation).finish_non_exhaustive()
    }
}

/// What became of one object's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Redriven {
    /// The object's key.
    pub key: String,
    /// Messages that were appended now.
    pub appended: u64,
    /// Messages that an attempt which was cut off had appended already.
    pub found: u64,
    /// Messages that would be appended; only of a dry run.
    pub would_append: u64,
    /// Messages that were put into the log again earlier.
    pub done_before: u64,
    /// Messages that this program cannot read either.
    pub unreadable: u64,
}

/// A message on its way.
struct Way {
    offset: u64,
    partition: u32,
    hash: [u8; 32],
    batch: LogBatch,
    /// Which groups of it go there.
    services: BTreeSet<loglake_model::Service>,
}

/// Appends the messages of `object` that can be read and were not yet put into the log again; with `is_dry_run` only counts
/// them. They get new ids; times and lines stay.
///
/// # Errors
/// `Corrupt` when the object or what is written down of it cannot be read; `Conflict` when the broker no longer holds what an
/// attempt that was cut off may have appended; `Unavailable`, after which the same call goes on where it was.
pub async fn redrive(
    lake: &Lake,
    object: &QuarantineObject,
    target: &Target,
    is_dry_run: bool,
) -> Result<Redriven, Error> {
    let mut outcome = Redriven { key: object.key.clone(), ..Redriven::default() };
    let messages = object::read(lake, &object.named).await?;
    let messages = messages.map_err(|what| Error::Redrive { key: object.key.clone(), what })?;
    let topic = target.reader.topic().await?;
    let mut begun = attempts::read(lake, &object.key).await?;
    outcome.done_before = begun.done.len() as u64;
    let mut ways = Vec::new();
    let mut wanted = Vec::new();
    for (message, payload) in messages {
        if begun.done.contains(&message.offset) {
            continue;
        }
        match LogBatch::decode(payload) {
            Err(_) => outcome.unreadable += 1,
            Ok(batch) => {
                wanted.push(message.offset);
                ways.extend(ways_of(object, target.incarnation, topic.partitions, message.offset, batch));
            }
        }
    }
    if is_dry_run {
        outcome.would_append = wanted.len() as u64;
        return Ok(outcome);
    }
    if wanted.is_empty() {
        return Ok(outcome);
    }
    if begun.open.is_none() {
        let partitions: BTreeSet<u32> = ways.iter().map(|way| way.partition).collect();
        let partitions: Vec<u32> = partitions.into_iter().collect();
        let offsets = target.reader.offsets(&partitions).await?;
        let from = offsets.into_iter().map(|of| (of.partition, of.latest)).collect();
        let plan = Begun { version: 1, topic_id: topic.id.clone(), offsets: wanted, from };
        attempts::begin(lake, &object.key, &begun, &plan).await?;
        // Whoever began it, all go on with the same.
        begun = attempts::read(lake, &object.key).await?;
    }
    let Some((number, plan)) = begun.open else {
        // Another process was here and is done.
        return Ok(outcome);
    };
    ways.retain(|way| plan.offsets.contains(&way.offset));
    let left: BTreeSet<u64> = ways.iter().map(|way| way.offset).collect();
    if left.len() != plan.offsets.len() || plan.topic_id != topic.id {
        let what = format!(
            "attempt {number} was begun by a program that reads more messages, or on another topic: go on with it there"
        );
        return Err(Error::Redrive { key: object.key.clone(), what });
    }
    let there = appended(target, &plan, &object.key).await?;
    let mut appended_now = BTreeSet::new();
    for way in ways {
        if !there.contains(&(way.partition, way.hash)) {
            append(target, &way, topic.partitions, &object.key).await?;
            appended_now.insert(way.offset);
        }
    }
    outcome.appended = appended_now.len() as u64;
    outcome.found = left.len() as u64 - outcome.appended;
    attempts::end(lake, &object.key, number, &plan.offsets).await?;
    Ok(outcome)
}

/// Where the parts of a message go: to the partition it was in; where that was of another life of the topic, to where its
/// streams go now.
fn ways_of(object: &QuarantineObject, incarnation: u32, partitions: u32, offset: u64, batch: LogBatch) -> Vec<Way> {
    let mut services = BTreeMap::<u32, BTreeSet<_>>::new();
    for group in batch.groups() {
        let partition = if object.incarnation == incarnation {
            object.partition
        } else {
            partition_of(batch.tenant(), group.service(), partitions)
        };
        services.entry(partition).or_default().insert(group.service().clone());
    }
    let hash: [u8; 32] = Sha256::digest(format!("redrive {} {offset}", object.key).as_bytes()).into();
    services
        .into_iter()
        .map(|(partition, services)| Way { offset, partition, hash, batch: batch.clone(), services })
        .collect()
}

/// What the plan's partitions hold of it already.
async fn appended(target: &Target, plan: &Begun, key: &str) -> Result<BTreeSet<(u32, [u8; 32])>, Error> {
    let mut found = BTreeSet::new();
    let partitions: Vec<u32> = plan.from.keys().copied().collect();
    for offsets in target.reader.offsets(&partitions).await? {
        let mut at = plan.from.get(&offsets.partition).copied().unwrap_or(0);
        if offsets.earliest > at {
            return Err(Error::Undecidable { key: key.to_owned(), partition: offsets.partition, from: at });
        }
        while at < offsets.latest {
            let fetched = target.reader.read(offsets.partition, at, offsets.latest, READ_BYTES).await?;
            for message in &fetched.messages {
                if let Ok(batch) = LogBatch::decode(message.payload.clone())
                    && let Origin::Key(of) = batch.origin()
                    // One that came too late is dropped by the processor.
                    && message.append_time_ns < of.first_seen_ns.saturating_add(KEY_GOOD_NS)
                {
                    found.insert((offsets.partition, of.hash));
                }
            }
            if fetched.position <= at {
                break;
            }
            at = fetched.position;
        }
    }
    Ok(found)
}

async fn append(target: &Target, way: &Way, partitions: u32, key: &str) -> Result<(), Error> {
    let payload = message(target, way, partitions).map_err(|error| Error::Redrive {
        key: key.to_owned(),
        what: format!("the message of offset {} cannot be written anew: {error}", way.offset),
    })?;
    let now_ns = target.clock.now_ns();
    let appended = target.producer.append(way.partition, payload).await?;
    if appended.append_time_ns >= now_ns.saturating_add(KEY_GOOD_NS) {
        let what = "the broker's clock is more than ten minutes ahead of this machine's: the processor drops what was \
                    appended; set the clocks, then run this again"
            .to_owned();
        return Err(Error::Redrive { key: key.to_owned(), what });
    }
    Ok(())
}

/// The message once more, with a key of its own. The time of receipt stays.
fn message(target: &Target, way: &Way, partitions: u32) -> Result<Bytes, loglake_batch::Error> {
    let origin = Origin::Key(IdempotencyKey {
        hash: way.hash,
        first_seen_ns: target.clock.now_ns().max(0),
        partitions,
        part: 0,
        parts: 1,
    });
    let mut builder = BatchBuilder::new(way.batch.tenant(), way.batch.received_at_ns(), origin);
    for group in way.batch.groups().filter(|group| way.services.contains(group.service())) {
        for record in group.records() {
            builder.push(group.service(), record.timestamp_ns, record.level, record.trace_id, record.line)?;
        }
    }
    builder.finish()
}
