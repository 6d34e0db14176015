//! Footers of chunks, kept in memory.

use std::sync::Arc;

use loglake_chunk::Footer;
use loglake_model::{ChunkMeta, TenantId, TenantName};
use loglake_store::ObjectStore;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::metrics::Metrics;

/// What keeping an entry costs besides the footer and its key, in bytes, about.
const ENTRY_BYTES: usize = 200;

#[derive(Clone)]
struct Kept {
    /// Whose it is: checked on every reading.
    tenant: TenantName,
    footer: Arc<Footer>,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<String, Kept> for Weigh {
    fn weight(&self, key: &String, kept: &Kept) -> u64 {
        (key.len() + kept.footer.memory_bytes() + ENTRY_BYTES) as u64
    }
}

/// Why there is no footer.
#[derive(Debug)]
pub(crate) enum NoFooter {
    /// The object is not there any more.
    Vanished,
    /// The object is not what the index says, or damaged.
    Damaged(String),
    /// The store did not answer.
    Store(loglake_store::Error),
}

impl From<loglake_store::Error> for NoFooter {
    fn from(error: loglake_store::Error) -> Self {
        match error {
            loglake_store::Error::NotFound { .. } => Self::Vanished,
            error @ loglake_store::Error::Short { .. } => Self::Damaged(error.to_string()),
            error => Self::Store(error),
        }
    }
}

/// A cache of footers, bounded in bytes.
pub(crate) struct Footers {
    cache: Cache<String, Kept, Weigh>,
    metrics: Metrics,
}

impl Footers {
    pub(crate) fn new(bytes: usize, metrics: Metrics) -> Self {
        // A footer is some tens of KiB.
        let items = (bytes / (32 << 10)).max(16);
        Self { cache: Cache::with_weighter(items, bytes as u64, Weigh), metrics }
    }

    /// The footer of `meta`, which must be of `tenant`, and how many bytes were read for it.
    pub(crate) async fn get(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
    ) -> Result<(Arc<Footer>, u64), NoFooter> {
        if meta.tenant != *tenant.name() {
            return Err(NoFooter::Damaged("the index gave another tenant's chunk".to_owned()));
        }
        if let Some(kept) = self.cache.get(&meta.key)
            && kept.tenant == *tenant.name()
        {
            self.metrics.footers.with_label_values(&["hit"]).inc();
            check_head(&kept.footer, meta)?;
            return Ok((kept.footer, 0));
        }
        self.metrics.footers.with_label_values(&["miss"]).inc();
        let length = meta.length.saturating_sub(meta.footer_offset);
        if meta.footer_offset > meta.length || length > loglake_chunk::MAX_FOOTER_BYTES as u64 {
            return Err(NoFooter::Damaged("the index gives it an impossible footer".to_owned()));
        }
        let bytes = store.get_range(&meta.key, meta.footer_offset..meta.length).await?;
        let footer = Footer::parse(bytes, meta.footer_offset, meta.length)
            .map_err(|error| NoFooter::Damaged(error.to_string()))?;
        check_head(&footer, meta)?;
        let footer = Arc::new(footer);
        self.cache.insert(meta.key.clone(), Kept { tenant: tenant.name().clone(), footer: Arc::clone(&footer) });
        self.metrics.footer_cache_bytes.set(self.cache.weight().cast_signed());
        Ok((footer, length))
    }
}

/// A chunk says itself whose it is; the index only repeats it.
fn check_head(footer: &Footer, meta: &ChunkMeta) -> Result<(), NoFooter> {
    let head = footer.head();
    if head.tenant == meta.tenant && head.service == meta.service {
        Ok(())
    } else {
        Err(NoFooter::Damaged("it is another tenant's or service's than the index says".to_owned()))
    }
}
