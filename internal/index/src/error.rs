use loglake_model::ErrorKind;

/// Why the index did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The index cannot be reached or did not answer in time; what was asked may have happened.
    #[error("the index is unavailable ({what}): {reason}")]
    Unavailable {
        /// What was being done.
        what: String,
        /// What the client said.
        reason: String,
    },
    /// An entry cannot be read.
    #[error("the index entry {key:?} cannot be read: {reason}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// There are more chunks than was asked for at most.
    #[error("the index has more than {most} chunks there")]
    TooMany {
        /// What was asked for.
        most: usize,
    },
    /// The server's settings would lose entries.
    #[error("this index cannot be used: {0}")]
    Unfit(String),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::TooMany { .. } => ErrorKind::TooLarge,
            Self::Unfit(_) => ErrorKind::Invalid,
        }
    }
}
