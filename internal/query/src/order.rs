//! The order of answers: by (timestamp, id), either way.

use loglake_model::RecordId;

/// A record's place in the order of answers.
pub(crate) type Position = (i64, RecordId);

/// Which end of time a page begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// A position so turned that the record to answer first has the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    time: i64,
    id: RecordId,
}

const LAST_ID: RecordId = RecordId { incarnation: u32::MAX, partition: u32::MAX, offset: u64::MAX, index: u32::MAX };

impl Direction {
    pub(crate) fn is_forward(self) -> bool {
        self == Self::Forward
    }

    pub(crate) fn rank(self, (time, id): Position) -> Rank {
        match self {
            Self::Forward => Rank { time, id },
            // `!` turns the order of integers round.
            Self::Backward => Rank { time: !time, id: opposite(id) },
        }
    }

    /// The rank that no record at `time_ns` or past it, in this direction, goes before.
    pub(crate) fn first_at(self, time_ns: i64) -> Rank {
        let time = if self.is_forward() { time_ns } else { !time_ns };
        Rank { time, id: RecordId::MIN }
    }

    /// A position such that exactly the records of rank `rank` and later come after it; for ranks that
    /// [`Direction::first_at`] made.
    pub(crate) fn just_before(self, rank: Rank) -> Position {
        let before = Rank { time: rank.time.saturating_sub(1), id: LAST_ID };
        match self {
            Self::Forward => (before.time, before.id),
            Self::Backward => (!before.time, opposite(before.id)),
        }
    }
}

fn opposite(id: RecordId) -> RecordId {
    RecordId { incarnation: !id.incarnation, partition: !id.partition, offset: !id.offset, index: !id.index }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = RecordId> {
        let small = || prop_oneof![0..3_u32, Just(u32::MAX)];
        (small(), small(), prop_oneof![0..3_u64, Just(u64::MAX)], small())
            .prop_map(|(incarnation, partition, offset, index)| RecordId { incarnation, partition, offset, index })
    }

    proptest! {
        #[test]
        fn ranks_sort_as_the_direction_says(a in (0..3_i64, id()), b in (0..3_i64, id()), is_forward: bool, time in 0..4_i64) {
            let direction = if is_forward { Direction::Forward } else { Direction::Backward };
            let expected = if is_forward { a.cmp(&b) } else { b.cmp(&a) };
            prop_assert_eq!(direction.rank(a).cmp(&direction.rank(b)), expected);
            let bound = direction.first_at(time);
            let is_at_or_past = if is_forward { a.0 >= time } else { a.0 <= time };
            prop_assert_eq!(direction.rank(a) >= bound, is_at_or_past);
            prop_assert_eq!(direction.rank(a) > direction.rank(direction.just_before(bound)), is_at_or_past);
        }
    }
}
