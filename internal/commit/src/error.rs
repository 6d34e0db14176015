use loglake_model::ErrorKind;

/// Why a chain could not be read or extended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store did not do what was asked.
    #[error(transparent)]
    Store(#[from] loglake_store::Error),
    /// The index did not do what was asked.
    #[error(transparent)]
    Index(#[from] loglake_index::Error),
    /// An object of the chain is damaged or breaks the protocol.
    #[error("the chain object {key:?} is damaged: {what}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// An object was written by a newer Loglake.
    #[error("{key:?} was written in a newer format than this program reads: {what}")]
    Newer {
        /// Its key.
        key: String,
        /// What this program does not know.
        what: String,
    },
    /// An object of the chain has outgrown its limit.
    #[error("a {what} of {bytes} bytes is over the limit of {max} bytes")]
    TooLarge {
        /// Entry, checkpoint or segment.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The index says that it has applied entries which the bucket does not have.
    #[error(
        "the index of partition {partition} is at entry {index_seq}, but its chain in the bucket ends at {chain_seq}: \
         the index belongs to another bucket; empty it, it is rebuilt from the bucket"
    )]
    IndexAhead {
        /// The partition.
        partition: u32,
        /// The index's watermark.
        index_seq: u64,
        /// The chain's tail.
        chain_seq: u64,
    },
    /// The topic is another one than the cluster's records came from, and nobody has said that it is to be taken.
    #[error(
        "the topic's id is {topic_id}, but the records of cluster {cluster:?} in the bucket came from the topic {known}: it was \
         deleted and made anew, or this is another broker or folder. To go on with the new one, and keep answering from the \
         old records too, start once with broker.accept_new_topic = true"
    )]
    NewTopic {
        /// The cluster.
        cluster: String,
        /// The topic's id.
        topic_id: String,
        /// The newest id that is known.
        known: String,
    },
    /// The chain kept changing while it was read.
    #[error("the chain of partition {partition} kept changing while it was read")]
    Unsettled {
        /// The partition.
        partition: u32,
    },
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Index(error) => error.kind(),
            Self::Corrupt { .. } | Self::IndexAhead { .. } => ErrorKind::Corrupt,
            Self::Newer { .. } => ErrorKind::Unsupported,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NewTopic { .. } => ErrorKind::Invalid,
            Self::Unsettled { .. } => ErrorKind::Unavailable,
        }
    }
}
