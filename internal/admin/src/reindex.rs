//! The index from the bucket alone, while queries go on.

use loglake_commit::Chain;
use loglake_index::{ChunkIndex, Watermark};

use crate::Error;

/// How often a partition is begun anew because entries were applied while its chain was read.
const ATTEMPTS: usize = 50;

/// What became of one partition's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reindexed {
    /// What it said before; `None` for nothing.
    pub before: Option<Watermark>,
    /// Where it is now.
    pub after: Watermark,
    /// Live chunks now.
    pub chunks: u64,
}

/// Replaces the index of one partition by what its chain says, in one step: a query sees the old one or the new one.
///
/// # Errors
/// `Corrupt` when the chain breaks the protocol: then nothing is changed; `Unavailable`.
pub async fn reindex_partition(chain: &Chain, index: &dyn ChunkIndex) -> Result<Reindexed, Error> {
    let partition = chain.partition();
    for _ in 0..ATTEMPTS {
        // In this order: nothing lost since the token, and no right watermark ahead of a chain that is read after it.
        let token = index.begin_rebuild(partition).await?;
        let before = index.watermark(partition).await?;
        let snapshot = chain.read().await?.snapshot();
        if index.replace(partition, &token, before, &snapshot).await? {
            return Ok(Reindexed { before, after: snapshot.watermark, chunks: snapshot.live.len() as u64 });
        }
        tracing::debug!(partition, "the index moved while its chain was read, again");
    }
    Err(Error::Unsettled { partition })
}
