//! The registry of tenants and tokens: what is no chain lets nobody in, and what was known stays known.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use async_trait::async_trait;
use bytes::Bytes;
use loglake_auth::{Appended, Ledger, LedgerError, Registry};
use loglake_model::{ManualClock, TenantName};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use crate::edit::Edits;
use crate::memory;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// What is done before the damage.
#[derive(Arbitrary, Debug)]
struct Plan {
    /// Tenants added, of a few names.
    tenants: Vec<u8>,
    /// Tokens of them, some of which are revoked.
    tokens: Vec<(u8, bool)>,
    /// Which entry is damaged, and how.
    at: u8,
    edits: Edits,
    takes_checkpoint: bool,
}

/// A ledger in memory.
#[derive(Default)]
struct Kept {
    entries: Mutex<Vec<Bytes>>,
    checkpoint: Mutex<Option<Bytes>>,
}

#[async_trait]
impl Ledger for Kept {
    async fn entries(&self, after: u64) -> Result<Vec<(u64, Bytes)>, LedgerError> {
        let entries = self.entries.lock();
        Ok((1..).zip(entries.iter().cloned()).filter(|(number, _)| *number > after).collect())
    }

    async fn append(&self, number: u64, entry: Bytes) -> Result<Appended, LedgerError> {
        let mut entries = self.entries.lock();
        if entries.len() as u64 + 1 != number {
            return Ok(Appended::Taken);
        }
        entries.push(entry);
        Ok(Appended::Done)
    }

    async fn checkpoint(&self) -> Result<Option<Bytes>, LedgerError> {
        Ok(self.checkpoint.lock().clone())
    }

    async fn save_checkpoint(&self, _: u64, state: Bytes) -> Result<(), LedgerError> {
        *self.checkpoint.lock() = Some(state);
        Ok(())
    }
}

/// Takes an input. 0: an entry; 1: a checkpoint; else a history that is then damaged.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let runtime = runtime();
    match kind {
        0 | 1 => {
            let kept = Arc::new(Kept::default());
            if *kind == 0 {
                kept.entries.lock().push(Bytes::copy_from_slice(bytes));
            } else {
                *kept.checkpoint.lock() = Some(Bytes::copy_from_slice(bytes));
            }
            let registry = registry(&kept);
            let read = memory::at_most(60 * bytes.len() + (256 << 10), || runtime.block_on(registry.refresh()));
            if read.is_err() {
                assert_eq!((registry.tenants().len(), registry.tokens(None).len()), (0, 0), "half of it is believed");
            }
        }
        _ => {
            if let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(bytes)) {
                runtime.block_on(plan.run());
            }
        }
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let kept = Arc::new(Kept::default());
    let entries = runtime().block_on(async {
        let registry = registry(&kept);
        registry.refresh().await.expect("it is empty");
        registry.add_tenant(&name(0), "fuzz").await.expect("a new tenant");
        let entries = kept.entries.lock().clone();
        entries
    });
    let checkpoint = format!(
        r#"{{"version":1,"number":1,"hash":"{}","tenants":{{"acme":{{"created_ns":1,"is_suspended":false}}}},"tokens":{{}}}}"#,
        "0".repeat(64)
    );
    let mut seeds: Vec<Vec<u8>> = entries.iter().map(|entry| [&[0], &entry[..]].concat()).collect();
    seeds.push([&[1], checkpoint.as_bytes()].concat());
    seeds
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

fn registry(kept: &Arc<Kept>) -> Registry {
    Registry::new(Arc::clone(kept) as Arc<dyn Ledger>, Arc::new(ManualClock::at(NOW_NS)))
}

fn name(number: u8) -> TenantName {
    TenantName::parse(&format!("tenant-{}", number % 4)).expect("a name")
}

impl Plan {
    async fn run(&self) {
        let kept = Arc::new(Kept::default());
        let writer = registry(&kept);
        writer.refresh().await.expect("it is empty");
        for tenant in self.tenants.iter().take(8) {
            // A name that is there is refused.
            let _ = writer.add_tenant(&name(*tenant), "fuzz").await;
        }
        for (tenant, is_revoked) in self.tokens.iter().take(8) {
            let scopes = [loglake_auth::Scope::Query].into();
            if let Ok(made) = writer.add_token(&name(*tenant), scopes, None, None, false, "fuzz").await
                && *is_revoked
            {
                writer.revoke_token(&made.token.id, None, "fuzz").await.expect("it is there");
            }
        }
        let reader = registry(&kept);
        reader.refresh().await.expect("what was written is a chain");
        assert_eq!((reader.tenants(), reader.tokens(None)), (writer.tenants(), writer.tokens(None)));
        let before = (reader.tenants(), reader.tokens(None));

        let damaged = Arc::new(Kept::default());
        let mut entries = kept.entries.lock().clone();
        let count = entries.len();
        let Some(entry) = entries.get_mut(usize::from(self.at) % count.max(1)) else { return };
        let mut bytes = entry.to_vec();
        self.edits.apply(&mut bytes);
        let is_same = bytes == *entry;
        let is_last = usize::from(self.at) % count == count - 1;
        *entry = bytes.into();
        *damaged.entries.lock() = entries;
        if self.takes_checkpoint {
            *damaged.checkpoint.lock() = kept.checkpoint.lock().clone();
        }
        let stranger = registry(&damaged);
        let read = stranger.refresh().await;
        // Only the last one is not yet sealed by the hash in its successor.
        assert!(is_same || is_last || read.is_err(), "an altered entry is believed: {self:?}");
        if read.is_err() {
            assert_eq!((stranger.tenants().len(), stranger.tokens(None).len()), (0, 0), "half of it is believed");
        }
        // Who knew it before goes on as before.
        reader.refresh().await.expect("its ledger is whole");
        assert_eq!((reader.tenants(), reader.tokens(None)), before);
    }
}
