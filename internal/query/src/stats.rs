use serde::Serialize;

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Stats {
    /// Objects that were read, footers from memory left out.
    pub(crate) objects_read: u64,
    /// Records in the blocks and tails that were searched.
    pub(crate) events_scanned: u64,
    pub(crate) duration_ms: u64,
    /// Of objects and of the broker.
    pub(crate) bytes_read: u64,
    /// Chunks of which no block was read, as they cannot hold a match.
    pub(crate) chunks_pruned: u64,
    /// The same of blocks in the other chunks.
    pub(crate) blocks_pruned: u64,
}
