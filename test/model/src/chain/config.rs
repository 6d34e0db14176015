/// What a job does to the live set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// Compaction: all live chunks become one.
    Merge,
    /// Deletion of record 0: the chunk that holds it is written again without it.
    Delete,
}

/// How an actor that is not a writer reads the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It does not act at all.
    Off,
    /// In one step: what a reading in steps that looks twice amounts to.
    Whole,
    /// Checkpoint, then entries, then the newest checkpoint again.
    Twice,
    /// Checkpoint, then entries: the naive reading.
    Once,
}

/// One rule taken away, or done the obvious way. Each must break a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// A created entry counts as won without a look at the newest checkpoint.
    WonWithoutCheckpoint,
    /// After a loss the tail is taken from the object that stands at the key.
    TailFromObject,
    /// Entries are applied to the index whatever its watermark.
    ApplyOutOfOrder,
    /// An object at the key is taken for the own one: a create whose reply was lost.
    ExistsIsWon,
    /// A loser claims the next number with what it has, wherever the winner moved `next`.
    LoserSkipsAhead,
    /// A deletion is acknowledged once its entry has won, before the index shows it.
    DeletionToldAtCommit,
    /// A loser deletes its chunk.
    LoserDeletes,
    /// Chunks nobody names are collected as soon as the tail has reached their target.
    CollectAtTarget,
    /// A chunk is claimed again however far the chain has gone past its target.
    ClaimBeyondSlack,
    /// Whatever no live set names is collected.
    CollectByAge,
    /// A job that lost claims the next number without looking whether what it removes is still live.
    JobClaimsBlindly,
    /// A reader accepts a tail that has not reached H.
    ReaderWithoutPosition,
    /// A reader accepts a tail that begins above T.
    ReaderWithoutFloor,
    /// A reader reads the index's entries and its watermark apart.
    ReaderReadsApart,
    /// A rebuild replaces a newer index.
    RebuildBackwards,
    /// A rebuild may use a view of the chain read before the loss.
    RebuildFromOldView,
    /// A rebuild shows itself before it has reached the tail.
    RebuildInSteps,
    /// A removed chunk's grace counts from the commit, not from when the index shows it.
    GraceFromCommit,
    /// A removed chunk is collected like one that nobody names.
    RemovedIsUnnamed,
    /// A checkpoint forgets the chunks removed before it.
    FoldForgetsRemoved,
    /// A missing watermark is read as T = 0.
    NoWatermarkIsZero,
    /// The next flush is kept after the former was lost, and goes on from the new tail.
    KeepSecondUpload,
    /// The next flush is claimed while the claim of the former is still in doubt.
    TwoEntriesInFlight,
    /// A consumer whose place is gone goes on at the log's start, and flushes as if it had read everything.
    ResetToEarliest,
    /// A gap that lost its number is claimed again although the winner moved `next`.
    KeepGap,
    /// A gap entry covers what may still come: up to the log's end.
    GapToEnd,
    /// The index is not told of gaps.
    IndexForgetsGap,
    /// A checkpoint forgets gaps.
    FoldForgetsGap,
    /// What the broker no longer has is read as empty.
    GapReadAsEmpty,
}

/// The size of a model: what there is, and how often what may go wrong does.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Records that will be in the log.
    pub records: u8,
    /// Of these, those that are in it from the beginning.
    pub appended: u8,
    /// How long the chain may become.
    pub seqs: u8,
    /// How far past its target a chunk may be claimed (1,000 in the product).
    pub slack: u8,
    /// Processors, each of which may believe that it owns the partition: 1 or 2.
    pub processors: u8,
    /// Jobs, at most two.
    pub jobs: &'static [Work],
    /// Foldings.
    pub folds: u8,
    /// Whether folded entries vanish one by one, in any order, or all at once.
    pub sweeps_each: bool,
    /// Deaths of processors, at any step.
    pub deaths: u8,
    /// Creates that land at any later moment, or after their sender has died.
    pub late: u8,
    /// Losses of the whole index.
    pub losses: u8,
    /// Repairs of the index that run at a time: 0 to 2. Each stands for whoever finds it behind or missing.
    pub repairs: u8,
    /// How a repair reads the chain.
    pub repairing: Reading,
    /// Queries.
    pub queries: u8,
    /// How the collector reads the chain.
    pub collecting: Reading,
    /// Whether the next flush may be uploaded while the claim of the former is in flight.
    pub overlaps: bool,
    /// How often the broker's retention deletes from the log.
    pub retentions: u8,
    /// Whether policy allows to give up what retention deleted.
    pub gives_up: bool,
    /// The rule left out.
    pub naive: Option<Naive>,
}

impl Config {
    /// Two processors over a full log of two records; nothing goes wrong yet.
    pub const SMALL: Self = Self {
        records: 2,
        appended: 2,
        seqs: 3,
        slack: 1,
        processors: 2,
        jobs: &[],
        folds: 1,
        sweeps_each: false,
        deaths: 0,
        late: 0,
        losses: 0,
        repairs: 0,
        repairing: Reading::Whole,
        queries: 0,
        collecting: Reading::Off,
        overlaps: false,
        retentions: 0,
        gives_up: false,
        naive: None,
    };

    pub(super) fn is(&self, naive: Naive) -> bool {
        self.naive == Some(naive)
    }
}
