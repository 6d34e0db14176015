use loglake_model::ErrorKind;

/// Why a broker did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The payload is over the limit.
    #[error("a message of {bytes} bytes is over the limit of {max} bytes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The topic has no such partition.
    #[error("the topic has no partition {0}")]
    NoPartition(u32),
    /// There is no such topic.
    #[error("there is no topic {0:?}")]
    NoTopic(String),
    /// The offset asked for is not in the log.
    #[error("partition {partition} holds offsets {earliest}..{latest}, {offset} is not among them")]
    OffsetOutOfRange {
        /// The partition.
        partition: u32,
        /// What was asked for.
        offset: u64,
        /// The lowest offset there is.
        earliest: u64,
        /// The next offset to be written.
        latest: u64,
    },
    /// The disk is full, or only the reserve is left of it.
    #[error("no space for the log: {0}")]
    NoSpace(String),
    /// The cap set for the log is reached.
    #[error("the log is full: {0}")]
    Full(String),
    /// The broker cannot be reached or did not answer in time; what was asked may have happened.
    #[error("the broker is unavailable: {0}")]
    Unavailable(String),
    /// Stored bytes are damaged.
    #[error("the log is damaged at {place}: {what}")]
    Corrupt {
        /// File and position.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// The settings cannot be used.
    #[error("{0}")]
    Config(String),
    /// The local disk refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NoPartition(_) | Self::NoTopic(_) | Self::OffsetOutOfRange { .. } => ErrorKind::NotFound,
            Self::NoSpace(_) => ErrorKind::NoSpace,
            Self::Full(_) => ErrorKind::Exhausted,
            Self::Unavailable(_) | Self::Io { .. } => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Config(_) => ErrorKind::Invalid,
        }
    }
}
