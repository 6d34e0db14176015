//! The chunk index: which object holds what, derived from the chains.
//!
//! Start with [`ChunkIndex`], the contract. [`EmbeddedIndex`] keeps it in a local folder for one process, `RedisIndex`
//! (feature `redis`) in a server that all processes share. Nothing here is truth: an index that is lost says so (it has no
//! watermark) and is rebuilt from the bucket, never guessed. `conformance` (feature of that name) is the suite that both
//! pass.

#[cfg(feature = "conformance")]
pub mod conformance;
mod embedded;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod lease_table;
mod place;
#[cfg(feature = "redis")]
pub mod redis;
mod traits;

pub use embedded::EmbeddedIndex;
pub use error::Error;
#[cfg(feature = "redis")]
pub use redis::{RedisIndex, RedisSums};
pub use traits::{
    Apply, Change, ChunkIndex, ChunkQuery, Gap, Lease, MAX_GAPS, PartitionChunks, RebuildToken, ServiceStats,
    SessionChange, Snapshot, Stored, StoredByTenant, Watermark, service_stats, stored_by_tenant,
};
