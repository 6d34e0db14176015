use std::sync::Arc;

use loglake_commit::OlderIncarnation;
use loglake_index::ChunkIndex;
use loglake_store::ObjectStore;

use crate::Error;

/// An older incarnation of the topic: its records are all in chunks, and its partitions are its own.
pub(crate) struct Older {
    pub(crate) incarnation: u32,
    pub(crate) partitions: Vec<u32>,
    pub(crate) index: Arc<dyn ChunkIndex>,
}

impl Older {
    /// All before `incarnation`, with their indexes.
    pub(crate) async fn all(
        store: &dyn ObjectStore,
        index: &dyn ChunkIndex,
        cluster: &str,
        incarnation: u32,
    ) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        for OlderIncarnation { number, partitions } in
            loglake_commit::older_incarnations(store, cluster, incarnation).await?
        {
            if !partitions.is_empty() {
                all.push(Self { incarnation: number, partitions, index: index.older(number).await? });
            }
        }
        Ok(all)
    }
}
