//! Keeps the registry's entries in the object store, below `auth/<cluster>/`: `change-<number>.json`, and now and then
//! `checkpoint-<number>.json`, numbers with 20 digits. The conditional create is what keeps writers in order.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_auth::{Appended, Ledger, LedgerError};
use loglake_model::ErrorKind;
use loglake_store::{Create, ObjectStore, list_all};
use tokio::sync::OnceCell;

/// The longest entry that is read.
const MAX_ENTRY_BYTES: u64 = 64 << 10;
/// The longest checkpoint that is read: a hundred thousand tokens have some 30 MiB.
const MAX_CHECKPOINT_BYTES: u64 = 256 << 20;
/// Entries that are read at a time.
const READS: usize = 16;
/// Checkpoints that stay: a reader may have listed the one before the last.
const KEPT: usize = 2;

/// Connects to an object store.
pub(crate) type Connect = Box<dyn Fn() -> BoxFuture<'static, anyhow::Result<Arc<dyn ObjectStore>>> + Send + Sync>;

/// A ledger in an object store.
pub(crate) struct StoreLedger {
    store: OnceCell<Arc<dyn ObjectStore>>,
    /// For a store that is connected to only when it is first asked.
    connect: Option<Connect>,
    changes: String,
    checkpoints: String,
}

impl StoreLedger {
    /// Keeps the entries of `cluster` in `store`.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, cluster: &str) -> Self {
        Self { store: OnceCell::new_with(Some(store)), ..Self::later(None, cluster) }
    }

    /// The same in a store that may not be there yet.
    pub(crate) fn later(connect: Option<Connect>, cluster: &str) -> Self {
        let folder = format!("auth/{cluster}/");
        let (changes, checkpoints) = (format!("{folder}change-"), format!("{folder}checkpoint-"));
        Self { store: OnceCell::new(), connect, changes, checkpoints }
    }

    async fn store(&self) -> Result<&Arc<dyn ObjectStore>, LedgerError> {
        let failed = |message| LedgerError { kind: ErrorKind::Unavailable, message };
        let connecting = async {
            let connect = self.connect.as_ref().ok_or_else(|| failed("there is no object store".to_owned()))?;
            connect().await.map_err(|error| failed(format!("{error:#}")))
        };
        self.store.get_or_try_init(|| connecting).await
    }
}

fn key(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:020}.json")
}

/// The number in a key; `None` for what is no object of the registry.
fn number(prefix: &str, key: &str) -> Option<u64> {
    let digits = key.strip_prefix(prefix)?.strip_suffix(".json")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn failed(error: loglake_store::Error) -> LedgerError {
    LedgerError { kind: error.kind(), message: error.to_string() }
}

#[async_trait]
impl Ledger for StoreLedger {
    async fn entries(&self, after: u64) -> Result<Vec<(u64, Bytes)>, LedgerError> {
        let (mut numbers, mut last) = (Vec::new(), (after > 0).then(|| key(&self.changes, after)));
        loop {
            let page = self.store().await?.list(&self.changes, last.as_deref()).await.map_err(failed)?;
            let Some(end) = page.objects.last() else { break };
            last = Some(end.key.clone());
            numbers.extend(page.objects.iter().filter_map(|object| number(&self.changes, &object.key)));
            if !page.has_more {
                break;
            }
        }
        let read = stream::iter(numbers).map(|number| async move {
            let bytes = self.store().await?.get(&key(&self.changes, number), MAX_ENTRY_BYTES).await.map_err(failed)?;
            Ok((number, bytes))
        });
        read.buffered(READS).try_collect().await
    }

    async fn append(&self, number: u64, entry: Bytes) -> Result<Appended, LedgerError> {
        match self.store().await?.create(&key(&self.changes, number), entry).await.map_err(failed)? {
            Create::Created => Ok(Appended::Done),
            // It may be this very entry, of an attempt whose answer was lost.
            Create::Exists | Create::Unknown => Ok(Appended::Unknown),
        }
    }

    async fn checkpoint(&self) -> Result<Option<Bytes>, LedgerError> {
        let all = list_all(self.store().await?.as_ref(), &self.checkpoints).await.map_err(failed)?;
        let newest = all.iter().filter_map(|object| number(&self.checkpoints, &object.key)).next_back();
        let Some(newest) = newest else { return Ok(None) };
        let bytes =
            self.store().await?.get(&key(&self.checkpoints, newest), MAX_CHECKPOINT_BYTES).await.map_err(failed)?;
        Ok(Some(bytes))
    }

    async fn save_checkpoint(&self, number: u64, state: Bytes) -> Result<(), LedgerError> {
        let saved = self.store().await?.create(&key(&self.checkpoints, number), state).await.map_err(failed)?;
        if saved == Create::Created {
            let all = list_all(self.store().await?.as_ref(), &self.checkpoints).await.map_err(failed)?;
            for object in all.iter().rev().skip(KEPT) {
                self.store().await?.delete(&object.key).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use loglake_store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn the_first_has_the_number_and_old_checkpoints_go() {
        let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
        let (ledger, other) = (StoreLedger::new(store.clone(), "blue"), StoreLedger::new(store.clone(), "green"));
        assert_eq!(ledger.checkpoint().await.unwrap(), None);
        for number in 1..=3 {
            let entry = Bytes::from(format!("entry {number}"));
            assert_eq!(ledger.append(number, entry).await.unwrap(), Appended::Done);
        }
        assert_eq!(ledger.append(2, Bytes::from("late")).await.unwrap(), Appended::Unknown);
        let after = ledger.entries(1).await.unwrap();
        assert_eq!(after, [(2, Bytes::from("entry 2")), (3, Bytes::from("entry 3"))]);
        assert_eq!(ledger.entries(3).await.unwrap(), []);
        assert_eq!(other.entries(0).await.unwrap(), [], "another cluster's");

        for number in [64, 128, 192] {
            ledger.save_checkpoint(number, Bytes::from(number.to_string())).await.unwrap();
        }
        ledger.save_checkpoint(192, Bytes::from("again")).await.unwrap();
        assert_eq!(ledger.checkpoint().await.unwrap(), Some(Bytes::from("192")));
        let left = list_all(store.as_ref(), "auth/blue/checkpoint-").await.unwrap();
        assert_eq!(left.len(), KEPT, "{left:?}");
    }
}
