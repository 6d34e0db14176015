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
            Self::Task(_) => ErrorKind::Internal,
            Self::Unsettled { .. } => ErrorKind::Unavailable,
        }
    }
}
