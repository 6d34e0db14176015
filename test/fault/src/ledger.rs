//! Who sent what, and what is known of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use loglake_integration::oracle::rfc3339;

use crate::entry::{Entry, Record, canary, hash};

/// All records of a row, of all tenants, by number.
#[derive(Debug)]
pub struct Ledger {
    tenants: Vec<String>,
    entries: Mutex<Vec<Entry>>,
    complaints: Mutex<Vec<String>>,
}

/// What a record says, before it has a number.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// Place of the tenant.
    pub tenant: usize,
    /// Which writer sends it.
    pub writer: usize,
    /// Its service.
    pub service: String,
    /// Event time, ns UTC.
    pub timestamp_ns: i64,
    /// Canonical level, if any.
    pub level: Option<&'static str>,
    /// Text after the number.
    pub text: &'a str,
    /// Whether repeating it is harmless by promise.
    pub is_deduplicated: bool,
}

impl Ledger {
    /// An empty ledger of these tenants.
    pub fn new(tenants: Vec<String>) -> Self {
        Self { tenants, entries: Mutex::default(), complaints: Mutex::default() }
    }

    /// The tenants' names.
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    /// The entries; the place is the number. Held for as short as can be: writers wait.
    pub fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `draft` the next number. It counts as never sent until [`Ledger::attempt`].
    pub fn number(&self, draft: Draft<'_>) -> Record {
        let mut entries = self.entries();
        let number = entries.len() as u64;
        let tenant = &self.tenants[draft.tenant];
        let message = format!("{}{number} writer {} {}", canary(tenant), draft.writer, draft.text);
        let timestamp = rfc3339(draft.timestamp_ns);
        entries.push(Entry {
            tenant: draft.tenant,
            hash: hash(tenant, &timestamp, &draft.service, draft.level, &message),
            attempts: 0,
            acknowledged: None,
            is_deduplicated: draft.is_deduplicated,
        });
        Record { number, service: draft.service, timestamp_ns: draft.timestamp_ns, level: draft.level, message }
    }

    fn each(&self, numbers: impl IntoIterator<Item = u64>, change: impl Fn(&mut Entry)) {
        let mut entries = self.entries();
        for number in numbers {
            if let Some(entry) = usize::try_from(number).ok().and_then(|at| entries.get_mut(at)) {
                change(entry);
            }
        }
    }

    /// These are about to be sent: from now on they may be stored.
    pub fn attempt(&self, numbers: impl IntoIterator<Item = u64>) {
        self.each(numbers, |entry| entry.attempts += 1);
    }

    /// An attempt surely stored nothing: the connection was never made, or the server refused the record for what it says.
    pub fn retract(&self, numbers: impl IntoIterator<Item = u64>) {
        self.each(numbers, |entry| entry.attempts = entry.attempts.saturating_sub(1));
    }

    /// The server said that these are durable.
    pub fn acknowledge(&self, numbers: impl IntoIterator<Item = u64>) {
        let now = Instant::now();
        self.each(numbers, |entry| entry.acknowledged = entry.acknowledged.or(Some(now)));
    }

    /// How many records were sent more than once.
    pub fn resent(&self) -> u64 {
        self.entries().iter().filter(|entry| entry.attempts > 1).count() as u64
    }

    /// A writer was told what it should never be told.
    pub fn complain(&self, what: String) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// All that writers complained of.
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many records were sent, and how many acknowledged.
    pub fn counts(&self) -> (u64, u64) {
        let entries = self.entries();
        let sent = entries.iter().filter(|entry| entry.attempts > 0).count();
        let acknowledged = entries.iter().filter(|entry| entry.acknowledged.is_some()).count();
        (sent as u64, acknowledged as u64)
    }
}
