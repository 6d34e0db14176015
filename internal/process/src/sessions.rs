use std::collections::BTreeMap;

use loglake_batch::{Repeats, Verdict};
use loglake_index::SessionChange;

use crate::Error;
use crate::held::Held;
use crate::metrics::Metrics;

/// What one partition knows of clients' sessions and idempotency keys, at the position it has consumed up to. It is lost with
/// the buffers and read again from the chain, whose entries save it.
#[derive(Debug)]
pub(crate) struct Sessions {
    repeats: Repeats,
}

impl Sessions {
    /// The state at the chain's tail.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read: going on without it would take repeats for new.
    pub(crate) fn load(saved: &BTreeMap<String, String>) -> Result<Self, Error> {
        let repeats = Repeats::load(saved.iter().map(|(id, state)| (id.as_str(), state.as_str())))?;
        Ok(Self { repeats })
    }

    /// Takes the next message in the order of offsets, and says whether it is to be dropped.
    pub(crate) fn is_dropped(&mut self, held: &Held, metrics: &Metrics) -> bool {
        // One that cannot be read goes to quarantine: nobody knows whose it is.
        let Ok(batch) = &held.batch else { return false };
        let reason = match self.repeats.take(batch.origin(), held.message.append_time_ns) {
            Verdict::New => return false,
            Verdict::Repeat => "repeat",
            Verdict::Late => "late",
        };
        metrics.repeats_dropped.with_label_values(&[reason]).inc();
        true
    }

    /// What taking `held` would add to the next entry, in bytes, at most.
    pub(crate) fn cost(&self, held: &Held) -> usize {
        held.batch.as_ref().map_or(0, |batch| self.repeats.cost(batch.origin()))
    }

    /// What the next entry will save, in bytes, about.
    pub(crate) fn changed_bytes(&self) -> usize {
        self.repeats.changed_bytes()
    }

    /// How many sessions and keys are remembered.
    pub(crate) fn len(&self) -> usize {
        self.repeats.len()
    }

    /// What changed since the last entry, to be saved with the next.
    pub(crate) fn take_changes(&mut self) -> Vec<SessionChange> {
        let changes = self.repeats.take_changes().into_iter();
        changes.map(|(session, state)| SessionChange { session, state }).collect()
    }
}
