//! The topic's incarnation at a start: a store that is not there yet is waited for.
#![allow(clippy::unwrap_used, missing_docs, reason = "test")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use loglake_commit::incarnation;
use loglake_model::{ErrorKind, ManualClock};
use loglake_store::{Create, Error, Listing, MemoryStore, ObjectStore};

/// A store that does not answer the first calls.
#[derive(Debug)]
struct StartsLate {
    inner: MemoryStore,
    left: AtomicUsize,
    forbids: bool,
}

impl StartsLate {
    fn answers(&self) -> Result<(), Error> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return Ok(());
        }
        if self.forbids {
            return Err(Error::Forbidden("a test".to_owned()));
        }
        Err(Error::Unavailable { what: "anything".to_owned(), reason: "it starts".to_owned() })
    }
}

#[async_trait::async_trait]
impl ObjectStore for StartsLate {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        self.answers()?;
        self.inner.put(key, body).await
    }
    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        self.answers()?;
        self.inner.create(key, body).await
    }
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        self.answers()?;
        self.inner.get(key, max_bytes).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.answers()?;
        self.inner.get_range(key, range).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        self.answers()?;
        self.inner.list(prefix, after).await
    }
    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.answers()?;
        self.inner.delete(key).await
    }
}

fn late(calls: usize, forbids: bool) -> StartsLate {
    StartsLate { inner: MemoryStore::new(), left: AtomicUsize::new(calls), forbids }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_starts_late_is_waited_for_and_one_that_never_does_is_not() {
    let clock = ManualClock::at(0);
    let store = late(5, false);
    assert_eq!(incarnation(&store, "c", "topic", 3, &clock, false).await.unwrap(), 0);
    assert_eq!(incarnation(&store, "c", "topic", 3, &clock, false).await.unwrap(), 0);
    assert_eq!(incarnation(&store, "c", "another", 3, &clock, true).await.unwrap(), 1);

    let began = tokio::time::Instant::now();
    let error = incarnation(&late(usize::MAX, false), "c", "topic", 3, &clock, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // By the paused clock: it ends, and not at once.
    let took = began.elapsed().as_secs();
    assert!((30..=60).contains(&took), "{took} s");

    let began = tokio::time::Instant::now();
    let error = incarnation(&late(1, true), "c", "topic", 3, &clock, false).await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_nanos()), (ErrorKind::Forbidden, 0), "that does not pass by itself");
}
