//! The contract of the chunk index: what stands in which object. It holds no truth: all of it can be rebuilt from the
//! bucket's chains.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use loglake_model::{ChunkMeta, LevelCounts, Service, TenantId, TenantName, TimeRange};
use serde::{Deserialize, Serialize};

use crate::Error;

/// How far the index has followed a partition's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The chain's sequence number of the last entry applied; 0 for an empty chain.
    pub seq: u64,
    /// The chain's `next` there: everything below this offset is in chunks (T of the reading rule).
    pub next: u64,
}

/// What one entry of a chain changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The entry's sequence number; its predecessor is `seq - 1`.
    pub seq: u64,
    /// The entry's `next`.
    pub next: u64,
    /// Chunks that become live.
    pub adds: Vec<ChunkMeta>,
    /// Chunks that are live no more. Whole entries, as their place in the index follows from tenant, service and window.
    pub removes: Vec<ChunkMeta>,
    /// Changes of client sessions.
    pub sessions: Vec<SessionChange>,
    /// Offsets that the entry gives up.
    pub gap: Option<Gap>,
}

/// Offsets that no chunk will ever hold: they were lost, and going on without them was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The first offset lost.
    pub from: u64,
    /// The first offset after the gap.
    pub to: u64,
    /// When it was given up, ns UTC: the records lost were received before.
    pub at_ns: i64,
    /// Why.
    pub reason: String,
}

/// The most gaps that are kept of a partition.
pub const MAX_GAPS: usize = 64;

impl Gap {
    /// Adds `gap`, which lies above all of `gaps`: gaps that touch become one, and past [`MAX_GAPS`] the two that lie
    /// closest do, so that more is called lost than was, never less.
    pub fn add(gaps: &mut Vec<Self>, gap: Self) {
        gaps.push(gap);
        let joins = |pair: &[Self]| pair[1].from.saturating_sub(pair[0].to);
        loop {
            let closest = (1..gaps.len()).min_by_key(|at| joins(&gaps[at - 1..=*at]));
            let Some(at) = closest.filter(|at| gaps.len() > MAX_GAPS || joins(&gaps[at - 1..=*at]) == 0) else {
                return;
            };
            let later = gaps.remove(at);
            let earlier = &mut gaps[at - 1];
            (earlier.to, earlier.at_ns) = (earlier.to.max(later.to), earlier.at_ns.max(later.at_ns));
            earlier.reason = later.reason;
        }
    }
}

/// A change of one client session's state: see `commit-protocol` in ARCHITECTURE.md, "From the client".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChange {
    /// The session, as hex.
    pub session: String,
    /// Its state after the entry as JSON text; `None` when it was dropped.
    pub state: Option<String>,
}

/// How [`ChunkIndex::apply`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// The change is visible; the watermark is its seq.
    Applied,
    /// Nothing was done: the watermark is not the predecessor. `None`: there is no watermark, rebuild.
    Refused(Option<Watermark>),
}

/// The whole state of a partition for [`ChunkIndex::rebuild`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The tail that was read.
    pub watermark: Watermark,
    /// All live chunks there.
    pub live: Vec<ChunkMeta>,
    /// The states of all sessions there.
    pub sessions: Vec<SessionChange>,
    /// All gaps there, ascending.
    pub gaps: Vec<Gap>,
}

/// Proof that a rebuild was begun before the chain was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildToken(pub String);

/// A question to the index. All of it is answered for one tenant.
#[derive(Clone, Debug)]
pub struct ChunkQuery<'a> {
    /// Only these services; `None` for all.
    pub services: Option<&'a [Service]>,
    /// Only chunks that may hold a record in this range.
    pub range: TimeRange,
    /// Only these partitions.
    pub partitions: &'a [u32],
    /// The most chunks that the caller has room for, over all partitions; where there are more the answer is `TooMany`. What is near
    /// the range may count, too.
    pub most: usize,
}

/// A partition's part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChunks {
    /// The partition.
    pub partition: u32,
    /// The watermark, read in one step with the chunks; `None` when the index of this partition is lost and waits for its
    /// rebuild: then `chunks` is empty and means nothing.
    pub watermark: Option<Watermark>,
    /// The chunks that may hold what was asked for, in no order.
    pub chunks: Vec<ChunkMeta>,
    /// The partition's gaps, ascending, whatever was asked for.
    pub gaps: Vec<Gap>,
}

/// How many bytes are stored of tenants: [`ChunkIndex::stored_bytes`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The bytes of the objects of each tenant's live chunks: one sum for each tenant asked for, in that order.
    pub bytes: Vec<u64>,
    /// The partitions that no sum has, ascending: their index is lost and waits for its rebuild, or they are being added up at the
    /// moment. Each sum is too low by what its tenant has in these.
    pub lacking: Vec<u32>,
}

/// The bytes of each tenant's live chunks in one partition, with the watermark they belong to; a tenant without any is not
/// there.
pub type StoredByTenant = (Watermark, BTreeMap<TenantName, u64>);

/// A service of a tenant, as the chunks tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStats {
    /// The service.
    pub service: Service,
    /// Records in the chunks that overlap the range asked for.
    pub records: u64,
    /// By level.
    pub levels: LevelCounts,
    /// The earliest timestamp among these chunks, ns UTC.
    pub first_ns: i64,
    /// The latest timestamp among these chunks, ns UTC.
    pub last_ns: i64,
}

/// A lease as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it (unique a process).
    pub holder: String,
    /// What the holder wants known, such as its tail service's address.
    pub value: String,
    /// Grows with every new holder.
    pub generation: u64,
}

/// The index of one cluster's chunks under one incarnation of its topic.
#[async_trait]
pub trait ChunkIndex: Send + Sync {
    /// Applies an entry of `partition`'s chain, all of it or nothing, only if the watermark is its predecessor (`seq - 1`;
    /// an entry is never applied on top of nothing). An index that lacks a chunk that the entry removes is wrong: it drops
    /// what it has of the partition and refuses, to be rebuilt.
    ///
    /// # Errors
    /// `Unavailable`: it may or may not have been applied; ask for the watermark. `Corrupt`: a chunk contradicts itself, so
    /// that no query by time would find it (timestamps outside its window, a window that is not of whole minutes or longer
    /// than a day); nothing was applied.
    async fn apply(&self, partition: u32, change: &Change) -> Result<Apply, Error>;

    /// The watermark of `partition`; `None` when there is none.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn watermark(&self, partition: u32) -> Result<Option<Watermark>, Error>;

    /// Begins a rebuild: sets a token, **before** the chain is read. While one is there, others that begin are given the
    /// same: a token proves only that nothing was lost since it was set, and rebuilders must not keep each other from
    /// ending.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn begin_rebuild(&self, partition: u32) -> Result<RebuildToken, Error>;

    /// Replaces what the index says of `partition` by `snapshot` in one step, only if `token` is still there and no
    /// watermark at or above the snapshot's is. Returns whether it did; then the token is used up.
    ///
    /// # Errors
    /// `Unavailable`: it may or may not have been done; `Corrupt` as for [`ChunkIndex::apply`].
    async fn rebuild(&self, partition: u32, token: &RebuildToken, snapshot: &Snapshot) -> Result<bool, Error>;

    /// Replaces what the index says of `partition` by `snapshot` in one step, **whatever it said before**: for an index that is
    /// there and wrong. Only if `token` is still there and the watermark is still `seen`. Returns whether it did; then the
    /// token is used up.
    ///
    /// The caller begins a rebuild, reads the watermark, and reads the chain after that. So `snapshot` is at or past `seen`,
    /// and an entry applied meanwhile makes the call fail (begin again). Where the chain ends *below* `seen`, the index names
    /// entries that no bucket has: only there does this go back, and only while nobody else moves it.
    ///
    /// # Errors
    /// As [`ChunkIndex::rebuild`].
    async fn replace(
        &self,
        partition: u32,
        token: &RebuildToken,
        seen: Option<Watermark>,
        snapshot: &Snapshot,
    ) -> Result<bool, Error>;

    /// All that the index says of `partition`, of every tenant, as of one watermark: for checks, never to answer anyone.
    /// Chunks ascending by tenant, service, window and key. `None` when there is no watermark.
    ///
    /// # Errors
    /// `Unavailable`, also when the partition changes all the time while it is read; `Corrupt` when an entry cannot be read.
    async fn dump(&self, partition: u32) -> Result<Option<Snapshot>, Error>;

    /// The chunks of `tenant` that may hold what `query` asks for: one answer a partition asked for, in that order,
    /// each read in one step with its watermark.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` when an entry cannot be read; `TooMany` (`TooLarge`) when there are more chunks than `query.most`: no
    /// more than about as many were read to know it.
    async fn chunks(&self, tenant: &TenantId, query: &ChunkQuery<'_>) -> Result<Vec<PartitionChunks>, Error>;

    /// The states of all sessions of `partition` with the watermark they belong to; `None` when there is no watermark.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt`.
    async fn sessions(&self, partition: u32) -> Result<Option<(Watermark, Vec<SessionChange>)>, Error>;

    /// How many bytes are stored of each of `tenants` in `partitions`, taken together: the lengths of the objects of their live
    /// chunks. For limits and for operators, never a part of an answer to a tenant.
    ///
    /// The sums of a partition change in the one step that changes its chunks, and are set anew with them: they are right as of
    /// its watermark, whatever was applied twice, lost or rebuilt. What a program wrote that kept no sums is added up from its chunks
    /// before it is told. A partition asked for twice counts once; what cannot be told is in [`Stored::lacking`], never left
    /// out in silence.
    ///
    /// It costs a call a partition and a thousand tenants, few at a time, however many chunks there are.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` when a sum, or an entry that is to be added up, cannot be read.
    async fn stored_bytes(&self, tenants: &[TenantName], partitions: &[u32]) -> Result<Stored, Error> {
        let mut stored = Stored { bytes: vec![0; tenants.len()], lacking: Vec::new() };
        for partition in partitions.iter().copied().collect::<BTreeSet<_>>() {
            let Some((_, sums)) = self.stored_by_tenant(partition).await? else {
                stored.lacking.push(partition);
                continue;
            };
            for (sum, tenant) in stored.bytes.iter_mut().zip(tenants) {
                *sum = sum.saturating_add(sums.get(tenant).copied().unwrap_or(0));
            }
        }
        Ok(stored)
    }

    /// The same of all tenants in one partition: for checks. `None` when there is no watermark.
    ///
    /// # Errors
    /// As [`ChunkIndex::stored_bytes`], and `Unavailable` while it is being added up.
    async fn stored_by_tenant(&self, partition: u32) -> Result<Option<StoredByTenant>, Error> {
        Ok(self.dump(partition).await?.map(|snapshot| (snapshot.watermark, stored_by_tenant(&snapshot.live))))
    }

    /// The index of an older `incarnation` of the same cluster's topic, made where there is none: its chunks are still asked for.
    /// The same one each time.
    ///
    /// # Errors
    /// `Invalid` from an index that knows only one; `Unavailable`.
    async fn older(&self, incarnation: u32) -> Result<std::sync::Arc<dyn ChunkIndex>, Error> {
        Err(Error::Unfit(format!("this index knows nothing of incarnation {incarnation}")))
    }

    /// Takes or renews the lease `name` for `ttl`. Succeeds when nobody holds it or `holder` does; returns the lease as it
    /// is afterwards, so the caller compares `holder`. Whoever takes it gets a higher generation than any before, also the
    /// last holder after its lease ended; a renewal keeps it. The value may change on renewal.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn acquire(&self, name: &str, holder: &str, value: &str, ttl: std::time::Duration) -> Result<Lease, Error>;

    /// Takes the lease `name` from whoever holds it: for leases that are only a hint of who owns something, when a better
    /// witness (the consumer group) says who it is.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn seize(&self, name: &str, holder: &str, value: &str, ttl: std::time::Duration) -> Result<Lease, Error>;

    /// Gives the lease `name` back, if `holder` has it.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn release(&self, name: &str, holder: &str) -> Result<(), Error>;

    /// The leases of `names` as they are now, in that order; `None` for one that nobody holds.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn leases(&self, names: &[String]) -> Result<Vec<Option<Lease>>, Error>;
}

/// Adds up the lengths of chunks by tenant; a tenant without any byte is not there.
#[must_use]
pub fn stored_by_tenant<'a>(chunks: impl IntoIterator<Item = &'a ChunkMeta>) -> BTreeMap<TenantName, u64> {
    let mut sums = BTreeMap::<TenantName, u64>::new();
    for chunk in chunks.into_iter().filter(|chunk| chunk.length > 0) {
        match sums.get_mut(&chunk.tenant) {
            Some(sum) => *sum = sum.saturating_add(chunk.length),
            None => drop(sums.insert(chunk.tenant.clone(), chunk.length)),
        }
    }
    sums
}

/// Sums chunks up by service, ascending by name.
#[must_use]
pub fn service_stats<'a>(chunks: impl IntoIterator<Item = &'a ChunkMeta>) -> Vec<ServiceStats> {
    let mut by_name = BTreeMap::<&Service, ServiceStats>::new();
    for chunk in chunks {
        let stats = by_name.entry(&chunk.service).or_insert_with(|| ServiceStats {
            service: chunk.service.clone(),
            records: 0,
            levels: LevelCounts::default(),
            first_ns: i64::MAX,
            last_ns: i64::MIN,
        });
        stats.records += chunk.records;
        stats.levels.iter_mut().zip(chunk.levels).for_each(|(sum, count)| *sum += count);
        stats.first_ns = stats.first_ns.min(chunk.min_ns);
        stats.last_ns = stats.last_ns.max(chunk.max_ns);
    }
    by_name.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: u64, to: u64) -> Gap {
        Gap { from, to, at_ns: to.cast_signed(), reason: format!("{from}") }
    }

    #[test]
    fn gaps_that_touch_become_one_and_there_are_never_many() {
        let mut gaps = Vec::new();
        for (from, to) in [(0, 5), (5, 9), (20, 30)] {
            Gap::add(&mut gaps, gap(from, to));
        }
        assert_eq!(gaps, [Gap { reason: "5".to_owned(), ..gap(0, 9) }, gap(20, 30)]);
        let mut gaps = Vec::new();
        for n in 0..MAX_GAPS as u64 + 20 {
            Gap::add(&mut gaps, gap(n * 100 + n % 7, n * 100 + 50));
        }
        assert_eq!(gaps.len(), MAX_GAPS);
        for n in 0..MAX_GAPS as u64 + 20 {
            let covers = |gap: &&Gap| gap.from <= n * 100 + n % 7 && gap.to >= n * 100 + 50;
            assert_eq!(gaps.iter().filter(covers).count(), 1, "{n}");
        }
        assert!(gaps.is_sorted_by(|a, b| a.to < b.from));
    }
}
