//! The index of one process, in a local folder.

mod state;
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use loglake_model::{Clock, TenantId, TenantName};
use parking_lot::Mutex;

use self::state::State;
use crate::lease_table::LeaseTable;
use crate::{
    Apply, Change, ChunkIndex, ChunkQuery, Error, Lease, PartitionChunks, RebuildToken, SessionChange, Snapshot,
    Stored, StoredByTenant, Watermark,
};

/// The index in a local folder, for one process: entries in an embedded store, leases in memory.
///
/// What it says is durable before it is visible, so a power failure does not take it back.
#[derive(Debug)]
pub struct EmbeddedIndex {
    state: Arc<State>,
    leases: Mutex<LeaseTable>,
    clock: Arc<dyn Clock>,
    dir: PathBuf,
    cluster: String,
    /// Those of older incarnations, each in a folder of its own.
    older: tokio::sync::Mutex<BTreeMap<u32, Arc<EmbeddedIndex>>>,
}

impl EmbeddedIndex {
    /// Opens the index of `cluster`'s chunks under `incarnation` in `dir`, making the folder where it is missing. What the
    /// folder holds of another cluster or incarnation is dropped, and so is a store that cannot be read: it will be rebuilt.
    /// Blocks; call it at start.
    ///
    /// # Errors
    /// `Unavailable` when another process has it open or the folder cannot be used.
    pub fn open(dir: &Path, cluster: &str, incarnation: u32, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let state = Arc::new(State::open(dir, cluster, incarnation)?);
        let (dir, cluster) = (dir.to_owned(), cluster.to_owned());
        Ok(Self { state, leases: Mutex::default(), clock, dir, cluster, older: Default::default() })
    }

    /// Syncs what is written. The folder is free for another process when the index is dropped.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn close(&self) -> Result<(), Error> {
        for older in self.older.lock().await.values() {
            older.blocking(State::sync).await?;
        }
        self.blocking(State::sync).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&State) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let state = Arc::clone(&self.state);
        tokio::task::spawn_blocking(move || call(&state))
            .await
            .map_err(|error| Error::Unavailable { what: "embedded index".to_owned(), reason: error.to_string() })?
    }
}

#[async_trait]
impl ChunkIndex for EmbeddedIndex {
    async fn apply(&self, partition: u32, change: &Change) -> Result<Apply, Error> {
        let change = change.clone();
        self.blocking(move |state| state.apply(partition, &change)).await
    }

    async fn watermark(&self, partition: u32) -> Result<Option<Watermark>, Error> {
        self.blocking(move |state| state.watermark(partition)).await
    }

    async fn begin_rebuild(&self, partition: u32) -> Result<RebuildToken, Error> {
        self.blocking(move |state| state.begin_rebuild(partition)).await
    }

    async fn rebuild(&self, partition: u32, token: &RebuildToken, snapshot: &Snapshot) -> Result<bool, Error> {
        let (token, snapshot) = (token.clone(), snapshot.clone());
        self.blocking(move |state| state.rebuild(partition, &token, &snapshot)).await
    }

    async fn replace(
        &self,
        partition: u32,
        token: &RebuildToken,
        seen: Option<Watermark>,
        snapshot: &Snapshot,
    ) -> Result<bool, Error> {
        let (token, snapshot) = (token.clone(), snapshot.clone());
        self.blocking(move |state| state.replace(partition, &token, seen, &snapshot)).await
    }

    async fn dump(&self, partition: u32) -> Result<Option<Snapshot>, Error> {
        self.blocking(move |state| state.dump(partition)).await
    }

    async fn chunks(&self, tenant: &TenantId, query: &ChunkQuery<'_>) -> Result<Vec<PartitionChunks>, Error> {
        let tenant = tenant.name().clone();
        let services = query.services.map(<[_]>::to_vec);
        let (range, partitions, most) = (query.range, query.partitions.to_vec(), query.most);
        self.blocking(move |state| {
            let mut room = most;
            let answers = partitions.iter().map(|partition| {
                let answer = state.chunks(*partition, &tenant, services.as_deref(), range, room);
                let answer = answer?.ok_or(Error::TooMany { most })?;
                room -= answer.chunks.len();
                Ok(answer)
            });
            answers.collect()
        })
        .await
    }

    async fn sessions(&self, partition: u32) -> Result<Option<(Watermark, Vec<SessionChange>)>, Error> {
        self.blocking(move |state| state.sessions(partition)).await
    }

    async fn stored_bytes(&self, tenants: &[TenantName], partitions: &[u32]) -> Result<Stored, Error> {
        let (tenants, partitions) = (tenants.to_vec(), partitions.iter().copied().collect::<BTreeSet<_>>());
        self.blocking(move |state| {
            let mut stored = Stored { bytes: vec![0; tenants.len()], lacking: Vec::new() };
            for partition in partitions {
                match state.stored(partition, &tenants)? {
                    None => stored.lacking.push(partition),
                    Some(sums) => {
                        stored.bytes.iter_mut().zip(sums).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
                    }
                }
            }
            Ok(stored)
        })
        .await
    }

    async fn stored_by_tenant(&self, partition: u32) -> Result<Option<StoredByTenant>, Error> {
        self.blocking(move |state| state.stored_by_tenant(partition)).await
    }

    async fn older(&self, incarnation: u32) -> Result<Arc<dyn ChunkIndex>, Error> {
        let mut older = self.older.lock().await;
        if let Some(there) = older.get(&incarnation) {
            return Ok(Arc::clone(there) as _);
        }
        let dir = self.dir.join(format!("older-{incarnation}"));
        let (cluster, clock) = (self.cluster.clone(), Arc::clone(&self.clock));
        let made = self.blocking(move |_| Self::open(&dir, &cluster, incarnation, clock)).await?;
        Ok(Arc::clone(older.entry(incarnation).or_insert(Arc::new(made))) as _)
    }

    async fn acquire(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        Ok(self.leases.lock().take(name, holder, value, ttl, self.clock.now_ns(), false))
    }

    async fn seize(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        Ok(self.leases.lock().take(name, holder, value, ttl, self.clock.now_ns(), true))
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), Error> {
        self.leases.lock().release(name, holder);
        Ok(())
    }

    async fn leases(&self, names: &[String]) -> Result<Vec<Option<Lease>>, Error> {
        let now_ns = self.clock.now_ns();
        let leases = self.leases.lock();
        Ok(names.iter().map(|name| leases.get(name, now_ns)).collect())
    }
}

#[cfg(test)]
mod tests;
