use loglake_model::LevelCounts;

use crate::BlockRow;

/// What all blocks of a chunk hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// How many records.
    pub records: u64,
    /// The length of all lines, in bytes.
    pub raw_bytes: u64,
    /// The earliest record's timestamp, ns UTC.
    pub min_ns: i64,
    /// The latest record's timestamp, ns UTC (included).
    pub max_ns: i64,
    /// Records by level: slot 0 is `unknown`.
    pub levels: LevelCounts,
}

impl Totals {
    /// Adds up `rows`; `None` when there are none.
    pub(crate) fn of(rows: &[BlockRow]) -> Option<Self> {
        let mut totals = Self {
            records: 0,
            raw_bytes: 0,
            min_ns: rows.iter().map(|row| row.min_ns).min()?,
            max_ns: rows.iter().map(|row| row.max_ns).max()?,
            levels: LevelCounts::default(),
        };
        for row in rows {
            // At most MAX_BLOCKS numbers of 32 bits: no overflow.
            totals.records += u64::from(row.records);
            totals.raw_bytes += u64::from(row.raw_length);
            totals.levels.iter_mut().zip(row.levels).for_each(|(total, count)| *total += u64::from(count));
        }
        Some(totals)
    }
}
