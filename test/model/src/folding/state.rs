/// A segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment {
    /// The number of the checkpoint that it was made for.
    pub seq: u8,
    /// Who made it: its nonce.
    pub folder: usize,
    /// Which day.
    pub day: u8,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Checkpoint {
    /// The last entry in it.
    pub seq: u8,
    /// One for each day.
    pub segments: Vec<Segment>,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Folder {
    /// Not at work.
    Idle,
    /// Has read the chain.
    Read {
        /// Its tail.
        tail: u8,
        /// The newest checkpoint then.
        base: Option<Checkpoint>,
    },
    /// Has PUT the segments.
    Wrote(Checkpoint),
}

/// A sweeper.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sweeper {
    /// Not at work.
    Idle,
    /// Has listed the segments.
    Listed(Vec<Segment>),
    /// Has listed the checkpoints, and reads those that it keeps.
    Reads {
        /// Segments that none of those read so far names.
        unnamed: Vec<Segment>,
        /// The checkpoints still to be read.
        kept: Vec<u8>,
    },
    /// Deletes.
    Deletes(Vec<Segment>),
}

/// The chain's length, and what folding has made of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The chain's last entry.
    pub tail: u8,
    /// Checkpoints in the store, ascending.
    pub checkpoints: Vec<Checkpoint>,
    /// Segments in the store, ascending.
    pub segments: Vec<Segment>,
    /// Those who fold.
    pub folders: Vec<Folder>,
    /// Who sweeps.
    pub sweeper: Sweeper,
    /// Folds that may still end before their time.
    pub crashes: u8,
}
