//! The chunk index: which object holds what, derived from the chains.

mod error;
mod traits;

pub use error::Error;
pub use traits::{
    Apply, Change, ChunkIndex, ChunkQuery, Lease, PartitionChunks, RebuildToken, ServiceStats, SessionChange, Snapshot,
    Watermark, service_stats,
};
