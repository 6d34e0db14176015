//! The audit log: who changed what, and who was refused.
//!
//! Whoever has something to note hands it to an [`Audit`], which never waits; an [`AuditTrail`] makes the entries of the process's
//! chain of it, for whoever writes them down as records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loglake_model::{AuditEntry, Clock, TenantId, TenantName, Timestamp};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{Error, hex};

/// How many notes may wait to be written down.
const MAX_WAITING: usize = 4_096;
/// How many refusals of a second are noted one by one: whoever is refused all the time must not fill the log.
const REFUSALS_A_SECOND: u64 = 20;
/// The longest text of a note that is kept.
const MAX_TEXT_BYTES: usize = 512;

/// Takes note of what is done. Clones note to the same trail.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    notes: Option<Arc<Notes>>,
}

#[derive(Debug)]
struct Notes {
    sender: mpsc::Sender<Note>,
    clock: Arc<dyn Clock>,
    /// Those that no entry tells of.
    lost: Arc<AtomicU64>,
    /// The second at hand, and how many refusals it has had.
    refusals: Mutex<(i64, u64)>,
}

/// What is noted.
#[derive(Debug)]
struct Note {
    at_ns: i64,
    action: &'static str,
    outcome: &'static str,
    caller: String,
    tenant: Option<TenantName>,
    target: String,
    reason: String,
    request_id: String,
}

/// Who did something, and to what.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// What was done, such as `token.revoke`.
    pub action: &'static str,
    /// Who did it, as [`crate::Caller::name`] says; empty for strangers.
    pub caller: &'a str,
    /// Whose matter it is.
    pub tenant: Option<&'a TenantName>,
    /// What it was done to.
    pub target: &'a str,
    /// The request it happened in, or the registry's entry.
    pub request_id: &'a str,
}

/// What was noted, as the entries of a chain.
#[derive(Debug)]
pub struct AuditTrail {
    receiver: mpsc::Receiver<Note>,
    tenant: TenantId,
    lost: Arc<AtomicU64>,
    process: String,
    number: u64,
    previous: String,
}

impl Audit {
    /// Makes one that notes, and its trail, a chain of its own.
    ///
    /// # Panics
    /// Never: the tenant's name follows the rule.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the entries are the process's own; no client sends for this tenant")]
    pub fn new(clock: Arc<dyn Clock>) -> (Self, AuditTrail) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let name = TenantName::parse(AuditEntry::TENANT).expect("the name follows the rule");
        let notes = Notes { sender, clock, lost: Arc::clone(&lost), refusals: Mutex::new((0, 0)) };
        let trail = AuditTrail {
            receiver,
            tenant: TenantId::from_credential(name),
            lost,
            process: hex::encode(&rand::random::<[u8; 8]>()),
            number: 0,
            previous: String::new(),
        };
        (Self { notes: Some(Arc::new(notes)) }, trail)
    }

    /// One that notes nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Notes that `deed` was done, or failed.
    pub fn note<T, E: std::fmt::Display>(&self, deed: Deed<'_>, result: &Result<T, E>) {
        match result {
            Ok(_) => self.take(deed, "done", String::new()),
            Err(error) => self.take(deed, "failed", error.to_string()),
        }
    }

    /// Notes that `deed` was refused; past twenty a second they are only counted.
    pub(crate) fn refused(&self, deed: Deed<'_>, why: &Error) {
        let Some(notes) = &self.notes else { return };
        let second = notes.clock.now_ns().div_euclid(1_000_000_000);
        let is_one_too_many = {
            let mut refusals = notes.refusals.lock();
            let before = if refusals.0 == second { refusals.1 } else { 0 };
            *refusals = (second, before + 1);
            before >= REFUSALS_A_SECOND
        };
        if is_one_too_many {
            notes.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            self.take(deed, "refused", why.to_string());
        }
    }

    fn take(&self, deed: Deed<'_>, outcome: &'static str, reason: String) {
        let Some(notes) = &self.notes else { return };
        let note = Note {
            at_ns: notes.clock.now_ns(),
            action: deed.action,
            outcome,
            caller: shortened(deed.caller),
            tenant: deed.tenant.cloned(),
            target: shortened(deed.target),
            reason: shortened(&reason),
            request_id: shortened(deed.request_id),
        };
        if notes.sender.try_send(note).is_err() {
            notes.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl AuditTrail {
    /// The tenant that the entries belong to.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The next entries, up to `most` of them: waits for the first. `None` once nobody can note any more.
    pub async fn next(&mut self, most: usize) -> Option<Vec<AuditEntry>> {
        let mut notes = Vec::new();
        (self.receiver.recv_many(&mut notes, most).await > 0).then(|| self.entries(notes))
    }

    /// Those that wait already, up to `most`; none when there are none.
    pub fn waiting(&mut self, most: usize) -> Vec<AuditEntry> {
        let notes = std::iter::from_fn(|| self.receiver.try_recv().ok()).take(most).collect();
        self.entries(notes)
    }

    fn entries(&mut self, notes: Vec<Note>) -> Vec<AuditEntry> {
        notes.into_iter().map(|note| self.entry(note)).collect()
    }

    fn entry(&mut self, note: Note) -> AuditEntry {
        self.number += 1;
        let entry = AuditEntry {
            process: self.process.clone(),
            number: self.number,
            previous: std::mem::take(&mut self.previous),
            at: Timestamp(note.at_ns).to_string(),
            action: note.action.to_owned(),
            outcome: note.outcome.to_owned(),
            caller: note.caller,
            tenant: note.tenant.map(String::from).unwrap_or_default(),
            target: note.target,
            reason: note.reason,
            request_id: note.request_id,
            unaudited: self.lost.swap(0, Ordering::Relaxed),
        };
        self.previous = entry.hash();
        entry
    }
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use loglake_model::ManualClock;

    use super::*;

    fn deed<'a>(target: &'a str) -> Deed<'a> {
        Deed { action: "token.revoke", caller: "token a of ops", tenant: None, target, request_id: "r" }
    }

    #[tokio::test]
    async fn entries_are_a_chain() {
        let (audit, mut trail) = Audit::new(Arc::new(ManualClock::at(1_000)));
        audit.note(deed("one"), &Ok::<_, Error>(()));
        audit.note(deed("two"), &Err::<(), _>(Error::NoSuch("token")));
        let long = "ä".repeat(MAX_TEXT_BYTES);
        audit.note(deed(&long), &Ok::<_, Error>(()));
        let entries = trail.next(2).await.unwrap();
        let [first, second] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((first.number, first.previous.as_str(), first.outcome.as_str()), (1, "", "done"));
        assert_eq!((second.number, &second.previous, second.outcome.as_str()), (2, &first.hash(), "failed"));
        assert_eq!(second.reason, "there is no such token");
        let third = &trail.waiting(10)[0];
        assert_eq!((&third.previous, third.target.len()), (&second.hash(), MAX_TEXT_BYTES));
        drop(audit);
        assert_eq!(trail.next(1).await, None);
    }

    #[test]
    fn a_flood_is_counted_and_the_next_entry_says_how_much_is_missing() {
        let clock = Arc::new(ManualClock::at(0));
        let (audit, mut trail) = Audit::new(clock.clone());
        (0..100).for_each(|_| audit.refused(deed("/v1/query"), &Error::Unauthenticated));
        let entries = trail.waiting(usize::MAX);
        assert_eq!((entries.len(), entries[0].unaudited), (20, 80));
        clock.advance(1_000_000_000);
        audit.refused(deed("/v1/query"), &Error::Unauthenticated);
        assert_eq!(trail.waiting(10)[0].unaudited, 0);

        (0..MAX_WAITING + 7).for_each(|_| audit.note(deed("x"), &Ok::<_, Error>(())));
        let entries = trail.waiting(usize::MAX);
        assert_eq!((entries.len(), entries[0].unaudited), (MAX_WAITING, 7));
        Audit::off().note(deed("x"), &Ok::<_, Error>(()));
    }
}
