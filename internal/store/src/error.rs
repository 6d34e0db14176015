use loglake_model::ErrorKind;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("no object at {key:?}")]
    NotFound {
        /// Its key.
        key: String,
    },
    /// The key is outside the rule of [`crate::ObjectStore`].
    #[error("{key:?} is no key of an object")]
    InvalidKey {
        /// The key.
        key: String,
    },
    /// The object is over the size that the caller takes.
    #[error("the object {key:?} has {length} bytes, more than {max_bytes}")]
    TooLarge {
        /// Its key.
        key: String,
        /// Its length.
        length: u64,
        /// What the caller takes.
        max_bytes: u64,
    },
    /// The object is shorter than what was asked of it.
    #[error("the object {key:?} ends before byte {end}")]
    Short {
        /// Its key.
        key: String,
        /// Where the range asked for ends.
        end: u64,
    },
    /// A range that ends before it starts.
    #[error("the range {start}..{end} of {key:?} ends before it starts")]
    InvalidRange {
        /// The object's key.
        key: String,
        /// The first byte asked for.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// The store is full.
    #[error("the store is full: {0}")]
    Full(String),
    /// The store refuses this credential.
    #[error("the store refuses the credential: {0}")]
    Forbidden(String),
    /// The store cannot be reached or did not answer in time.
    #[error("the store is unavailable ({what}): {reason}")]
    Unavailable {
        /// What was being done.
        what: String,
        /// What the client said.
        reason: String,
    },
    /// The store does not keep the contract, or its settings cannot be used.
    #[error("this store cannot be used: {0}")]
    Unfit(String),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::InvalidKey { .. } | Self::InvalidRange { .. } | Self::Unfit(_) => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Short { .. } => ErrorKind::Corrupt,
            Self::Full(_) => ErrorKind::Exhausted,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }
}
