//! The index, as one process reaches it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use loglake_index::{
    Apply, Change, ChunkIndex, ChunkQuery, Error, Lease, PartitionChunks, RebuildToken, SessionChange, Snapshot,
    Watermark,
};
use loglake_model::TenantId;

use crate::faults::{Faults, Life, Part, Reply};
use crate::memory_index::MemoryIndex;

/// The index as one process sees it.
#[derive(Clone, Debug)]
pub struct FaultyIndex {
    /// What all processes share.
    pub inner: Arc<MemoryIndex>,
    /// What becomes of calls.
    pub faults: Faults,
    /// Who calls.
    pub life: Life,
}

impl FaultyIndex {
    async fn call<T: std::fmt::Debug + Send + 'static>(
        &self,
        what: String,
        is_write: bool,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match self.faults.call(&self.life, Part::Index, what.clone(), is_write, work).await {
            Reply::Done(outcome) => outcome,
            Reply::Refused | Reply::Lost => Err(Error::Unavailable { what, reason: "simulated".to_owned() }),
        }
    }
}

#[async_trait]
impl ChunkIndex for FaultyIndex {
    async fn apply(&self, partition: u32, change: &Change) -> Result<Apply, Error> {
        let (inner, change) = (Arc::clone(&self.inner), change.clone());
        let what = format!("apply {partition} seq {} next {}", change.seq, change.next);
        self.call(what, true, async move { inner.apply(partition, &change).await }).await
    }

    async fn watermark(&self, partition: u32) -> Result<Option<Watermark>, Error> {
        let inner = Arc::clone(&self.inner);
        self.call(format!("watermark {partition}"), false, async move { inner.watermark(partition).await }).await
    }

    async fn begin_rebuild(&self, partition: u32) -> Result<RebuildToken, Error> {
        let inner = Arc::clone(&self.inner);
        self.call(format!("begin_rebuild {partition}"), true, async move { inner.begin_rebuild(partition).await }).await
    }

    async fn rebuild(&self, partition: u32, token: &RebuildToken, snapshot: &Snapshot) -> Result<bool, Error> {
        let (inner, token, snapshot) = (Arc::clone(&self.inner), token.clone(), snapshot.clone());
        let what = format!("rebuild {partition} {} to {:?}", token.0, snapshot.watermark);
        self.call(what, true, async move { inner.rebuild(partition, &token, &snapshot).await }).await
    }

    async fn replace(
        &self,
        partition: u32,
        token: &RebuildToken,
        seen: Option<Watermark>,
        snapshot: &Snapshot,
    ) -> Result<bool, Error> {
        let (inner, token, snapshot) = (Arc::clone(&self.inner), token.clone(), snapshot.clone());
        let what = format!("replace {partition} {} {seen:?} by {:?}", token.0, snapshot.watermark);
        self.call(what, true, async move { inner.replace(partition, &token, seen, &snapshot).await }).await
    }

    async fn dump(&self, partition: u32) -> Result<Option<Snapshot>, Error> {
        let inner = Arc::clone(&self.inner);
        self.call(format!("dump {partition}"), false, async move { inner.dump(partition).await }).await
    }

    async fn chunks(&self, tenant: &TenantId, query: &ChunkQuery<'_>) -> Result<Vec<PartitionChunks>, Error> {
        let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
        let (services, partitions) = (query.services.map(<[_]>::to_vec), query.partitions.to_vec());
        let (range, most) = (query.range, query.most);
        let read = async move {
            let query = ChunkQuery { services: services.as_deref(), range, partitions: &partitions, most };
            inner.chunks(&tenant, &query).await
        };
        self.call("chunks".to_owned(), false, read).await
    }

    async fn sessions(&self, partition: u32) -> Result<Option<(Watermark, Vec<SessionChange>)>, Error> {
        let inner = Arc::clone(&self.inner);
        self.call(format!("sessions {partition}"), false, async move { inner.sessions(partition).await }).await
    }

    async fn acquire(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        let (inner, name, holder, value) =
            (Arc::clone(&self.inner), name.to_owned(), holder.to_owned(), value.to_owned());
        // Renewed every second: no write that the trace is about.
        let what = format!("acquire {name}");
        self.call(what, false, async move { inner.acquire(&name, &holder, &value, ttl).await }).await
    }

    async fn seize(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        let (inner, name, holder, value) =
            (Arc::clone(&self.inner), name.to_owned(), holder.to_owned(), value.to_owned());
        let what = format!("seize {name}");
        self.call(what, true, async move { inner.seize(&name, &holder, &value, ttl).await }).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), Error> {
        let (inner, name, holder) = (Arc::clone(&self.inner), name.to_owned(), holder.to_owned());
        self.call(format!("release {name}"), true, async move { inner.release(&name, &holder).await }).await
    }

    async fn leases(&self, names: &[String]) -> Result<Vec<Option<Lease>>, Error> {
        let (inner, names) = (Arc::clone(&self.inner), names.to_vec());
        self.call("leases".to_owned(), false, async move { inner.leases(&names).await }).await
    }
}
