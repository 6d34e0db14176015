//! Looks for rows in messages held in memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use loglake_batch::Line;
use loglake_model::{RecordId, Service, TenantId, TimeRange, line};
use loglake_search::Matcher;

use crate::held::Held;
use crate::may_match::MayMatch;

/// A record's place in the order of answers.
pub(crate) type Position = (i64, RecordId);

/// What a query wants of a partition's tail.
pub(crate) struct TailQuery {
    pub(crate) tenant: TenantId,
    pub(crate) matcher: Matcher,
    pub(crate) services: Vec<Service>,
    pub(crate) range: TimeRange,
    pub(crate) is_forward: bool,
    pub(crate) after: Option<Position>,
    pub(crate) limit: usize,
    pub(crate) max_bytes: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct TailRows {
    /// Lines with their ids, in the order asked for.
    pub(crate) lines: Vec<Vec<u8>>,
    /// There are more.
    pub(crate) is_truncated: bool,
    /// Records in what was searched.
    pub(crate) scanned: u64,
}

/// A match, ordered so that the greatest is the one to drop first.
struct Candidate {
    position: Position,
    is_forward: bool,
    message: usize,
    start: u32,
    end: u32,
}

impl Candidate {
    fn compare(&self, other: &Self) -> Ordering {
        let order = self.position.cmp(&other.position);
        if self.is_forward { order } else { order.reverse() }
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.position == other.position
    }
}

impl Eq for Candidate {}

impl TailQuery {
    /// Whether a record at `position` comes after the place where the last page ended.
    fn is_past(&self, position: Position) -> bool {
        self.after.is_none_or(|after| if self.is_forward { position > after } else { position < after })
    }

    /// Whether a record between these two times could change what was found.
    fn is_worth_a_look(
        &self,
        (earliest_ns, latest_ns): (i64, i64),
        found: &BinaryHeap<Candidate>,
        is_truncated: bool,
    ) -> bool {
        // Equal times are decided by the ids.
        let may_stand_before = |at_ns: i64| if self.is_forward { earliest_ns <= at_ns } else { latest_ns >= at_ns };
        let may_stand_after = |at_ns: i64| if self.is_forward { latest_ns >= at_ns } else { earliest_ns <= at_ns };
        let is_full = found.len() >= self.limit && is_truncated;
        self.range.overlaps(earliest_ns, latest_ns)
            && self.after.is_none_or(|(at_ns, _)| may_stand_after(at_ns))
            && (!is_full || found.peek().is_none_or(|worst| may_stand_before(worst.position.0)))
    }

    /// Scans `messages`, which are all of one partition, ascending by offset.
    pub(crate) fn scan(&self, messages: &[Arc<Held>], incarnation: u32, partition: u32) -> TailRows {
        let mut found = BinaryHeap::<Candidate>::new();
        let mut rows = TailRows::default();
        for step in 0..messages.len() {
            // From the end that is asked for: what comes later is mostly worse than what was found.
            let message = if self.is_forward { step } else { messages.len() - 1 - step };
            let held = &messages[message];
            let Ok(batch) = &held.batch else { continue };
            if batch.tenant() != self.tenant.name() {
                continue;
            }
            for group in batch.groups() {
                let is_chosen = self.services.is_empty() || self.services.contains(group.service());
                if !is_chosen || !self.is_worth_a_look(group.times_ns(), &found, rows.is_truncated) {
                    continue;
                }
                rows.scanned += u64::from(group.record_count());
                for (Line { index, timestamp_ns, range }, line) in
                    MayMatch::new(&self.matcher, &held.message.payload, &group)
                {
                    let id = RecordId { incarnation, partition, offset: held.offset(), index };
                    let position = (timestamp_ns, id);
                    if !self.range.contains(timestamp_ns) || !self.is_past(position) {
                        continue;
                    }
                    let (start, end) = (range.start, range.end);
                    let candidate = Candidate { position, is_forward: self.is_forward, message, start, end };
                    if found.len() >= self.limit && found.peek().is_some_and(|worst| candidate >= *worst) {
                        // It would be dropped; that there are more is all that counts, if it matches.
                        rows.is_truncated = rows.is_truncated || self.matcher.matches(line);
                        continue;
                    }
                    if self.matcher.matches(line) {
                        found.push(candidate);
                        if found.len() > self.limit {
                            found.pop();
                            rows.is_truncated = true;
                        }
                    }
                }
            }
        }
        let mut bytes = 0;
        for candidate in found.into_sorted_vec() {
            let held = &messages[candidate.message];
            let raw = &held.message.payload[candidate.start as usize..candidate.end as usize];
            if !rows.lines.is_empty() && bytes + raw.len() as u64 > self.max_bytes {
                rows.is_truncated = true;
                break;
            }
            let mut line = Vec::with_capacity(raw.len() + RecordId::MAX_TEXT_BYTES + 8);
            line::append_with_id(&mut line, raw, candidate.position.1);
            bytes += line.len() as u64;
            rows.lines.push(line);
        }
        rows
    }
}

#[cfg(test)]
mod tests;
