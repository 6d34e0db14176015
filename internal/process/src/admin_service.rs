use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use loglake_api::internal::v1::admin_service_server::AdminService;
use loglake_api::internal::v1::{FlushRequest, FlushResponse, FlushedPartition};
use loglake_auth::internal::{self, InternalKey};
use tonic::{Request, Response, Status};

use crate::shared::Shared;
use crate::tail::PartitionTail;

/// The longest that one call waits.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// How often it is looked whether the partition is still this processor's.
const LOOK: Duration = Duration::from_secs(1);

/// Does what operators ask for.
pub(crate) struct Admin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: InternalKey,
}

impl Admin {
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let refused = || Status::unauthenticated("this call is for those who know the cluster's secret");
        let header = request.metadata().get(internal::HEADER).and_then(|value| value.to_str().ok());
        self.key.verify_operator(header.ok_or_else(refused)?, self.shared.clock.now_ns()).map_err(|_| refused())
    }

    fn held(&self, partition: u32) -> Option<Arc<PartitionTail>> {
        self.shared.tails.read().get(&partition).cloned()
    }

    async fn flush_one(&self, partition: u32, until: u64, wait: Duration) -> FlushedPartition {
        let gone = FlushedPartition { partition, ..FlushedPartition::default() };
        let Some(tail) = self.held(partition) else { return gone };
        let before = tail.ask(until);
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let flushed = tail.settled(until, left.min(LOOK)).await;
            if flushed >= until || left.is_zero() {
                return FlushedPartition { partition, held: true, before, until, flushed };
            }
            // Lost, or lost and taken again: nobody moves the old one any more.
            if !self.held(partition).is_some_and(|now| Arc::ptr_eq(&now, &tail)) {
                return gone;
            }
        }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn flush(&self, request: Request<FlushRequest>) -> Result<Response<FlushResponse>, Status> {
        self.check(&request)?;
        let FlushRequest { mut partitions, wait_ms } = request.into_inner();
        if partitions.is_empty() {
            partitions = self.shared.tails.read().keys().copied().collect();
        }
        partitions.sort_unstable();
        partitions.dedup();
        let here: Vec<u32> = partitions.iter().copied().filter(|partition| self.held(*partition).is_some()).collect();
        let offsets = self.shared.reader.offsets(&here).await;
        let offsets = offsets.map_err(|error| Status::unavailable(format!("the broker's offsets: {error}")))?;
        let latest = |partition: u32| offsets.iter().find(|of| of.partition == partition).map_or(0, |of| of.latest);
        let wait = Duration::from_millis(wait_ms).min(MAX_WAIT);
        let flushes = partitions.iter().map(|partition| self.flush_one(*partition, latest(*partition), wait));
        let partitions = join_all(flushes).await;
        let done = partitions.iter().filter(|one| one.held && one.flushed >= one.until).count();
        tracing::info!(partitions = partitions.len(), done, "flushed on an operator's request");
        Ok(Response::new(FlushResponse { partitions }))
    }
}
