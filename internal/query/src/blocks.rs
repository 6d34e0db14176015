//! Blocks as they are stored, kept in memory and on disk.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use loglake_chunk::BlockRow;
use loglake_model::{ChunkMeta, TenantId, TenantName};
use loglake_store::ObjectStore;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::Error;
use crate::disk_cache::DiskCache;
use crate::metrics::Metrics;
use crate::spans::{Span, spans};

/// What keeping a block costs besides its bytes and its key, in bytes, about.
const ENTRY_BYTES: usize = 200;

#[derive(Clone)]
struct Kept {
    /// Whose it is: checked on every reading.
    tenant: TenantName,
    member: Bytes,
}

/// A chunk's key, and where in it the block begins.
type Place = (String, u64);

#[derive(Clone)]
struct Weigh;

impl Weighter<Place, Kept> for Weigh {
    fn weight(&self, (key, _): &Place, kept: &Kept) -> u64 {
        (key.len() + kept.member.len() + ENTRY_BYTES) as u64
    }
}

/// A span's blocks.
#[derive(Debug)]
pub(crate) struct Members {
    /// In the order of the span.
    pub(crate) blocks: Vec<Bytes>,
    /// How many bytes were read for them.
    pub(crate) bytes: u64,
}

/// Why there are none.
#[derive(Clone, Debug)]
pub(crate) enum NoMembers {
    /// The object is not there any more.
    Vanished,
    /// The object is shorter than the index says.
    Damaged(String),
    /// The store did not answer.
    Failed(Error),
}

impl From<loglake_store::Error> for NoMembers {
    fn from(error: loglake_store::Error) -> Self {
        match error {
            loglake_store::Error::NotFound { .. } => Self::Vanished,
            error @ loglake_store::Error::Short { .. } => Self::Damaged(error.to_string()),
            error => Self::Failed(error.into()),
        }
    }
}

/// A cache of stored blocks, bounded in bytes.
pub(crate) struct Blocks {
    /// `None` for none.
    cache: Option<Cache<Place, Kept, Weigh>>,
    disk: Option<Arc<DiskCache>>,
    store: Arc<dyn ObjectStore>,
    metrics: Metrics,
}

impl Blocks {
    pub(crate) fn new(
        bytes: usize,
        disk: Option<Arc<DiskCache>>,
        store: Arc<dyn ObjectStore>,
        metrics: Metrics,
    ) -> Self {
        // A stored block is about 100 KiB.
        let cache = || Cache::with_weighter((bytes / (64 << 10)).max(16), bytes as u64, Weigh);
        Self { cache: (bytes > 0).then(cache), disk, store, metrics }
    }

    /// The blocks of `span`, which are of `meta` and so of `tenant`. What is neither in memory nor
    /// on disk is read, neighbours together.
    pub(crate) async fn get(&self, tenant: &TenantId, meta: &ChunkMeta, span: &Span) -> Result<Members, NoMembers> {
        let mut blocks: Vec<Option<Bytes>> = span.rows.iter().map(|row| self.cached(tenant, meta, row)).collect();
        let hits = blocks.iter().flatten().count();
        self.metrics.block_cache.with_label_values(&["hit"]).inc_by(hits as u64);
        self.metrics.block_cache.with_label_values(&["miss"]).inc_by((blocks.len() - hits) as u64);
        if let Some(disk) = &self.disk {
            let absent = span.rows.iter().zip(&mut blocks).filter(|(_, block)| block.is_none());
            join_all(absent.map(async |(row, block)| {
                *block = disk.get(tenant, meta, &range_of(row)).await;
                if let Some(member) = &*block {
                    self.keep(tenant, meta, row, member.clone());
                }
            }))
            .await;
        }
        let absent = span.rows.iter().zip(&blocks).filter(|(_, block)| block.is_none()).map(|(row, _)| *row);
        let absent = spans(absent);
        let reads = absent.iter().map(|span| self.store.get_range(&meta.key, span.range.clone()));
        let read = try_join_all(reads).await?;
        let members = absent.iter().zip(&read);
        let members = members.flat_map(|(span, bytes)| span.rows.iter().map(move |row| (row, span.member(bytes, row))));
        for ((row, member), block) in members.zip(blocks.iter_mut().filter(|block| block.is_none())) {
            // One that is damaged may have been so on its way only.
            if (self.cache.is_some() || self.disk.is_some()) && row.is_intact(&member) {
                // A copy: the slice would keep its whole span.
                let own = Bytes::copy_from_slice(&member);
                if let Some(disk) = &self.disk {
                    disk.keep(tenant, meta, &range_of(row), own.clone());
                }
                self.keep(tenant, meta, row, own);
            }
            *block = Some(member);
        }
        let bytes = read.iter().map(|bytes| bytes.len() as u64).sum();
        Ok(Members { blocks: blocks.into_iter().flatten().collect(), bytes })
    }

    fn cached(&self, tenant: &TenantId, meta: &ChunkMeta, row: &BlockRow) -> Option<Bytes> {
        let kept = self.cache.as_ref()?.get(&(meta.key.clone(), row.offset))?;
        (kept.tenant == *tenant.name() && kept.member.len() == row.length as usize).then_some(kept.member)
    }

    /// Keeps a block in memory, which is whole and shares its memory with nothing larger.
    fn keep(&self, tenant: &TenantId, meta: &ChunkMeta, row: &BlockRow, member: Bytes) {
        let Some(cache) = &self.cache else { return };
        let kept = Kept { tenant: tenant.name().clone(), member };
        cache.insert((meta.key.clone(), row.offset), kept);
        self.metrics.block_cache_bytes.set(cache.weight().cast_signed());
    }
}

fn range_of(row: &BlockRow) -> Range<u64> {
    row.offset..row.offset.saturating_add(u64::from(row.length))
}
