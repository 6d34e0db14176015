//! Older incarnations of the topic: their chains move no more, and their records are still asked for. Whoever owns a partition
//! now keeps the indexes of some of the old ones up.

use std::sync::Arc;
use std::time::Duration;

use loglake_commit::{Chain, OlderIncarnation};
use loglake_index::ChunkIndex;
use loglake_store::ObjectStore;

use crate::Error;
use crate::shared::Shared;

/// How often the old indexes are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// An older incarnation of the topic.
pub(crate) struct Older {
    incarnation: u32,
    partitions: Vec<u32>,
    index: Arc<dyn ChunkIndex>,
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

/// Keeps the indexes of old partitions up whose number, by today's count, falls on `partition`. Never ends.
pub(crate) async fn keep(shared: Arc<Shared>, partition: u32) {
    if shared.older.is_empty() {
        return std::future::pending().await;
    }
    let mut is_first = true;
    loop {
        match look(&shared, partition, is_first).await {
            Ok(()) => is_first = false,
            Err(error) => tracing::warn!(partition, %error, "index of an older incarnation not kept up"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(shared: &Shared, partition: u32, is_first: bool) -> Result<(), Error> {
    let count = shared.reader.topic().await?.partitions.max(1);
    for older in &shared.older {
        for old in older.partitions.iter().copied().filter(|old| old % count == partition) {
            // Its last writer may have died between claim and apply.
            if is_first || older.index.watermark(old).await?.is_none() {
                let cluster = &shared.config.cluster;
                let chain = Chain::new(Arc::clone(&shared.store), cluster, older.incarnation, old);
                let watermark = loglake_commit::catch_up(&chain, older.index.as_ref()).await?;
                tracing::info!(
                    incarnation = older.incarnation,
                    partition = old,
                    seq = watermark.seq,
                    "index of an older incarnation is up"
                );
            }
        }
    }
    Ok(())
}
