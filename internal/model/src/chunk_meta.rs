use serde::{Deserialize, Serialize};

use crate::{Level, Service, TenantName, TimeRange, Window};

/// Records by level: slot 0 is `unknown` (no level), then [`Level::ALL`].
pub type LevelCounts = [u64; Level::COUNTED];

/// What the chain and the index know of a chunk: enough to find it, prune it and read its footer in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkMeta {
    /// The object's key.
    pub key: String,
    /// The object's length, in bytes.
    pub length: u64,
    /// Where the footer (filters, directory, locator) begins: `[footer_offset, length)` is one range request.
    pub footer_offset: u64,
    /// CRC-32C of the whole object.
    pub checksum: u32,
    /// Whose records these are.
    pub tenant: TenantName,
    /// The service that wrote them.
    pub service: Service,
    /// The window of event time that holds all of them.
    pub window: Window,
    /// The earliest record's timestamp, ns UTC.
    pub min_ns: i64,
    /// The latest record's timestamp, ns UTC (included).
    pub max_ns: i64,
    /// How many records.
    pub records: u64,
    /// Length of the lines, decompressed, in bytes.
    pub bytes: u64,
    /// Records by level.
    pub levels: LevelCounts,
    /// The lowest offset that any record came from.
    pub lowest_offset: u64,
    /// The highest offset that any record came from (included).
    pub highest_offset: u64,
}

impl ChunkMeta {
    /// Whether a record of this chunk may lie in `range`.
    #[must_use]
    pub fn overlaps(&self, range: TimeRange) -> bool {
        range.overlaps(self.min_ns, self.max_ns)
    }
}
