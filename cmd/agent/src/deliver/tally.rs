use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many refusals are kept word for word; all are counted.
const KEPT: usize = 10;

/// Running counts of a delivery, for progress and summary.
#[derive(Debug, Default)]
pub struct Tally {
    read: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
    unreadable: AtomicU64,
    doubtful: AtomicU64,
    lossy: AtomicU64,
    reconnects: AtomicU64,
    bytes: AtomicU64,
    refusals: Mutex<Vec<Refusal>>,
}

/// Why a record was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file, or what else it came from.
    pub origin: String,
    /// Its line, or running number, from 1.
    pub place: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The reason may quote the input: a terminal must not act on it.
        write!(f, "{}:{}: {}", self.origin.escape_debug(), self.place, self.reason.escape_debug())
    }
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that sources produced or read.
    pub read: u64,
    /// Records that are durable.
    pub accepted: u64,
    /// Records that the server refused.
    pub rejected: u64,
    /// Lines that no record could be made of.
    pub unreadable: u64,
    /// Records that were sent again without knowing whether they had arrived: the server may hold them twice.
    pub doubtful: u64,
    /// Lines that were not UTF-8, where bytes were replaced.
    pub lossy: u64,
    /// How often a connection failed and another was tried.
    pub reconnects: u64,
    /// Encoded bytes of the accepted and refused batches.
    pub bytes: u64,
}

impl Tally {
    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            read: load(&self.read),
            accepted: load(&self.accepted),
            rejected: load(&self.rejected),
            unreadable: load(&self.unreadable),
            doubtful: load(&self.doubtful),
            lossy: load(&self.lossy),
            reconnects: load(&self.reconnects),
            bytes: load(&self.bytes),
        }
    }

    /// The first refusals.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a record that was read or made.
    pub fn add_read(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a line that was not UTF-8.
    pub fn add_lossy(&self) {
        self.lossy.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a line that no record could be made of.
    pub fn add_unreadable(&self, refusal: Refusal) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        self.keep(refusal);
    }

    pub(super) fn add_result(&self, accepted: u64, rejected: u64, bytes: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_doubtful(&self, records: u64) {
        self.doubtful.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn add_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn keep(&self, refusal: Refusal) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() < KEPT {
            refusals.push(refusal);
        }
    }
}
