use std::collections::BTreeMap;

use loglake_index::{SessionChange, Snapshot, Watermark};
use loglake_model::ChunkMeta;

use crate::{Entry, Error};

/// The end of a chain: what the next entry continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The last entry's number; 0 for an empty chain.
    pub seq: u64,
    /// The offset to consume from.
    pub next: u64,
    /// The last entry's hash; empty for an empty chain.
    pub hash: String,
    /// The highest leader epoch seen.
    pub leader_epoch: Option<i32>,
}

/// A chain as it was read: its tail and everything live there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainState {
    /// The end of the chain.
    pub tail: Tail,
    /// Live chunks by key.
    pub live: BTreeMap<String, ChunkMeta>,
    /// States of client sessions, as JSON text by session.
    pub sessions: BTreeMap<String, String>,
}

impl ChainState {
    /// Follows `entry`, whose stored bytes have `hash`.
    ///
    /// # Errors
    /// `Corrupt` when the entry does not continue this state as the protocol demands.
    pub(crate) fn follow(&mut self, key: &str, entry: &Entry, hash: String) -> Result<(), Error> {
        let corrupt = |what: String| Err(Error::Corrupt { key: key.to_owned(), what });
        if entry.seq != self.tail.seq + 1 {
            return corrupt(format!("it follows entry {}", self.tail.seq));
        }
        if entry.start != self.tail.next {
            return corrupt(format!("it starts at {}, its predecessor ends at {}", entry.start, self.tail.next));
        }
        for chunk in &entry.removes {
            if self.live.remove(&chunk.key).is_none() {
                return corrupt(format!("it removes {:?}, which is not live", chunk.key));
            }
        }
        for chunk in &entry.adds {
            if self.live.insert(chunk.key.clone(), chunk.clone()).is_some() {
                return corrupt(format!("it adds {:?}, which is live already", chunk.key));
            }
        }
        for change in &entry.sessions {
            match &change.state {
                Some(state) => self.sessions.insert(change.session.clone(), state.clone()),
                None => self.sessions.remove(&change.session),
            };
        }
        self.tail = Tail {
            seq: entry.seq,
            next: entry.next,
            hash,
            leader_epoch: self.tail.leader_epoch.max(entry.leader_epoch),
        };
        Ok(())
    }

    /// The same as the index takes it for a rebuild.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            watermark: Watermark { seq: self.tail.seq, next: self.tail.next },
            live: self.live.values().cloned().collect(),
            sessions: self
                .sessions
                .iter()
                .map(|(session, state)| SessionChange { session: session.clone(), state: Some(state.clone()) })
                .collect(),
        }
    }
}
