use loglake_index::Gap;
use loglake_model::{TimeRange, Timestamp};
use serde::Serialize;

/// What could not be read: named in the answer, never silently left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Missing {
    /// Offsets of a partition that no one could answer for.
    Offsets { partition: u32, from_offset: u64, to_offset: u64, reason: &'static str },
    /// A partition of an older incarnation of the topic, whose index is not there yet.
    Incarnation { incarnation: u32, partition: u32, reason: &'static str },
    /// Offsets that were lost, and given up by decision. No record of them can be dated; all of them were received before
    /// `given_up_at`.
    Gap {
        /// The incarnation, where it is not the present one.
        #[serde(skip_serializing_if = "Option::is_none")]
        incarnation: Option<u32>,
        partition: u32,
        from_offset: u64,
        to_offset: u64,
        given_up_at: String,
        reason: String,
    },
    /// An object, or a part of it, that is damaged.
    Object { key: String, reason: String },
}

/// How far past the moment that a gap was given up its records' times may lie: `ingest.max_future` allows a day, clocks
/// that differ get another.
const GAP_FUTURE_NS: i64 = 2 * 86_400 * 1_000_000_000;

impl Missing {
    /// The gap as what an answer over `range` lacks; `None` when no record of it can lie there. Nothing bounds the age of a
    /// record, so only a range that begins well after the gap is free of it.
    pub(crate) fn of_gap(incarnation: Option<u32>, partition: u32, gap: Gap, range: TimeRange) -> Option<Self> {
        let could_touch = range.start_ns() <= gap.at_ns.saturating_add(GAP_FUTURE_NS);
        could_touch.then(|| Self::Gap {
            incarnation,
            partition,
            from_offset: gap.from,
            to_offset: gap.to,
            given_up_at: Timestamp(gap.at_ns).to_string(),
            reason: gap.reason,
        })
    }
}

/// The index of the partition waits for its rebuild.
pub(crate) const NO_INDEX: &str = "the index of this partition is being rebuilt";
/// The chain names the object, and the bucket does not have it.
pub(crate) const LOST: &str = "the object is not in the bucket";
/// No processor answered and the broker holds more than a query reads.
pub(crate) const TOO_MUCH: &str = "no processor serves this range, and it is longer than a query reads from the broker";
/// No processor answered and the broker has no such records any more.
pub(crate) const GONE: &str = "the broker no longer has this range";
/// No processor answered, and neither did the broker.
pub(crate) const UNREADABLE: &str = "no processor serves this range, and the broker could not be read";
