use std::collections::BTreeMap;
use std::sync::Arc;

use loglake_broker::{Consumer, Reader, Trim};
use loglake_index::ChunkIndex;
use loglake_model::Clock;
use loglake_store::ObjectStore;
use parking_lot::RwLock;
use tokio::task::JoinError;

use crate::Config;
use crate::budget::Budget;
use crate::metrics::Metrics;
use crate::older::Older;
use crate::tail::PartitionTail;
use crate::workshop::Workshop;

/// What all workers and the tail service share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) consumer: Arc<dyn Consumer>,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) trim: Option<Arc<dyn Trim>>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) index: Arc<dyn ChunkIndex>,
    pub(crate) incarnation: u32,
    /// The lives before it.
    pub(crate) older: Vec<Older>,
    /// The id of that life of the topic.
    pub(crate) topic_id: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) budget: Budget,
    /// As many chunks are built at a time as there are cores.
    pub(crate) workshop: Arc<Workshop>,
    /// The tails that this processor serves now.
    pub(crate) tails: RwLock<BTreeMap<u32, Arc<PartitionTail>>>,
    /// Who this process is, in leases and entries: unique.
    pub(crate) holder: String,
    /// The address of the tail service, as leases tell it.
    pub(crate) advertise: String,
    /// Makes a new nonce each time.
    pub(crate) nonce: Box<dyn Fn() -> String + Send + Sync>,
    /// See [`crate::Surroundings`].
    pub(crate) is_single_threaded: bool,
}

impl Shared {
    pub(crate) fn window_ns(&self) -> i64 {
        // Checked when the configuration was taken: at most a day.
        i64::try_from(self.config.window.as_nanos()).unwrap_or(i64::MAX)
    }

    /// Runs `work`, which may keep a thread busy for long, where it holds nobody up.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        if self.is_single_threaded { Ok(work()) } else { tokio::task::spawn_blocking(work).await }
    }

    /// Gives the embedded log's space below `next` back, once no one will ask for it.
    pub(crate) async fn trim(&self, partition: u32, next: u64) {
        if let Some(trim) = &self.trim
            && let Err(error) = trim.trim(partition, next).await
        {
            tracing::warn!(partition, %error, "log not trimmed");
        }
    }

    /// The lease that says who serves the tail of `partition`.
    pub(crate) fn lease_name(&self, partition: u32) -> String {
        format!("owner:{}:{partition}", self.incarnation)
    }
}
