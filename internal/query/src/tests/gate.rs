use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use loglake_store::{Create, Error, Listing, MemoryStore, ObjectStore};

/// A store that stops answering reads of ranges after some.
#[derive(Debug)]
pub(super) struct Gate {
    inner: MemoryStore,
    /// How many more are answered.
    pub(super) left: AtomicI64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { inner: MemoryStore::new(), left: AtomicI64::new(i64::MAX) }
    }
}

#[async_trait]
impl ObjectStore for Gate {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        self.inner.put(key, body).await
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        self.inner.create(key, body).await
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        self.inner.get(key, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            std::future::pending::<()>().await;
        }
        self.inner.get_range(key, range).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.inner.delete(key).await
    }
}
