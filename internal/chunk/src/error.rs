use loglake_model::ErrorKind;

/// What can go wrong with a chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Stored bytes are damaged. The caller knows the object's key.
    #[error("damaged at byte {offset}: {what}")]
    Corrupt {
        /// Where in the object the damaged part begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The chunk was written by a newer version than this one reads.
    #[error("chunk format version {version} is newer than this reader")]
    Unsupported {
        /// The chunk's format version.
        version: u16,
    },
    /// What should become a block is not whole canonical lines of the window, sorted by time.
    #[error("the line at byte {at} of a block {what}")]
    Line {
        /// Where in the block the line begins, in bytes.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A chunk or block would pass a limit of the format.
    #[error("{what}: {actual} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was given.
        actual: u64,
    },
    /// A chunk without any record is not written.
    #[error("a chunk or block holds at least one record")]
    Empty,
    /// A window that is not a whole number of minutes that divides a day, aligned to the epoch; or blocks of another window
    /// than their chunk's.
    #[error("a chunk's window is whole minutes that divide a day, aligned, and the same for all its blocks")]
    Window,
    /// The compressor did not do its work.
    #[error("compression failed")]
    Compression,
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Line { .. } | Self::Empty | Self::Window => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Compression => ErrorKind::Internal,
        }
    }
}
