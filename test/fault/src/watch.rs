//! A reader in the background: whatever happens, no answer may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::prelude::*;
use serde_json::json;

use crate::judge::{Extent, Wrong, judge};
use crate::ledger::Ledger;
use crate::read::Reader;
use crate::site::Site;

/// What the reader saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Walks that were whole.
    pub whole: AtomicU64,
    /// Errors and incomplete answers.
    pub errors: AtomicU64,
    /// The newest errors, for who looks for the cause.
    pub last: Mutex<Vec<String>>,
    /// Wrong answers.
    pub wrong: Mutex<Vec<Wrong>>,
}

/// Reads all the time until it is stopped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// Starts it.
    pub fn start(ledger: &Arc<Ledger>, site: &Site, seed: u64, pause: Duration) -> Self {
        let (seen, stop) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let (reader, ledger) = (Reader::new(site), Arc::clone(ledger));
        let (seen_too, stop_too) = (Arc::clone(&seen), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            while !stop_too.load(Ordering::Relaxed) {
                look(&reader, &ledger, &seen_too, &mut random).await;
                tokio::time::sleep(pause).await;
            }
        });
        Self { seen, stop, task }
    }

    /// What it has seen so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Stops it after the walk it is on.
    pub async fn stop(self) -> Arc<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        // A walk's patience is short; a reader that hangs is given up, and has seen what it has seen.
        let mut task = self.task;
        if tokio::time::timeout(Duration::from_secs(60), &mut task).await.is_err() {
            task.abort();
        }
        self.seen
    }
}

/// One walk over a tenant's records, or over those of one of its services.
async fn look(reader: &Reader, ledger: &Ledger, seen: &Seen, random: &mut StdRng) {
    let tenant = random.random_range(0..ledger.tenants().len());
    let is_forward = random.random_bool(0.5);
    let began = Instant::now();
    let name = &ledger.tenants()[tenant];
    let scan = reader.scan(name, json!({}), is_forward, random, began).await;
    if !scan.errors.is_empty() {
        seen.errors.fetch_add(1, Ordering::Relaxed);
        let mut last = seen.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.extend(scan.errors);
        let from = last.len().saturating_sub(5);
        last.drain(..from);
    }
    // Read your writes: a whole answer has everything that was acknowledged before it was asked for.
    let extent = if scan.is_whole { Extent::Since(began) } else { Extent::Part };
    let mut wrong = judge(ledger, tenant, &scan.items, is_forward, extent);
    if scan.is_whole {
        seen.whole.fetch_add(1, Ordering::Relaxed);
    }
    wrong.extend(scan.unreadable.map(Wrong::Unreadable));
    if !wrong.is_empty() {
        let mut all = seen.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        // The first ones tell; a loss repeats in every walk.
        let room = 100usize.saturating_sub(all.len());
        all.extend(wrong.into_iter().take(room));
    }
}
