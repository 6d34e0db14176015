use bytes::Bytes;
use futures_util::future::join_all;

use crate::{Create, Error, ObjectStore};

/// How many callers race for one key.
const RACERS: usize = 8;
/// How often a step is tried when the store gives no certain answer.
const ATTEMPTS: usize = 5;
/// No object of the test is longer.
const MAX_BYTES: u64 = 64;

/// Finds out whether `store` keeps the contract of [`ObjectStore`]: above all, that a conditional create replaces nothing.
/// Writes a few small objects under `selftest/<nonce>/` and removes them; `nonce` must be new.
///
/// A store that passes may still be wrong; one that fails would lose records, so nothing may start on it.
///
/// # Errors
/// `Invalid` ([`Error::Unfit`]) when it breaks the contract; `Unavailable` when it gives no certain answer.
pub async fn self_test(store: &dyn ObjectStore, nonce: &str) -> Result<(), Error> {
    let test = SelfTest { store, folder: format!("selftest/{nonce}/") };
    let outcome = test.run().await;
    for name in ["plain", "once", "race"] {
        match store.delete(&test.key(name)).await {
            Ok(()) => {}
            Err(error) if outcome.is_ok() => return Err(error),
            // The first fault tells more than that its traces stay.
            Err(_) => {}
        }
    }
    outcome?;
    test.is_gone().await
}

struct SelfTest<'a> {
    store: &'a dyn ObjectStore,
    folder: String,
}

impl SelfTest<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    async fn run(&self) -> Result<(), Error> {
        self.plain().await?;
        self.once().await?;
        self.race().await?;
        self.listing().await
    }

    async fn plain(&self) -> Result<(), Error> {
        let key = self.key("plain");
        self.store.put(&key, Bytes::from_static(b"0123456789")).await?;
        if self.store.get(&key, MAX_BYTES).await? != "0123456789" {
            return unfit("an object does not read as it was written");
        }
        if self.store.get_range(&key, 3..7).await? != "3456" {
            return unfit("a range of an object is not what was asked for");
        }
        match self.store.get_range(&key, 5..15).await {
            Err(Error::Short { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => unfit("a range past the end of an object is answered"),
        }
    }

    async fn once(&self) -> Result<(), Error> {
        let key = self.key("once");
        match self.create(&key, b"first").await? {
            Create::Created => {}
            _ if self.store.get(&key, MAX_BYTES).await? == "first" => {}
            _ => return unfit("a create at a new key meets an object"),
        }
        if self.create(&key, b"second").await? == Create::Created || self.store.get(&key, MAX_BYTES).await? != "first" {
            return unfit(
                "it ignores the condition of a create (If-None-Match: *) and replaces the object that is there; two \
                 writers would overwrite each other's records",
            );
        }
        Ok(())
    }

    async fn race(&self) -> Result<(), Error> {
        let key = self.key("race");
        let bodies: Vec<Bytes> = (0..RACERS).map(|racer| Bytes::from(format!("racer {racer}"))).collect();
        let outcomes = join_all(bodies.iter().map(|body| self.store.create(&key, body.clone()))).await;
        let mut winners = Vec::new();
        for (outcome, body) in outcomes.into_iter().zip(&bodies) {
            if outcome? == Create::Created {
                winners.push(body);
            }
        }
        if winners.len() > 1 {
            return unfit("of several creates at one key more than one is told that it made the object");
        }
        let there = match self.store.get(&key, MAX_BYTES).await {
            Err(Error::NotFound { .. }) if winners.is_empty() => return Ok(()),
            outcome => outcome?,
        };
        let is_whose = |body: &&Bytes| **body == there;
        if winners.first().is_some_and(|winner| !is_whose(winner)) || !bodies.iter().any(|body| is_whose(&body)) {
            return unfit("of several creates at one key another one stands there than the one that was told so");
        }
        Ok(())
    }

    async fn listing(&self) -> Result<(), Error> {
        let page = self.store.list(&self.folder, None).await?;
        let keys: Vec<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
        let (once, plain) = (self.key("once"), self.key("plain"));
        if keys.first() != Some(&once.as_str()) || keys.get(1) != Some(&plain.as_str()) {
            return unfit("a listing does not show what was just written, in order");
        }
        Ok(())
    }

    async fn is_gone(&self) -> Result<(), Error> {
        if self.store.list(&self.folder, None).await?.objects.is_empty() {
            return Ok(());
        }
        unfit("a listing shows objects that were deleted before")
    }

    /// Creates, again while there is no certain answer.
    async fn create(&self, key: &str, body: &'static [u8]) -> Result<Create, Error> {
        for _ in 0..ATTEMPTS {
            match self.store.create(key, Bytes::from_static(body)).await? {
                Create::Unknown => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
                certain => return Ok(certain),
            }
        }
        Err(Error::Unavailable { what: "self-test".to_owned(), reason: "creates get no certain answer".to_owned() })
    }
}

fn unfit<T>(why: &str) -> Result<T, Error> {
    Err(Error::Unfit(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use async_trait::async_trait;

    use super::*;
    use crate::{Listing, MemoryStore, list_all};

    /// How a store can be wrong.
    #[derive(Clone, Copy, PartialEq)]
    enum Flaw {
        None,
        IgnoresCondition,
        ReplacesButSaysExists,
        ChecksThenWrites,
        ListsLate,
        NeverSure,
    }

    struct Flawed(MemoryStore, Flaw);

    #[async_trait]
    impl ObjectStore for Flawed {
        async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
            self.0.put(key, body).await
        }

        async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
            match self.1 {
                Flaw::IgnoresCondition => self.0.put(key, body).await.map(|()| Create::Created),
                Flaw::ReplacesButSaysExists => {
                    let there = self.0.create(key, body.clone()).await?;
                    self.0.put(key, body).await?;
                    Ok(there)
                }
                Flaw::ChecksThenWrites => {
                    if self.0.get(key, u64::MAX).await.is_ok() {
                        return Ok(Create::Exists);
                    }
                    tokio::task::yield_now().await;
                    self.0.put(key, body).await.map(|()| Create::Created)
                }
                Flaw::NeverSure => Ok(Create::Unknown),
                Flaw::None | Flaw::ListsLate => self.0.create(key, body).await,
            }
        }

        async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
            self.0.get(key, max_bytes).await
        }

        async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
            self.0.get_range(key, range).await
        }

        async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
            if self.1 == Flaw::ListsLate {
                return Ok(Listing::default());
            }
            self.0.list(prefix, after).await
        }

        async fn delete(&self, key: &str) -> Result<(), Error> {
            self.0.delete(key).await
        }
    }

    #[tokio::test]
    async fn a_good_store_passes_and_is_left_clean() {
        let store = Flawed(MemoryStore::new(), Flaw::None);
        self_test(&store, "n").await.unwrap();
        assert!(list_all(&store, "").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn stores_that_would_lose_records_are_refused() {
        for flaw in [Flaw::IgnoresCondition, Flaw::ReplacesButSaysExists, Flaw::ChecksThenWrites, Flaw::ListsLate] {
            let error = self_test(&Flawed(MemoryStore::new(), flaw), "n").await.unwrap_err();
            assert!(matches!(error, Error::Unfit(_)), "{error}");
        }
        let error = self_test(&Flawed(MemoryStore::new(), Flaw::IgnoresCondition), "n").await.unwrap_err();
        assert!(error.to_string().contains("If-None-Match"), "{error}");
    }

    #[tokio::test]
    async fn a_store_that_is_never_sure_is_not_taken() {
        let error = self_test(&Flawed(MemoryStore::new(), Flaw::NeverSure), "n").await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}
