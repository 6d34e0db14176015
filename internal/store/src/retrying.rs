use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{Create, Error, Listing, ObjectStore};

/// How often and after what waits [`Retrying`] tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// How many tries in all, at least 1.
    pub attempts: u32,
    /// The longest wait before the second try; it doubles with each one after. The true wait is random, between half of it
    /// and the whole.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Default for Backoff {
    /// Five tries within about three seconds.
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_millis(100), longest: Duration::from_secs(2) }
    }
}

/// Tries again what failed for a reason that may pass ([`loglake_model::ErrorKind::is_retryable`]).
///
/// [`ObjectStore::create`] is passed on once: a second try would meet the first one's object, and only the caller can
/// tell whose it is.
#[derive(Debug)]
pub struct Retrying<S> {
    inner: S,
    backoff: Backoff,
    rng: Mutex<StdRng>,
}

impl<S: ObjectStore> Retrying<S> {
    /// Wraps `inner`; the waits are drawn from a generator that begins at `seed`.
    #[must_use]
    pub fn new(inner: S, backoff: Backoff, seed: u64) -> Self {
        Self { inner, backoff, rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    async fn retry<T, F>(&self, what: &'static str, key: &str, mut call: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut wait = self.backoff.first;
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error) if error.kind().is_retryable() && attempt < self.backoff.attempts => {
                    tracing::debug!(what, key, attempt, %error, "store call failed, trying again");
                }
                outcome => return outcome,
            }
            let part = self.rng.lock().random_range(0.5..=1.0);
            tokio::time::sleep(wait.min(self.backoff.longest).mul_f64(part)).await;
            wait = wait.saturating_mul(2);
            attempt += 1;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for Retrying<S> {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        self.retry("put", key, || self.inner.put(key, body.clone())).await
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        self.inner.create(key, body).await
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        self.retry("get", key, || self.inner.get(key, max_bytes)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.retry("get_range", key, || self.inner.get_range(key, range.clone())).await
    }

    fn request_bytes(&self) -> u64 {
        self.inner.request_bytes()
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        self.retry("list", prefix, || self.inner.list(prefix, after)).await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.retry("delete", key, || self.inner.delete(key)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::MemoryStore;

    /// Fails the first `failures` calls of each kind.
    struct Flaky {
        inner: MemoryStore,
        failures: u32,
        calls: AtomicU32,
    }

    impl Flaky {
        fn check(&self) -> Result<(), Error> {
            if self.calls.fetch_add(1, Ordering::SeqCst) < self.failures {
                return Err(Error::Unavailable { what: "test".to_owned(), reason: "down".to_owned() });
            }
            Ok(())
        }
    }

    #[async_trait]
    impl ObjectStore for Flaky {
        async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
            self.check()?;
            self.inner.put(key, body).await
        }

        async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
            self.check()?;
            self.inner.create(key, body).await
        }

        async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
            self.check()?;
            self.inner.get(key, max_bytes).await
        }

        async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
            self.check()?;
            self.inner.get_range(key, range).await
        }

        async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
            self.check()?;
            self.inner.list(prefix, after).await
        }

        async fn delete(&self, key: &str) -> Result<(), Error> {
            self.check()?;
            self.inner.delete(key).await
        }
    }

    fn flaky(failures: u32) -> Retrying<Flaky> {
        let inner = Flaky { inner: MemoryStore::new(), failures, calls: AtomicU32::new(0) };
        Retrying::new(
            inner,
            Backoff { attempts: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) },
            7,
        )
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_but_not_for_ever() {
        let store = flaky(2);
        store.put("a", Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(store.inner.calls.load(Ordering::SeqCst), 3);
        assert!(matches!(flaky(3).get("a", 1).await, Err(Error::Unavailable { .. })));
    }

    #[tokio::test]
    async fn final_answers_and_creates_are_passed_on_at_once() {
        let store = flaky(0);
        assert!(matches!(store.get("missing", 1).await, Err(Error::NotFound { .. })));
        assert_eq!(store.inner.calls.load(Ordering::SeqCst), 1);
        assert!(flaky(1).create("a", Bytes::new()).await.is_err());
    }
}
