/// A record in the broker's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    /// Which record: no two are the same, whatever their offsets.
    pub number: u8,
    /// The epoch of the leader that took it.
    pub epoch: u8,
}

/// What one life of the topic has been committed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The records committed, by offset: `next` is their count.
    pub records: Vec<Record>,
}

impl Chain {
    /// The offset to consume from.
    #[must_use]
    pub fn next(&self) -> usize {
        self.records.len()
    }
}

/// A processor's process: it looked the topic's id up when it started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Processor {
    /// The life of the topic that it works for.
    pub k: usize,
    /// What it has while it owns the partition.
    pub tenure: Option<Tenure>,
}

/// Rows read and not committed yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenure {
    /// The chain's `next` that it began at.
    pub start: usize,
    /// The epoch of the record before.
    pub epoch_before: Option<u8>,
    /// The rows from there on.
    pub rows: Vec<Record>,
}

impl Tenure {
    /// The offset read up to.
    #[must_use]
    pub fn position(&self) -> usize {
        self.start + self.rows.len()
    }

    /// The epoch of the last record read or committed before.
    #[must_use]
    pub fn last_epoch(&self) -> Option<u8> {
        self.rows.last().map(|row| row.epoch).or(self.epoch_before)
    }
}

/// A query that has its heads and its part of the index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    /// The life of the topic.
    pub k: usize,
    /// What the log was when it came: H is its length.
    pub log: Vec<Record>,
    /// What the index had; T is its length.
    pub committed: Vec<Record>,
}

/// One partition of the topic, its lives, and who reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The topic's life; chains are kept by it.
    pub k: usize,
    /// The leader's epoch.
    pub epoch: u8,
    /// The broker's log. Everything in it is acknowledged.
    pub log: Vec<Record>,
    /// Records appended so far.
    pub appended: u8,
    /// What was committed, by life.
    pub chains: Vec<Chain>,
    /// Two at most; sorted.
    pub processors: Vec<Processor>,
    /// A query that runs.
    pub reader: Option<Reader>,
    /// Clean elections left.
    pub elections: u8,
    /// Unclean elections left.
    pub cuts: u8,
    /// Times the topic may still be made anew.
    pub remakes: u8,
    /// Queries left.
    pub queries: u8,
    /// An answer that was told complete lacked a record, or had one twice.
    pub is_answer_wrong: bool,
}

impl State {
    /// Whether the log no longer is what the chain of this life was read from: a cut went below its `next`.
    #[must_use]
    pub fn is_cut_below_tail(&self) -> bool {
        let chain = &self.chains[self.k].records;
        chain.iter().enumerate().any(|(offset, record)| self.log.get(offset) != Some(record))
    }
}
