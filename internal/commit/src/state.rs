use std::collections::{BTreeMap, BTreeSet};

use loglake_index::{Gap, SessionChange, Snapshot, Watermark};
use loglake_model::ChunkMeta;

use crate::{Checkpoint, Entry, Error, Quarantined, Removed, SegmentRef};

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
    /// Chunks that are live no more and may still be in the bucket, by key.
    pub removed: BTreeMap<String, Removed>,
    /// Offsets given up, ascending.
    pub gaps: Vec<Gap>,
    /// Objects with messages that could not be read, ascending by entry.
    pub quarantine: Vec<Quarantined>,
    /// The checkpoint that the reading began at.
    pub(crate) base: Base,
}

/// What a fold can use again of the checkpoint before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Base {
    /// Its number; 0 without one.
    pub(crate) seq: u64,
    pub(crate) segments: Vec<SegmentRef>,
    /// Which of the segments each live chunk stands in.
    pub(crate) places: BTreeMap<String, usize>,
    /// Segments that name a chunk which is live no more.
    pub(crate) stale: BTreeSet<usize>,
}

impl ChainState {
    /// The state at `checkpoint`, whose segments name `chunks`.
    ///
    /// # Errors
    /// `Corrupt` when they contradict each other.
    pub(crate) fn at(key: &str, checkpoint: Checkpoint, chunks: Vec<Vec<ChunkMeta>>) -> Result<Self, Error> {
        let corrupt = |what: String| Err(Error::Corrupt { key: key.to_owned(), what });
        let mut state = Self {
            tail: Tail {
                seq: checkpoint.seq,
                next: checkpoint.next,
                hash: checkpoint.hash,
                leader_epoch: checkpoint.leader_epoch,
            },
            sessions: checkpoint.sessions,
            removed: checkpoint.removed,
            gaps: checkpoint.gaps,
            quarantine: checkpoint.quarantine,
            base: Base { seq: checkpoint.seq, segments: checkpoint.segments, ..Base::default() },
            live: BTreeMap::new(),
        };
        for (place, chunks) in chunks.into_iter().enumerate() {
            for chunk in chunks {
                state.base.places.insert(chunk.key.clone(), place);
                if state.removed.contains_key(&chunk.key) {
                    return corrupt(format!("{:?} is live and removed", chunk.key));
                }
                if let Some(twice) = state.live.insert(chunk.key.clone(), chunk) {
                    return corrupt(format!("{:?} stands in two segments", twice.key));
                }
            }
        }
        let records: u64 = state.live.values().map(|chunk| chunk.records).sum();
        if records != checkpoint.records {
            return corrupt(format!("its segments hold {records} records, it says {}", checkpoint.records));
        }
        Ok(state)
    }

    /// The number of the checkpoint that the reading began at; 0 when the chain had none.
    #[must_use]
    pub fn checkpoint_seq(&self) -> u64 {
        self.base.seq
    }

    /// Follows `entry`, whose stored bytes have `hash`.
    ///
    /// # Errors
    /// `Corrupt` when the entry does not continue this state as the protocol demands.
    pub fn follow(&mut self, key: &str, entry: &Entry, hash: String) -> Result<(), Error> {
        let corrupt = |what: String| Err(Error::Corrupt { key: key.to_owned(), what });
        if entry.seq != self.tail.seq + 1 {
            return corrupt(format!("it follows entry {}", self.tail.seq));
        }
        if entry.start != self.tail.next {
            return corrupt(format!("it starts at {}, its predecessor ends at {}", entry.start, self.tail.next));
        }
        if let Some(gap) = &entry.gap
            && !(entry.start <= gap.from && gap.from < gap.to && gap.to <= entry.next)
        {
            return corrupt(format!("its gap {}..{} is not what it covers", gap.from, gap.to));
        }
        for chunk in &entry.removes {
            if self.live.remove(&chunk.key).is_none() {
                return corrupt(format!("it removes {:?}, which is not live", chunk.key));
            }
            self.removed.insert(chunk.key.clone(), Removed { seq: entry.seq, applied_ns: None });
            if let Some(place) = self.base.places.remove(&chunk.key) {
                self.base.stale.insert(place);
            }
        }
        for chunk in &entry.adds {
            if self.removed.contains_key(&chunk.key) {
                return corrupt(format!("it adds {:?}, which was removed", chunk.key));
            }
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
        if let Some(gap) = &entry.gap {
            Gap::add(&mut self.gaps, gap.clone());
        }
        self.quarantine.extend(entry.quarantine.as_ref().map(|object| Quarantined::new(entry.seq, object)));
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
            gaps: self.gaps.clone(),
        }
    }
}
