use std::collections::BTreeMap;
use std::sync::Arc;

use loglake_model::{TenantId, TimeRange};
use loglake_search::Tally;

use crate::aggregate::Counting;
use crate::order::Position;
use crate::query::Query;

/// What is asked of records that are not in chunks yet.
#[derive(Clone, Debug)]
pub(crate) enum TailAsk {
    /// The rows of a page.
    Rows {
        query: Arc<Query>,
        /// The filter as it travels.
        filter_json: String,
        /// Bytes of lines a partition.
        max_bytes: u64,
    },
    /// The services and how many records each has.
    Services { tenant: TenantId, range: TimeRange },
    /// How many records match, step by step.
    Counts {
        counting: Arc<Counting>,
        /// The filter as it travels.
        filter_json: String,
    },
}

/// A row of the tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TailRow {
    pub(crate) position: Position,
    /// The line with its id, without line feed.
    pub(crate) line: Vec<u8>,
}

/// Records of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) records: u64,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

impl Count {
    pub(crate) const NONE: Self = Self { records: 0, first_ns: i64::MAX, last_ns: i64::MIN };

    /// Both together.
    pub(crate) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
    }
}

/// What one partition's tail holds of what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TailPart {
    /// In the order of the answer.
    pub(crate) rows: Vec<TailRow>,
    /// There are more rows, all of them past the last one here; or more counts than an answer may have.
    pub(crate) is_truncated: bool,
    /// Records looked at.
    pub(crate) scanned: u64,
    pub(crate) services: BTreeMap<String, Count>,
    pub(crate) tally: Tally,
}

impl TailAsk {
    pub(crate) fn tenant(&self) -> &TenantId {
        match self {
            Self::Rows { query, .. } => &query.tenant,
            Self::Services { tenant, .. } => tenant,
            Self::Counts { counting, .. } => &counting.tenant,
        }
    }

    /// Only records in this range matter.
    pub(crate) fn range(&self) -> TimeRange {
        match self {
            Self::Rows { query, .. } => query.rest(),
            Self::Services { range, .. } => *range,
            Self::Counts { counting, .. } => counting.range,
        }
    }
}
