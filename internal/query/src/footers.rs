//! Footers of chunks, kept in memory.

use std::sync::Arc;

use loglake_chunk::{Contents, Footer};
use loglake_model::{ChunkMeta, TenantId, TenantName};
use loglake_store::ObjectStore;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::metrics::Metrics;

/// What keeping an entry costs besides the footer and its key, in bytes, about.
const ENTRY_BYTES: usize = 200;

/// How many bytes of an object's end are read where its directory is all that is wanted: enough for some hundred blocks.
const DIRECTORY_BYTES: u64 = 16 << 10;

/// A footer, or as much of one as was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Whole(Arc<Footer>),
    Contents(Arc<Contents>),
}

impl Known {
    pub(crate) fn contents(&self) -> &Contents {
        match self {
            Self::Whole(footer) => footer.contents(),
            Self::Contents(contents) => contents,
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Whole(footer) => footer.memory_bytes(),
            Self::Contents(contents) => contents.memory_bytes(),
        }
    }
}

#[derive(Clone)]
struct Kept {
    /// Whose it is: checked on every reading.
    tenant: TenantName,
    known: Known,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<String, Kept> for Weigh {
    fn weight(&self, key: &String, kept: &Kept) -> u64 {
        (key.len() + kept.known.memory_bytes() + ENTRY_BYTES) as u64
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
        if let Some(Known::Whole(footer)) = self.cached(tenant, meta)? {
            self.metrics.footers.with_label_values(&["hit"]).inc();
            return Ok((footer, 0));
        }
        self.metrics.footers.with_label_values(&["miss"]).inc();
        self.read(store, tenant, meta).await
    }

    /// The same of its directory alone, for which less is read.
    pub(crate) async fn contents(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
    ) -> Result<(Known, u64), NoFooter> {
        if let Some(known) = self.cached(tenant, meta)? {
            self.metrics.footers.with_label_values(&["hit"]).inc();
            return Ok((known, 0));
        }
        self.metrics.footers.with_label_values(&["miss"]).inc();
        let length = length_of(meta)?.min(DIRECTORY_BYTES);
        let tail = store.get_range(&meta.key, meta.length - length..meta.length).await?;
        let contents = Contents::parse(&tail, meta.footer_offset, meta.length)
            .map_err(|error| NoFooter::Damaged(error.to_string()))?;
        if let Some(contents) = contents {
            check_head(&contents, meta)?;
            let known = Known::Contents(Arc::new(contents));
            self.keep(tenant, meta, known.clone());
            return Ok((known, length));
        }
        let (footer, bytes) = self.read(store, tenant, meta).await?;
        Ok((Known::Whole(footer), length + bytes))
    }

    /// What is in memory of `meta`, if it is `tenant`'s.
    fn cached(&self, tenant: &TenantId, meta: &ChunkMeta) -> Result<Option<Known>, NoFooter> {
        if meta.tenant != *tenant.name() {
            return Err(NoFooter::Damaged("the index gave another tenant's chunk".to_owned()));
        }
        match self.cache.get(&meta.key) {
            Some(kept) if kept.tenant == *tenant.name() => {
                check_head(kept.known.contents(), meta)?;
                Ok(Some(kept.known))
            }
            _ => Ok(None),
        }
    }

    async fn read(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
    ) -> Result<(Arc<Footer>, u64), NoFooter> {
        let length = length_of(meta)?;
        let bytes = store.get_range(&meta.key, meta.footer_offset..meta.length).await?;
        let footer = Footer::parse(bytes, meta.footer_offset, meta.length)
            .map_err(|error| NoFooter::Damaged(error.to_string()))?;
        check_head(footer.contents(), meta)?;
        let footer = Arc::new(footer);
        self.keep(tenant, meta, Known::Whole(Arc::clone(&footer)));
        Ok((footer, length))
    }

    fn keep(&self, tenant: &TenantId, meta: &ChunkMeta, known: Known) {
        self.cache.insert(meta.key.clone(), Kept { tenant: tenant.name().clone(), known });
        self.metrics.footer_cache_bytes.set(self.cache.weight().cast_signed());
    }
}

/// How long the footer of `meta` is, in bytes.
fn length_of(meta: &ChunkMeta) -> Result<u64, NoFooter> {
    let length = meta.length.checked_sub(meta.footer_offset);
    length
        .filter(|length| *length <= loglake_chunk::MAX_FOOTER_BYTES as u64)
        .ok_or_else(|| NoFooter::Damaged("the index gives it an impossible footer".to_owned()))
}

/// A chunk says itself whose it is; the index only repeats it.
fn check_head(contents: &Contents, meta: &ChunkMeta) -> Result<(), NoFooter> {
    let head = contents.head();
    if head.tenant == meta.tenant && head.service == meta.service {
        Ok(())
    } else {
        Err(NoFooter::Damaged("it is another tenant's or service's than the index says".to_owned()))
    }
}
