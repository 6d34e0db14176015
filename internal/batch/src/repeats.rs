//! Which messages of a partition are repeats: the same rule for the processor and for everybody who reads the raw tail.
//!
//! All of it is a pure function of the partition's messages up to an offset. So it may be forgotten and computed again, and
//! it is saved with each entry of the chain that takes those messages.
//!
//! **A session**: for each one the low mark (the highest oldest-unacknowledged number seen) and the numbers seen above it; of
//! a batch of several messages, the parts. A message is a repeat when its number lies below the mark or its part was seen.
//! Higher numbers say nothing of lower ones: a late retry of batch 5 is no repeat because 6 came first.
//!
//! **An idempotency key**: the parts seen of the first request with it, for requests received within [`KEY_GOOD_NS`].
//!
//! **Time** is the log's own: the append times of the messages. A message appended at or past [`Origin::deadline_ns`] is dropped,
//! never taken as new, as its state may be gone; whoever appended it sees the same time and does not acknowledge it.
//! States are forgotten only [`MARGIN_NS`] after the last message that could need them: append times step back when a
//! partition moves to a broker whose clock is behind.

mod runs;
mod state;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{Error, Origin};
use state::State;

const SECOND_NS: i64 = 1_000_000_000;
/// How long a session may be used, counted from its opening.
pub const SESSION_GOOD_NS: i64 = 3_600 * SECOND_NS;
/// When a session's messages no longer count, from its opening.
pub const SESSION_END_NS: i64 = 2 * SESSION_GOOD_NS;
/// How long requests with the same idempotency key are one, counted from the receipt of the first; also how long such a
/// request may take to be appended.
pub const KEY_GOOD_NS: i64 = 600 * SECOND_NS;
/// How much longer states are kept than any message can need them.
pub const MARGIN_NS: i64 = 600 * SECOND_NS;
/// How far a batch's number may lie above the oldest without acknowledgement (excluded).
pub const MAX_OUTSTANDING: u64 = 256;
/// The most messages that a batch or request may become in a partition.
pub const MAX_PARTS: u32 = 1_024;

/// States that one call of [`Repeats::take_changes`] forgets at most, so that an entry stays small.
const MAX_FORGOTTEN: usize = 8_192;
/// What a change adds to an entry beside its id and state, in bytes.
const CHANGE_BYTES: usize = 32;
/// What a message adds to a state that is saved anyway, in bytes: a run of numbers, or a number with a run of parts.
const NUMBER_BYTES: usize = 48;
/// The state after its first message, in bytes, at most.
const STATE_BYTES: usize = 128;

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its records count.
    New,
    /// They are there already: drop it.
    Repeat,
    /// It was appended too late to tell, and was not acknowledged: drop it.
    Late,
}

/// Names a session or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Id {
    Session([u8; 16]),
    Key([u8; 32]),
}

/// The state of all sessions and keys of a partition at an offset.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    states: HashMap<Id, State>,
    /// When each state may be forgotten.
    ends: BTreeSet<(i64, Id)>,
    changed: HashSet<Id>,
    changed_bytes: usize,
    /// The latest append time seen.
    log_time_ns: i64,
}

impl Repeats {
    /// The state as it was saved: pairs of an id and its state's text.
    ///
    /// # Errors
    /// `Corrupt` for what [`Repeats::take_changes`] does not give.
    pub fn load<'a>(saved: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let mut repeats = Self::default();
        for (text, state) in saved {
            let corrupt = |what| Error::State { id: text.to_owned(), what };
            let id = Id::parse(text).ok_or_else(|| corrupt("its id is not hexadecimal of a known length"))?;
            let state = State::decode(matches!(id, Id::Session(_)), state).map_err(corrupt)?;
            repeats.ends.insert((state.end_ns(), id));
            repeats.states.insert(id, state);
        }
        Ok(repeats)
    }

    /// Takes the next message of the partition, in the order of offsets, and says what is to be done with it.
    pub fn take(&mut self, origin: &Origin, append_time_ns: i64) -> Verdict {
        self.log_time_ns = self.log_time_ns.max(append_time_ns);
        if origin.deadline_ns().is_some_and(|deadline_ns| append_time_ns >= deadline_ns) {
            return Verdict::Late;
        }
        let (id, verdict, is_changed) = match origin {
            Origin::None => return Verdict::New,
            Origin::Session(part) => {
                let id = Id::Session(part.id);
                let state = self.states.entry(id).or_insert_with(|| State::opened(part));
                let (verdict, is_changed) = state.take_part(part);
                (id, verdict, is_changed)
            }
            Origin::Key(key) => {
                let id = Id::Key(key.hash);
                if self.states.get(&id).is_some_and(|state| state.is_over_for(key))
                    && let Some(over) = self.states.remove(&id)
                {
                    self.ends.remove(&(over.end_ns(), id));
                }
                let state = self.states.entry(id).or_insert_with(|| State::first_seen(key));
                let (verdict, is_changed) = state.take_key(key);
                (id, verdict, is_changed)
            }
        };
        if is_changed && let Some(state) = self.states.get(&id) {
            self.ends.insert((state.end_ns(), id));
            let is_first = self.changed.insert(id);
            self.changed_bytes +=
                if is_first { CHANGE_BYTES + id.text_len() + state.encoded_len() } else { NUMBER_BYTES };
        }
        verdict
    }

    /// What [`Repeats::take_changes`] would add to an entry, in bytes, about.
    #[must_use]
    pub fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// What taking a message of `origin` would add to [`Repeats::changed_bytes`], at most.
    #[must_use]
    pub fn cost(&self, origin: &Origin) -> usize {
        let id = match origin {
            Origin::None => return 0,
            Origin::Session(part) => Id::Session(part.id),
            Origin::Key(key) => Id::Key(key.hash),
        };
        if self.changed.contains(&id) {
            return NUMBER_BYTES;
        }
        let state = self.states.get(&id).map_or(STATE_BYTES, |state| state.encoded_len() + STATE_BYTES);
        CHANGE_BYTES + id.text_len() + state
    }

    /// How many sessions and keys it remembers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether it remembers none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// What changed since the last call: ids with the text of their state now, `None` where it is forgotten; ascending by id.
    /// Forgets states that nothing can need any more, some at a time.
    pub fn take_changes(&mut self) -> Vec<(String, Option<String>)> {
        self.changed_bytes = 0;
        let mut changed = std::mem::take(&mut self.changed);
        for _ in 0..MAX_FORGOTTEN {
            let Some(&(end_ns, id)) = self.ends.first() else { break };
            if self.log_time_ns < end_ns.saturating_add(MARGIN_NS) {
                break;
            }
            self.ends.pop_first();
            self.states.remove(&id);
            changed.insert(id);
        }
        let mut changed: Vec<_> = changed.into_iter().collect();
        changed.sort_unstable();
        changed.into_iter().map(|id| (id.to_text(), self.states.get(&id).map(State::encode))).collect()
    }
}

impl Id {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Session(id) => id,
            Self::Key(hash) => hash,
        }
    }

    fn text_len(&self) -> usize {
        2 * self.bytes().len()
    }

    fn to_text(self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                &[high, low] => Some(digit(high)? << 4 | digit(low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes?;
        let session = bytes.as_slice().try_into().map(Self::Session);
        session.or_else(|_| bytes.as_slice().try_into().map(Self::Key)).ok()
    }
}
