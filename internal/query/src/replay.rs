//! Reads the un-flushed tail from the broker itself, where no processor answers for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loglake_batch::{LogBatch, Repeats, Verdict};
use loglake_broker::{Error, Message, Reader};
use loglake_model::{Level, RecordId, line};
use loglake_search::Counter;

use crate::shared::Shared;
use crate::tail_ask::{Count, TailAsk, TailPart, TailRow};

/// Bytes that one query reads from the broker, over all partitions.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// Bytes a request.
const FETCH_BYTES: usize = 4 << 20;

/// What was read of a partition.
pub(crate) struct Replayed {
    pub(crate) part: TailPart,
    /// Everything from the start up to here (excluded) was looked at.
    pub(crate) reached: u64,
    /// Bytes of messages.
    pub(crate) bytes: u64,
}

/// How a replay ended.
pub(crate) enum Outcome {
    /// It was read, or as much as the budget allows.
    Read(Replayed),
    /// The index, or the broker, has gone on from where it was to be read: flushed meanwhile, most likely.
    Moved,
}

/// Reads `[from, until)` of `partition` as a processor would: messages that cannot be decoded go to its quarantine, so that
/// they are passed over here; repeats of clients are dropped, by the state of their sessions at `from`.
///
/// `budget` is what the query may still read, in bytes; when it is used up the rest is left out, as `reached` tells.
pub(crate) async fn replay(
    shared: &Arc<Shared>,
    ask: &TailAsk,
    partition: u32,
    from: u64,
    until: u64,
    budget: &AtomicUsize,
) -> Result<Outcome, crate::Error> {
    // In one step with its watermark: the state at any other offset would drop, or show, the wrong messages.
    let Some((watermark, sessions)) = shared.index.sessions(partition).await? else { return Ok(Outcome::Moved) };
    if watermark.next != from {
        return Ok(Outcome::Moved);
    }
    let saved = sessions.iter().filter_map(|change| Some((change.session.as_str(), change.state.as_deref()?)));
    let mut repeats = Repeats::load(saved).map_err(|error| crate::Error::Internal(error.to_string()))?;
    drop(sessions);
    let mut replayed = Replayed { part: TailPart::default(), reached: from, bytes: 0 };
    let reader: &dyn Reader = shared.reader.as_ref();
    while replayed.reached < until && budget.load(Ordering::Relaxed) > 0 {
        let fetched = match reader.read(partition, replayed.reached, until, FETCH_BYTES).await {
            Err(Error::OffsetOutOfRange { .. }) => return Ok(Outcome::Moved),
            read => read?,
        };
        let bytes: usize = fetched.messages.iter().map(|message| message.payload.len()).sum();
        let _ = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
        replayed.bytes += bytes as u64;
        if fetched.position <= replayed.reached {
            let what = format!("the broker does not go on from offset {} of partition {partition}", replayed.reached);
            return Err(Error::Unavailable(what).into());
        }
        replayed.reached = fetched.position;
        let (tenant, ask, incarnation) = (ask.tenant(), ask.clone(), shared.incarnation);
        let part = std::mem::take(&mut replayed.part);
        let seen = std::mem::take(&mut repeats);
        let look = move || look((part, seen), &fetched.messages, &ask, incarnation, partition);
        (replayed.part, repeats) = shared.compute(tenant, look).await?;
    }
    replayed.reached = replayed.reached.min(until);
    Ok(Outcome::Read(replayed))
}

/// Adds to the part what `messages`, the next ones in the order of offsets, hold of what was asked.
fn look(
    (mut part, mut repeats): (TailPart, Repeats),
    messages: &[Message],
    ask: &TailAsk,
    incarnation: u32,
    partition: u32,
) -> (TailPart, Repeats) {
    let range = ask.range();
    for message in messages {
        let batch = match LogBatch::decode(message.payload.clone()) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(partition, offset = message.offset, %error, "message cannot be read");
                continue;
            }
        };
        if batch.tenant() != ask.tenant().name() {
            continue;
        }
        // Before anything else is looked at: each message counts for those after it. Sessions never span tenants.
        if repeats.take(batch.origin(), message.append_time_ns) != Verdict::New {
            continue;
        }
        for group in batch.groups() {
            let wanted =
                |services: &[loglake_model::Service]| services.is_empty() || services.contains(group.service());
            match ask {
                TailAsk::Rows { query, .. } if wanted(&query.filter.services) => {
                    for record in group.records() {
                        part.scanned += 1;
                        let id = RecordId { incarnation, partition, offset: message.offset, index: record.index };
                        let position = (record.timestamp_ns, id);
                        if range.contains(record.timestamp_ns)
                            && query.is_past(position)
                            && query.matcher.matches(record.line)
                        {
                            let mut whole = Vec::with_capacity(record.line.len() + RecordId::MAX_TEXT_BYTES + 8);
                            line::append_with_id(&mut whole, record.line, id);
                            part.rows.push(TailRow { position, line: whole });
                        }
                    }
                }
                TailAsk::Counts { counting, .. } if wanted(&counting.filter.services) => {
                    let service = if counting.by_service { group.service().as_str() } else { "" };
                    let mut counter = Counter::new(&mut part.tally, service, counting.steps);
                    for record in group.records() {
                        part.scanned += 1;
                        if range.contains(record.timestamp_ns) && counting.matcher.matches(record.line) {
                            counter.add(record.timestamp_ns, Level::slot(line::level_of(record.line)));
                        }
                    }
                }
                TailAsk::Rows { .. } | TailAsk::Counts { .. } => {}
                TailAsk::Services { .. } => {
                    let times = group.records().map(|record| record.timestamp_ns).filter(|at| range.contains(*at));
                    for at in times {
                        let count = part.services.entry(group.service().to_string()).or_insert(Count::NONE);
                        count.add(Count { records: 1, first_ns: at, last_ns: at });
                    }
                }
            }
        }
    }
    if let TailAsk::Rows { query, .. } = ask {
        part.rows.sort_unstable_by_key(|row| query.direction.rank(row.position));
        // A page takes no more than its limit, so that what is cut off here cannot be on it.
        part.is_truncated |= part.rows.len() > query.limit;
        part.rows.truncate(query.limit);
    }
    (part, repeats)
}
