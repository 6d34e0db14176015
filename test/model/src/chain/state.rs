use super::collector::Collector;
use super::config::Config;
use super::job::Job;
use super::processor::Processor;
use super::reader::Reader;
use super::repair::Repair;
use super::set::{IDS, Id, Ids, Offset, Offsets, Seq};
use super::view::{Chunk, Chunks, Entries, Entry, SEQS, View};

/// The broker's log: what of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    /// The lowest offset that retention has left.
    pub start: Offset,
    /// The offset after the last acknowledged record.
    pub end: Offset,
}

/// What a reader of the index gets in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Index {
    /// The chain's entry that it is at.
    pub watermark: Seq,
    /// T: the `next` of that entry.
    pub next: Offset,
    /// The chunks it names.
    pub live: Ids,
    /// The gaps it names.
    pub gaps: Offsets,
    /// What deletions took out of it. Nothing of the product: only the properties look at it.
    pub deleted: Offsets,
}

/// A create that the store has not done yet, and may do at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InFlight {
    pub(super) seq: Seq,
    pub(super) entry: Entry,
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub(super) deaths: u8,
    pub(super) late: u8,
    pub(super) folds: u8,
    pub(super) losses: u8,
    pub(super) queries: u8,
    pub(super) retentions: u8,
}

/// What an actor itself did wrong; a state with one has no successors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A writer believes that it has won, and its entry is not in the chain.
    WonOutsideChain,
    /// A reader was told "complete" and lacks an acknowledged record, or has one twice.
    WrongAnswer,
    /// A reader was given a record whose deletion had been acknowledged.
    DeletedAnswered,
}

/// One partition: its log, its objects, its index, and everyone at work on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The broker's log.
    pub log: Log,
    /// Entries that are in the store.
    pub entries: Entries,
    /// The newest checkpoint.
    pub checkpoint: View,
    /// Uploaded chunks.
    pub chunks: Chunks,
    /// The index; `None` without a watermark.
    pub index: Option<Index>,
    /// Creates on their way.
    pub in_flight: [Option<InFlight>; 2],
    /// Those who flush.
    pub processors: [Processor; 2],
    /// Those who rewrite.
    pub jobs: [Job; 2],
    /// Those who mend the index.
    pub repairs: [Repair; 2],
    /// Who deletes chunks.
    pub collector: Collector,
    /// Who queries.
    pub reader: Reader,
    /// The deletion of record 0 was acknowledged.
    pub is_deletion_told: bool,
    /// What may still go wrong.
    pub left: Left,
    /// What has gone wrong.
    pub fault: Option<Fault>,
}

impl State {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            log: Log { start: 0, end: config.appended },
            entries: [None; SEQS],
            checkpoint: View::default(),
            chunks: [Chunk::default(); IDS],
            index: Some(Index::default()),
            in_flight: [None; 2],
            processors: std::array::from_fn(|at| {
                if at < config.processors as usize { Processor::Idle } else { Processor::Absent }
            }),
            jobs: std::array::from_fn(|at| if at < config.jobs.len() { Job::Idle } else { Job::Done }),
            repairs: [Repair::Idle; 2],
            collector: Collector::Idle,
            reader: Reader::Idle,
            is_deletion_told: false,
            left: Left {
                deaths: config.deaths,
                late: config.late,
                folds: config.folds,
                losses: config.losses,
                queries: config.queries,
                retentions: config.retentions,
            },
            fault: None,
        }
    }

    /// The chain's end, read exactly.
    #[must_use]
    pub fn tail(&self) -> View {
        self.checkpoint.tail(&self.entries, &self.chunks)
    }

    /// The records of a chunk.
    #[must_use]
    pub fn content(&self, id: Id) -> Offsets {
        self.chunks[id.0 as usize].content
    }

    /// Chunks that are in the store.
    #[must_use]
    pub fn stored(&self) -> Ids {
        (0..IDS as u8).map(Id).filter(|id| self.chunks[id.0 as usize].is_stored).fold(Ids::NONE, Ids::with)
    }

    /// The entry that stands at `seq`.
    #[must_use]
    pub fn at(&self, seq: Seq) -> Option<Entry> {
        self.entries[seq as usize - 1]
    }

    /// PUTs a chunk.
    pub(super) fn upload(&mut self, target: Seq, content: Offsets) -> Id {
        let id = self.next_id();
        self.chunks[id.0 as usize] = Chunk { target, content, is_stored: true };
        id
    }

    /// Names an attempt at giving up `content`.
    pub(super) fn attempt(&mut self, target: Seq, content: Offsets) -> Id {
        let id = self.upload(target, content);
        self.chunks[id.0 as usize].is_stored = false;
        id
    }

    /// DELETEs a chunk; one that is gone leaves the checkpoint's list of removed ones.
    pub(super) fn delete(&mut self, id: Id) {
        self.chunks[id.0 as usize].is_stored = false;
        self.checkpoint.removed[id.0 as usize] = 0;
    }

    pub(super) fn put_in_flight(&mut self, seq: Seq, entry: Entry) {
        if let Some(free) = self.in_flight.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(InFlight { seq, entry });
        }
    }

    /// The id that the next upload gets.
    pub(super) fn next_id(&self) -> Id {
        self.ids().free()
    }

    /// Everything that anything knows.
    fn ids(&self) -> Ids {
        let of = |entry: &Entry| entry.removes.with(entry.id);
        let mut ids = self.stored().and(self.checkpoint.ids());
        ids = self.entries.iter().flatten().fold(ids, |ids, entry| ids.and(of(entry)));
        ids = self.in_flight.iter().flatten().fold(ids, |ids, create| ids.and(of(&create.entry)));
        ids = self.processors.iter().fold(ids, |ids, processor| ids.and(processor.ids()));
        ids = self.jobs.iter().fold(ids, |ids, job| ids.and(job.ids()));
        ids = self.repairs.iter().fold(ids, |ids, repair| ids.and(repair.ids()));
        ids = ids.and(self.collector.ids()).and(self.reader.ids());
        self.index.iter().fold(ids, |ids, index| ids.and(index.live))
    }

    /// Makes states that differ only in what does not matter the same: ids that nobody knows are free again, and who of
    /// two alike actors is which.
    pub(super) fn normalise(&mut self) {
        let ids = self.ids();
        for (id, chunk) in self.chunks.iter_mut().enumerate() {
            if !ids.has(Id(id as u8)) {
                *chunk = Chunk::default();
            }
        }
        self.in_flight.sort_unstable();
        self.processors.sort_unstable();
        self.repairs.sort_unstable();
    }
}
