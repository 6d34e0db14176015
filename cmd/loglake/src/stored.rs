//! How many bytes are stored of tenants: the index says it, of all lives of the topic.

use std::sync::Arc;

use async_trait::async_trait;
use loglake_auth::limits::{AtRest, StoredBytes, StoredBytesError};
use loglake_broker::Reader;
use loglake_index::{ChunkIndex, RedisIndex};
use loglake_model::TenantName;
use loglake_service::Config;
use loglake_store::ObjectStore;
use tokio::sync::OnceCell;
use tracing::warn;

use crate::parts;

/// What the index says.
pub(crate) struct IndexedBytes {
    index: Arc<dyn ChunkIndex>,
    reader: Arc<dyn Reader>,
    /// The lives before the present one, and their partitions.
    older: Vec<(Arc<dyn ChunkIndex>, Vec<u32>)>,
}

impl IndexedBytes {
    /// Of the life `incarnation` and all before it.
    pub(crate) async fn open(
        index: Arc<dyn ChunkIndex>,
        reader: Arc<dyn Reader>,
        store: &dyn ObjectStore,
        cluster: &str,
        incarnation: u32,
    ) -> anyhow::Result<Self> {
        let mut older = Vec::new();
        for life in loglake_commit::older_incarnations(store, cluster, incarnation).await? {
            older.push((index.older(life.number).await?, life.partitions));
        }
        Ok(Self { index, reader, older })
    }

    async fn ask(&self, tenants: &[TenantName]) -> anyhow::Result<AtRest> {
        // Asked each time, as partitions may be added.
        let present: Vec<u32> = (0..self.reader.topic().await?.partitions).collect();
        let lives = std::iter::once((&self.index, &present)).chain(self.older.iter().map(|(index, all)| (index, all)));
        let (mut bytes, mut lacking) = (vec![0_u64; tenants.len()], Vec::new());
        for (index, partitions) in lives {
            let stored = index.stored_bytes(tenants, partitions).await?;
            bytes.iter_mut().zip(stored.bytes).for_each(|(sum, more)| *sum = sum.saturating_add(more));
            lacking.extend(stored.lacking);
        }
        let lacks = lacking.first().map(|first| {
            format!("the index of {} partition(s), such as {first}, is being rebuilt or added up", lacking.len())
        });
        Ok(AtRest { bytes, lacks })
    }
}

#[async_trait]
impl StoredBytes for IndexedBytes {
    async fn of(&self, tenants: &[TenantName]) -> Result<AtRest, StoredBytesError> {
        self.ask(tenants).await.map_err(|error| StoredBytesError(format!("{error:#}")))
    }
}

/// The same for an ingestor, which starts without object store and Redis: both are connected to with the first question, which
/// nobody asks unless a tenant has such a limit.
struct Later {
    config: Config,
    reader: Arc<dyn Reader>,
    topic_id: String,
    opened: OnceCell<IndexedBytes>,
}

/// Where an ingestor asks; `None` where it knows too little to find the index.
pub(crate) fn later(config: &Config, reader: Arc<dyn Reader>, topic_id: String) -> Option<Arc<dyn StoredBytes>> {
    if config.index.addr.is_none() || config.store.bucket.is_none() {
        if config.limits.stored_bytes.0 > 0 {
            warn!(
                "limits.stored_bytes is not enforced: this ingestor needs index.addr and store.bucket to know what is stored"
            );
        }
        return None;
    }
    Some(Arc::new(Later { config: config.clone(), reader, topic_id, opened: OnceCell::new() }))
}

impl Later {
    async fn open(&self) -> anyhow::Result<IndexedBytes> {
        let (config, cluster) = (&self.config, self.config.cluster.as_str());
        let store = parts::store_as_it_is(config).await?;
        // It is written down by those who make chunks, never by an ingestor.
        let lives = loglake_commit::lives(&*store, cluster).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
        let life = lives.into_iter().find(|life| life.topic_id == self.topic_id);
        let incarnation = life.ok_or_else(|| anyhow::anyhow!("no processor has begun with this topic yet"))?.number;
        let addr = config.index.addr.as_ref().ok_or_else(|| anyhow::anyhow!("index.addr is not set"))?;
        let index = RedisIndex::connect(parts::index_settings(config, addr.url(), incarnation)?).await?;
        IndexedBytes::open(Arc::new(index), Arc::clone(&self.reader), &*store, cluster, incarnation).await
    }
}

#[async_trait]
impl StoredBytes for Later {
    async fn of(&self, tenants: &[TenantName]) -> Result<AtRest, StoredBytesError> {
        let opened = self.opened.get_or_try_init(|| self.open()).await;
        opened.map_err(|error| StoredBytesError(format!("{error:#}")))?.of(tenants).await
    }
}
