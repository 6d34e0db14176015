use serde::{Deserialize, Serialize};

/// A half-open range of time, `[start, end)`, in nanoseconds UTC since the epoch. It cannot be reversed; it may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    start_ns: i64,
    end_ns: i64,
}

impl TimeRange {
    /// All of time. Its last nanosecond, in 2262, is left out: no record may carry it.
    pub const ALL: Self = Self { start_ns: i64::MIN, end_ns: i64::MAX };

    /// Makes `[start_ns, end_ns)`; `None` when the end lies before the start.
    #[must_use]
    pub fn new(start_ns: i64, end_ns: i64) -> Option<Self> {
        (start_ns <= end_ns).then_some(Self { start_ns, end_ns })
    }

    /// The first nanosecond inside.
    #[must_use]
    pub fn start_ns(self) -> i64 {
        self.start_ns
    }

    /// The first nanosecond past the end.
    #[must_use]
    pub fn end_ns(self) -> i64 {
        self.end_ns
    }

    /// Whether nothing lies inside.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start_ns == self.end_ns
    }

    /// Whether `at_ns` lies inside.
    #[must_use]
    pub fn contains(self, at_ns: i64) -> bool {
        self.start_ns <= at_ns && at_ns < self.end_ns
    }

    /// Whether a record between `min_ns` and `max_ns` (both included) may lie inside.
    #[must_use]
    pub fn overlaps(self, min_ns: i64, max_ns: i64) -> bool {
        min_ns < self.end_ns && self.start_ns <= max_ns
    }
}
