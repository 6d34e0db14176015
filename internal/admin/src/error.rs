use loglake_model::ErrorKind;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store did not do what was asked.
    #[error(transparent)]
    Store(#[from] loglake_store::Error),
    /// The index did not do what was asked.
    #[error(transparent)]
    Index(#[from] loglake_index::Error),
    /// A chain could not be read.
    #[error(transparent)]
    Commit(#[from] loglake_commit::Error),
    /// The broker did not do what was asked.
    #[error(transparent)]
    Broker(#[from] loglake_broker::Error),
    /// A quarantine object, or what is written down of putting its messages into the log again, cannot be used.
    #[error("{key}: {what}")]
    Redrive {
        /// The object's key.
        key: String,
        /// What is wrong.
        what: String,
    },
    /// An attempt was cut off, and the broker no longer holds what it may have appended.
    #[error(
        "{key}: an earlier attempt was cut off, and the broker no longer holds partition {partition} from offset {from} on: \
         nobody can tell whether its messages are in the log. Look for their records; if they are missing, remove the \
         object redrive/{key}/…-begun.json and run this again"
    )]
    Undecidable {
        /// The quarantine object's key.
        key: String,
        /// The partition.
        partition: u32,
        /// Where the log would have to be read from.
        from: u64,
    },
    /// A task of this process ended abnormally.
    #[error("a task ended abnormally: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A partition changed all the time while it was worked on.
    #[error("partition {partition} kept changing; try again")]
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
            Self::Commit(error) => error.kind(),
            Self::Broker(error) => error.kind(),
            Self::Redrive { .. } => ErrorKind::Corrupt,
            Self::Undecidable { .. } => ErrorKind::Conflict,
            Self::Task(_) => ErrorKind::Internal,
            Self::Unsettled { .. } => ErrorKind::Unavailable,
        }
    }
}
