use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use loglake_auth::Authenticator;
use loglake_auth::limits::{TenantLimits, Turns};
use loglake_broker::Reader;
use loglake_index::ChunkIndex;
use loglake_model::{Clock, Readiness, Service, TenantId, TenantName, partition_of};
use loglake_store::ObjectStore;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::blocks::Blocks;
use crate::cursor::CursorKey;
use crate::failing::Failing;
use crate::footers::Footers;
use crate::heads::HeadReader;
use crate::metrics::Metrics;
use crate::older::Older;
use crate::room::Room;
use crate::tail_client::TailClient;
use crate::unsent::Unsent;
use crate::{Config, Error};

/// What all queries share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) index: Arc<dyn ChunkIndex>,
    pub(crate) incarnation: u32,
    /// The lives before it.
    pub(crate) older: Vec<Older>,
    /// How many partitions the topic had when it was made; `None` when nobody wrote it down.
    pub(crate) first_partitions: Option<u32>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) auth: Arc<Authenticator>,
    pub(crate) cursors: CursorKey,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    pub(crate) footers: Footers,
    pub(crate) blocks: Blocks,
    pub(crate) heads: HeadReader,
    pub(crate) tails: TailClient,
    pub(crate) failing: Failing,
    /// How much each tenant may ask for.
    pub(crate) limits: TenantLimits,
    /// Queries of a tenant that run at once.
    pub(crate) tenant_turns: Turns,
    /// Memory for the plans of queries.
    pub(crate) room: Room,
    /// Answers that were not taken yet.
    pub(crate) unsent: Unsent,
    /// Long bodies that are being read, of all and of a tenant.
    pub(crate) bodies: Semaphore,
    pub(crate) tenant_bodies: Turns,
    /// Queries that run at once.
    pub(crate) turns: Semaphore,
    /// See [`crate::Surroundings`].
    pub(crate) is_single_threaded: bool,
    /// As many blocks are decoded and searched at a time as there are cores.
    pub(crate) cpu: Arc<Semaphore>,
    /// The same of a tenant alone.
    pub(crate) tenant_cpu: Turns,
    pub(crate) cores: usize,
}

impl Shared {
    /// The bytes at rest of `tenant`, and the partitions whose index is lost, which are not among them.
    pub(crate) async fn stored_bytes(&self, tenant: &TenantName) -> Result<(u64, usize), Error> {
        let present: Vec<u32> = (0..self.reader.topic().await?.partitions).collect();
        let lives = std::iter::once((&self.index, &present));
        let (mut bytes, mut lacking) = (0_u64, 0);
        for (index, partitions) in lives.chain(self.older.iter().map(|older| (&older.index, &older.partitions))) {
            let stored = index.stored_bytes(std::slice::from_ref(tenant), partitions).await?;
            bytes = stored.bytes.iter().fold(bytes, |sum, more| sum.saturating_add(*more));
            lacking += stored.lacking.len();
        }
        Ok((bytes, lacking))
    }

    /// Runs `work` beside whoever asks for it, on whichever thread is free. It ends when nobody waits for it any more.
    pub(crate) fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        if self.is_single_threaded {
            return work.boxed();
        }
        let task = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
        async move { task.await? }.boxed()
    }

    /// Runs `work` of `tenant` where it holds nobody up, when a core is free. In the line for a core no tenant has more places than
    /// there are cores: who has many blocks to search is not before who has one.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        tenant: &TenantName,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let own = self.tenant_cpu.wait(tenant, self.cores).await.map_err(|error| Error::Internal(error.to_string()))?;
        let permit = Arc::clone(&self.cpu).acquire_owned().await.map_err(|error| Error::Internal(error.to_string()))?;
        let work = move || {
            let done = work();
            drop((permit, own));
            done
        };
        if self.is_single_threaded { Ok(work()) } else { Ok(tokio::task::spawn_blocking(work).await?) }
    }

    /// The partitions that can hold records of `services`: with every count of partitions the topic has had, as streams move
    /// when partitions are added.
    pub(crate) fn partitions_of(
        &self,
        tenant: &TenantId,
        services: Option<&[Service]>,
        partitions: usize,
    ) -> BTreeSet<u32> {
        let now = u32::try_from(partitions).unwrap_or(u32::MAX);
        match (services, self.first_partitions) {
            (Some(services), Some(first)) if (1..=now).contains(&first) => (first..=now)
                .flat_map(|count| services.iter().map(move |service| partition_of(tenant.name(), service, count)))
                .collect(),
            _ => (0..now).collect(),
        }
    }
}
