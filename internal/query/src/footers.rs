//! Footers of chunks, kept in memory and on disk.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use loglake_chunk::{Contents, Footer, Probe, Summary};
use loglake_model::{ChunkMeta, TenantId, TenantName};
use loglake_store::ObjectStore;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::disk_cache::DiskCache;
use crate::metrics::Metrics;

/// What keeping an entry costs besides the footer and its key, in bytes, about.
const ENTRY_BYTES: usize = 200;

/// A directory's length beside its rows, and that of a row, in bytes, about; and how many bytes of lines a block has at least,
/// but for the last one: how much of an object's end is read where its directory is all that is wanted.
const DIRECTORY_BYTES: u64 = 3 << 10;
const ROW_BYTES: u64 = 76;
const BLOCK_BYTES: u64 = 256 << 10;

/// How long a chunk's own filter mostly is, at most, in bytes.
const CHUNK_FILTER_BYTES: u64 = 48 << 10;

/// A footer, or as much of one as was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Whole(Arc<Footer>),
    Summary(Arc<Summary>),
    Contents(Arc<Contents>),
}

impl Known {
    pub(crate) fn contents(&self) -> &Contents {
        match self {
            Self::Whole(footer) => footer.contents(),
            Self::Summary(summary) => summary.contents(),
            Self::Contents(contents) => contents,
        }
    }

    /// The blocks that may hold what `probe` looks for, as far as this tells, by their number.
    pub(crate) fn blocks_that_may_match(&self, probe: &Probe) -> impl Iterator<Item = usize> {
        let may_match = match self {
            Self::Whole(footer) => footer.may_match(probe),
            Self::Summary(summary) => summary.may_match(probe),
            Self::Contents(_) => true,
        };
        let blocks = 0..if may_match { self.contents().blocks().len() } else { 0 };
        blocks.filter(move |block| match self {
            Self::Whole(footer) => footer.block_may_match(*block, probe),
            Self::Summary(_) | Self::Contents(_) => true,
        })
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Whole(footer) => footer.memory_bytes(),
            Self::Summary(summary) => summary.memory_bytes(),
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
    disk: Option<Arc<DiskCache>>,
    metrics: Metrics,
}

impl Footers {
    pub(crate) fn new(bytes: usize, disk: Option<Arc<DiskCache>>, metrics: Metrics) -> Self {
        // A footer is some tens of KiB.
        let items = (bytes / (32 << 10)).max(16);
        Self { cache: Cache::with_weighter(items, bytes as u64, Weigh), disk, metrics }
    }

    /// As much of the footer of `meta`, which must be of `tenant`, as it takes to say which blocks may hold what `probe` looks for;
    /// and how many bytes were read for it.
    pub(crate) async fn get(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
        probe: &Probe,
    ) -> Result<(Known, u64), NoFooter> {
        if probe.is_empty() {
            return self.contents(store, tenant, meta).await;
        }
        let (summary, bytes) = match self.cached(tenant, meta)? {
            Some(whole @ Known::Whole(_)) => return Ok(self.hit(whole)),
            Some(Known::Summary(summary)) if !summary.may_match(probe) => {
                return Ok(self.hit(Known::Summary(summary)));
            }
            Some(Known::Summary(summary)) => (Some(summary), 0),
            Some(Known::Contents(contents)) if length_of(meta)? > store.request_bytes() => {
                self.filter_of(store, tenant, meta, contents).await?
            }
            Some(Known::Contents(_)) | None => self.summary(store, tenant, meta).await?,
        };
        self.metrics.footers.with_label_values(&["miss"]).inc();
        let Some(summary) = summary else {
            let (footer, more) = self.read(store, tenant, meta).await?;
            return Ok((Known::Whole(footer), bytes + more));
        };
        if !summary.may_match(probe) {
            return Ok((Known::Summary(summary), bytes));
        }
        let range = summary.block_filters_range();
        let (stored, more) = self.bytes(store, tenant, meta, &range).await?;
        let filters = summary.block_filters(&stored).map_err(|error| NoFooter::Damaged(error.to_string()))?;
        self.keep_bytes(tenant, meta, &range, stored, more);
        let whole = Known::Whole(Arc::new(Footer::new(Summary::clone(&summary), filters)));
        self.keep(tenant, meta, whole.clone());
        Ok((whole, bytes + more))
    }

    /// The directory of `meta` alone, for which less is read.
    pub(crate) async fn contents(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
    ) -> Result<(Known, u64), NoFooter> {
        if let Some(known) = self.cached(tenant, meta)? {
            return Ok(self.hit(known));
        }
        self.metrics.footers.with_label_values(&["miss"]).inc();
        let (contents, read) = self.directory(store, tenant, meta).await?;
        if let Some(contents) = contents {
            return Ok((Known::Contents(contents), read));
        }
        let (footer, bytes) = self.read(store, tenant, meta).await?;
        Ok((Known::Whole(footer), read + bytes))
    }

    /// The directory of `meta`, and how many bytes were read for it; none where it is longer than was reckoned.
    async fn directory(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
    ) -> Result<(Option<Arc<Contents>>, u64), NoFooter> {
        let length = length_of(meta)?.min(directory_bytes(meta));
        let range = meta.length - length..meta.length;
        let (tail, read) = self.bytes(store, tenant, meta, &range).await?;
        let contents = Contents::parse(&tail, meta.footer_offset, meta.length)
            .map_err(|error| NoFooter::Damaged(error.to_string()))?;
        let Some(contents) = contents else { return Ok((None, read)) };
        check_head(&contents, meta)?;
        let contents = Arc::new(contents);
        self.keep(tenant, meta, Known::Contents(Arc::clone(&contents)));
        self.keep_bytes(tenant, meta, &range, tail, read);
        Ok((Some(contents), read))
    }

    /// The summary of `meta`, whose directory is known, and how many bytes were read for it.
    async fn filter_of(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
        contents: Arc<Contents>,
    ) -> Result<(Option<Arc<Summary>>, u64), NoFooter> {
        let range = contents.chunk_filter_range();
        let (stored, read) = self.bytes(store, tenant, meta, &range).await?;
        let summary = Summary::new(Arc::unwrap_or_clone(contents), &stored);
        let summary = Arc::new(summary.map_err(|error| NoFooter::Damaged(error.to_string()))?);
        self.keep(tenant, meta, Known::Summary(Arc::clone(&summary)));
        self.keep_bytes(tenant, meta, &range, stored, read);
        Ok((Some(summary), read))
    }

    /// The summary of `meta`, and how many bytes were read for it; none where the whole footer is little more, or is needed.
    async fn summary(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
    ) -> Result<(Option<Arc<Summary>>, u64), NoFooter> {
        let whole = length_of(meta)?;
        // A second request for the rest would take longer.
        if whole <= store.request_bytes() {
            return Ok((None, 0));
        }
        if store.request_bytes() < CHUNK_FILTER_BYTES {
            let (contents, read) = self.directory(store, tenant, meta).await?;
            let Some(contents) = contents else { return Ok((None, read)) };
            let (summary, more) = self.filter_of(store, tenant, meta, contents).await?;
            return Ok((summary, read + more));
        }
        let length = whole.min(CHUNK_FILTER_BYTES + directory_bytes(meta));
        let range = meta.length - length..meta.length;
        let (tail, read) = self.bytes(store, tenant, meta, &range).await?;
        let summary = Summary::parse(&tail, meta.footer_offset, meta.length)
            .map_err(|error| NoFooter::Damaged(error.to_string()))?;
        let Some(summary) = summary else { return Ok((None, read)) };
        check_head(summary.contents(), meta)?;
        let summary = Arc::new(summary);
        self.keep(tenant, meta, Known::Summary(Arc::clone(&summary)));
        self.keep_bytes(tenant, meta, &range, tail, read);
        Ok((Some(summary), read))
    }

    fn hit(&self, known: Known) -> (Known, u64) {
        self.metrics.footers.with_label_values(&["hit"]).inc();
        (known, 0)
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
        length_of(meta)?;
        let range = meta.footer_offset..meta.length;
        let (bytes, read) = self.bytes(store, tenant, meta, &range).await?;
        let footer = Footer::parse(&bytes, meta.footer_offset, meta.length)
            .map_err(|error| NoFooter::Damaged(error.to_string()))?;
        check_head(footer.contents(), meta)?;
        let footer = Arc::new(footer);
        self.keep(tenant, meta, Known::Whole(Arc::clone(&footer)));
        self.keep_bytes(tenant, meta, &range, bytes, read);
        Ok((footer, read))
    }

    /// The bytes `range` of the object of `meta`, and how many of them were read from the store.
    async fn bytes(
        &self,
        store: &dyn ObjectStore,
        tenant: &TenantId,
        meta: &ChunkMeta,
        range: &Range<u64>,
    ) -> Result<(Bytes, u64), NoFooter> {
        if let Some(disk) = &self.disk
            && let Some(bytes) = disk.get(tenant, meta, range).await
        {
            return Ok((bytes, 0));
        }
        let bytes = store.get_range(&meta.key, range.clone()).await?;
        let read = bytes.len() as u64;
        Ok((bytes, read))
    }

    /// Keeps bytes on disk, once they were found to be whole; `read` is as [`Footers::bytes`] told.
    fn keep_bytes(&self, tenant: &TenantId, meta: &ChunkMeta, range: &Range<u64>, bytes: Bytes, read: u64) {
        if let Some(disk) = self.disk.as_ref().filter(|_| read > 0) {
            disk.keep(tenant, meta, range, bytes);
        }
    }

    fn keep(&self, tenant: &TenantId, meta: &ChunkMeta, known: Known) {
        self.cache.insert(meta.key.clone(), Kept { tenant: tenant.name().clone(), known });
        self.metrics.footer_cache_bytes.set(self.cache.weight().cast_signed());
    }
}

/// How much of the end of `meta` mostly holds its directory, in bytes.
fn directory_bytes(meta: &ChunkMeta) -> u64 {
    DIRECTORY_BYTES + (meta.bytes / BLOCK_BYTES + 1).saturating_mul(ROW_BYTES)
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
