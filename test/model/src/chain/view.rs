use super::set::{IDS, Id, Ids, Offset, Offsets, Seq};

/// The longest chain of a model.
pub const SEQS: usize = 6;

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Takes records out of the log into a chunk.
    Flush,
    /// Writes live chunks again; takes nothing out of the log.
    Rewrite,
    /// Gives up what the log no longer has.
    Gap,
}

/// One change of the live set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// What it does.
    pub kind: Kind,
    /// The predecessor's `next`.
    pub start: Offset,
    /// Where the next consumer begins.
    pub next: Offset,
    /// The attempt, and the chunk that it adds; of a gap only the attempt.
    pub id: Id,
    /// Chunks that are live no more.
    pub removes: Ids,
    /// Records that a deletion took out.
    pub deletes: Offsets,
}

/// An uploaded chunk; of a gap, what it gives up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chunk {
    /// The number in its key: the one that its entry first aimed at.
    pub target: Seq,
    /// The records in it.
    pub content: Offsets,
    /// Whether the object is in the store.
    pub is_stored: bool,
}

/// All chunks that anything still knows, by id.
pub type Chunks = [Chunk; IDS];

/// The chain up to one of its entries. A checkpoint is one that was written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// The last entry.
    pub seq: Seq,
    /// Its `next`.
    pub next: Offset,
    /// The live chunks.
    pub live: Ids,
    /// Which entry removed a chunk; 0: none, or the chunk is deleted since.
    pub removed: [Seq; IDS],
    /// What was given up.
    pub gaps: Offsets,
    /// What was deleted.
    pub deleted: Offsets,
}

/// Entries by number, from 1.
pub type Entries = [Option<Entry>; SEQS];

impl View {
    /// The view after `entry`.
    ///
    /// # Errors
    /// Says how the entry breaks the protocol.
    pub fn follow(&self, entry: &Entry, chunks: &Chunks) -> Result<Self, &'static str> {
        let content = |id: Id| chunks[id.0 as usize].content;
        if entry.start != self.next {
            return Err("an entry does not start at its predecessor's next");
        }
        if !self.live.covers(entry.removes) {
            return Err("an entry removes what is not live");
        }
        let mut view = *self;
        view.seq += 1;
        view.next = entry.next;
        view.live = self.live.without(entry.removes);
        for id in entry.removes.iter() {
            view.removed[id.0 as usize] = view.seq;
        }
        match entry.kind {
            Kind::Gap => view.gaps = view.gaps.and(content(entry.id)),
            Kind::Flush | Kind::Rewrite => view.live = view.live.with(entry.id),
        }
        if entry.kind == Kind::Rewrite {
            let before = entry.removes.iter().fold(Offsets::NONE, |all, id| all.and(content(id)));
            if before != content(entry.id).and(entry.deletes) {
                return Err("a rewriting entry's records do not balance");
            }
        }
        view.deleted = view.deleted.and(entry.deletes);
        Ok(view)
    }

    /// This view and all that follow it, as far as there are entries.
    pub fn walk<'a>(
        self,
        entries: &'a Entries,
        chunks: &'a Chunks,
    ) -> impl Iterator<Item = Result<Self, &'static str>> + 'a {
        std::iter::successors(Some(Ok(self)), |last: &Result<Self, _>| {
            let view = last.as_ref().ok()?;
            let entry = entries.get(view.seq as usize)?.as_ref()?;
            Some(view.follow(entry, chunks))
        })
    }

    /// The last view from here on; stops before an entry that breaks the protocol.
    #[must_use]
    pub fn tail(self, entries: &Entries, chunks: &Chunks) -> Self {
        self.walk(entries, chunks).filter_map(Result::ok).last().unwrap_or(self)
    }

    /// Removed chunks that are still to be deleted, each with the entry that removed it.
    pub fn removals(&self) -> impl Iterator<Item = (Id, Seq)> + '_ {
        self.removed.iter().enumerate().filter(|(_, seq)| **seq > 0).map(|(id, seq)| (Id(id as u8), *seq))
    }

    /// Every chunk that is named.
    #[must_use]
    pub fn ids(&self) -> Ids {
        self.removals().fold(self.live, |all, (id, _)| all.with(id))
    }
}
