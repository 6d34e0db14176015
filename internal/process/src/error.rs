use loglake_model::ErrorKind;

/// Why the processor, or one of its partitions, stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tail service cannot listen.
    #[error("the tail service cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The tail service ended.
    #[error("the tail service ended: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// A setting cannot be used.
    #[error("{0}")]
    Config(String),
    /// A metric was registered twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The broker did not do what was asked.
    #[error(transparent)]
    Broker(#[from] loglake_broker::Error),
    /// The chain could not be read or extended.
    #[error(transparent)]
    Commit(#[from] loglake_commit::Error),
    /// The index did not do what was asked.
    #[error(transparent)]
    Index(#[from] loglake_index::Error),
    /// The object store did not do what was asked.
    #[error(transparent)]
    Store(#[from] loglake_store::Error),
    /// The saved state of clients' sessions could not be read.
    #[error(transparent)]
    Sessions(#[from] loglake_batch::Error),
    /// A chunk could not be built.
    #[error("building a chunk: {0}")]
    Chunk(#[from] loglake_chunk::Error),
    /// The broker deleted records before they were flushed: going on would lose them in silence.
    #[error(
        "partition {partition} is halted: the broker deleted offsets {from}..{to} before they were flushed, and holds \
         {to}..{latest}; set processor.on_lost_records = \"gap\" to give them up and go on from {to}"
    )]
    LostRecords {
        /// The partition.
        partition: u32,
        /// The chain's tail: the first offset lost.
        from: u64,
        /// The lowest offset the broker holds.
        to: u64,
        /// The next offset the broker will give.
        latest: u64,
    },
    /// The broker's log ends before the chain: acknowledged records are gone, and their offsets will be given to others.
    #[error(
        "partition {partition} is halted: the chain ends at offset {next}, but the broker's log ends at {latest}: it was cut \
         short, or this is another broker or topic than before"
    )]
    Truncated {
        /// The partition.
        partition: u32,
        /// The chain's tail.
        next: u64,
        /// The next offset the broker will give.
        latest: u64,
    },
    /// The record before the chain's end is another one than the chain holds: the log was cut short and grew again, and
    /// offsets past the cut mean other records.
    #[error(
        "partition {partition} is halted: the record at offset {offset} has leader epoch {found}, the chain's had {known}: \
         the log was cut short by an unclean election and written anew"
    )]
    Rewritten {
        /// The partition.
        partition: u32,
        /// The last offset that the chain holds.
        offset: u64,
        /// The leader epoch that the chain says.
        known: i32,
        /// The record's.
        found: i32,
    },
    /// A message's leader epoch fell: an old leader took over, acknowledged records may have been replaced.
    #[error("partition {partition} is halted: the leader epoch fell from {before} to {after} at offset {offset}")]
    EpochFell {
        /// The partition.
        partition: u32,
        /// The highest epoch seen.
        before: i32,
        /// The message's.
        after: i32,
        /// The message's offset.
        offset: u64,
    },
    /// The topic was deleted and made anew: its offsets mean other records than the chain's.
    #[error(
        "partition {partition} is halted: the topic is another one than when this process started; restart it, \
         so that the new topic gets chains of its own"
    )]
    OtherTopic {
        /// The partition.
        partition: u32,
    },
    /// A task of this process ended abnormally.
    #[error("a task ended abnormally: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// Building a chunk ended abnormally.
    #[error("building a chunk ended abnormally; the log says how")]
    Workshop,
    /// The system gives no more threads.
    #[error("threads that build chunks cannot be started: {0}")]
    Threads(std::io::Error),
    /// What is stored does not fit together.
    #[error("{0}")]
    Inconsistent(String),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Listen { .. } | Self::Config(_) => ErrorKind::Invalid,
            Self::Threads(_) => ErrorKind::Exhausted,
            Self::Serve(_) | Self::Metrics(_) | Self::Task(_) | Self::Workshop => ErrorKind::Internal,
            Self::Broker(error) => error.kind(),
            Self::Commit(error) => error.kind(),
            Self::Index(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Sessions(error) => error.kind(),
            Self::Chunk(error) => error.kind(),
            Self::LostRecords { .. }
            | Self::Truncated { .. }
            | Self::Rewritten { .. }
            | Self::EpochFell { .. }
            | Self::OtherTopic { .. }
            | Self::Inconsistent(_) => ErrorKind::Corrupt,
        }
    }
    /// Why a partition that ended with it stands still, as metrics say it: one of [`HALT_REASONS`].
    #[must_use]
    pub(crate) fn halt_reason(&self) -> &'static str {
        match self {
            Self::LostRecords { .. } => "lost_records",
            Self::Truncated { .. } | Self::Rewritten { .. } => "truncated",
            Self::OtherTopic { .. } => "topic_recreated",
            Self::EpochFell { .. } => "epoch_fell",
            other if other.kind() == ErrorKind::Corrupt => "damaged",
            _ => "error",
        }
    }
}

/// All that [`Error::halt_reason`] says.
pub(crate) const HALT_REASONS: [&str; 6] =
    ["lost_records", "truncated", "topic_recreated", "epoch_fell", "damaged", "error"];
