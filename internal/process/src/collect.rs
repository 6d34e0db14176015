//! Deletes objects that nobody names and nobody ever will: what crashed and beaten writers left, and removed chunks whose
//! readers are done. Decided by the chains alone (`loglake-commit`'s `collect.rs` says why), never by age.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_commit::{Chain, Named, Origin, chunk_origin, other_cluster, quarantine_origin, quarantine_prefix};
use loglake_model::failpoint;
use loglake_store::Object;
use tokio::time::Instant;

use crate::Error;
use crate::shared::Shared;

/// What the keys of all chunks begin with.
const CHUNKS: &str = "data/";
/// How many objects are deleted at a time.
const DELETES: usize = 8;
/// The most marks kept of when an index was where.
const MARKS: usize = 64;

/// The process's collector.
pub(crate) struct Collector {
    shared: Arc<Shared>,
    /// When the index of a partition was seen at which entry.
    seen: BTreeMap<u32, VecDeque<(Instant, u64)>>,
}

impl Collector {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, seen: BTreeMap::new() }
    }

    /// Collects for the partitions owned, round after round. Never ends.
    pub(crate) async fn run(mut self) {
        let interval = self.shared.config.collect_interval;
        // Not all processes of a cluster at once.
        let first = interval.mul_f64(0.5 + 0.5 * share_of(&self.shared.holder));
        let mut every = tokio::time::interval_at(Instant::now() + first, interval);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "left-over objects not collected, trying again next round");
            }
        }
    }

    async fn round(&mut self) -> Result<(), Error> {
        let owned: Vec<u32> = self.shared.tails.read().keys().copied().collect();
        self.seen.retain(|partition, _| owned.contains(partition));
        let mut named = BTreeMap::new();
        for partition in owned {
            match self.look(partition).await {
                Ok(chain) => drop(named.insert(partition, chain)),
                Err(error) => tracing::warn!(partition, %error, "chain not read, its left-overs stay"),
            }
        }
        if named.is_empty() {
            return Ok(());
        }
        let cluster = self.shared.config.cluster.clone();
        self.collect(CHUNKS, chunk_origin, &named).await?;
        self.collect(&quarantine_prefix(&cluster), |key| quarantine_origin(&cluster, key), &named).await
    }

    /// Reads a partition's chain, and deletes the removed chunks whose time is over.
    async fn look(&mut self, partition: u32) -> Result<Named, Error> {
        let shared = &self.shared;
        let grace = shared.config.removed_grace;
        // The watermark before the chain: what is told of it stays true.
        let applied = shared.index.watermark(partition).await?;
        let chain = Chain::new(Arc::clone(&shared.store), &shared.config.cluster, shared.incarnation, partition);
        let state = chain.read().await?;
        let seen = self.seen.entry(partition).or_default();
        seen.extend(applied.map(|watermark| (Instant::now(), watermark.seq)));
        // The last one whose time is over tells as much as all before it.
        while seen.len() > MARKS || seen.get(1).is_some_and(|(since, _)| since.elapsed() >= grace) {
            seen.pop_front();
        }
        let applied_long = seen.front().filter(|(since, _)| since.elapsed() >= grace).map_or(0, |(_, seq)| *seq);
        let now_ns = shared.clock.now_ns();
        let is_over = |removed: &loglake_commit::Removed| removed.seq <= applied_long || removed.is_due(now_ns, grace);
        let due = state.removed.iter().filter(|(_, removed)| is_over(removed));
        // Their keys stay on the list until the next fold, so they are deleted more than once: length unknown, not counted.
        self.delete(due.map(|(key, _)| Object { key: key.clone(), length: 0 }).collect()).await?;
        Ok(Named::of(&state))
    }

    /// Deletes the left-overs of the chains in `named` among all objects under `prefix`, page by page.
    async fn collect(
        &self,
        prefix: &str,
        origin: impl Fn(&str) -> Option<Origin>,
        named: &BTreeMap<u32, Named>,
    ) -> Result<(), Error> {
        let shared = &self.shared;
        let mut after: Option<String> = None;
        loop {
            let page = shared.store.list(prefix, after.as_deref()).await?;
            after = page.objects.last().map(|object| object.key.clone());
            let is_left_over = |object: &Object| {
                origin(&object.key).is_some_and(|origin| {
                    let chain = named.get(&origin.partition).filter(|_| origin.incarnation == shared.incarnation);
                    chain.is_some_and(|chain| chain.is_left_over(&object.key, origin))
                })
            };
            let left_over: Vec<Object> = page.objects.into_iter().filter(is_left_over).collect();
            if !left_over.is_empty() {
                // A chunk's key does not say whose cluster's it is. A cluster leaves a mark in the bucket before its first
                // chunk, so whoever looks after the listing sees every cluster whose objects were listed.
                if let Some(other) = other_cluster(shared.store.as_ref(), &shared.config.cluster).await? {
                    tracing::warn!(
                        other,
                        "the bucket has chains of another cluster: left-over objects are not collected"
                    );
                    return Ok(());
                }
                let (objects, bytes) = (left_over.len() as u64, left_over.iter().map(|object| object.length).sum());
                self.delete(left_over).await?;
                shared.metrics.collected_objects.inc_by(objects);
                shared.metrics.collected_bytes.inc_by(bytes);
                tracing::info!(prefix, objects, bytes, "left-over objects collected");
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    async fn delete(&self, objects: Vec<Object>) -> Result<(), Error> {
        let deletes = stream::iter(objects).map(|object| async move {
            tracing::debug!(key = object.key, "object deleted");
            self.shared.store.delete(&object.key).await?;
            failpoint!("collect.object_deleted");
            Ok::<_, Error>(())
        });
        deletes.buffer_unordered(DELETES).try_collect().await
    }
}

/// A number from 0 to 1 that follows from `name`.
fn share_of(name: &str) -> f64 {
    f64::from(crc32c::crc32c(name.as_bytes())) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_do_not_all_begin_at_once() {
        let shares: Vec<f64> = (0..100).map(|n| share_of(&format!("processor {n}"))).collect();
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        assert!(shares.iter().any(|share| *share < 0.3) && shares.iter().any(|share| *share > 0.7));
    }
}
