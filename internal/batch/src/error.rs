use loglake_model::ErrorKind;

/// Why a message cannot be built or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The record does not fit into this message any more; another message takes it.
    #[error("a message has at most {limit} bytes, with this record it would have {actual}")]
    Full {
        /// The most bytes that a message has.
        limit: usize,
        /// How many it would have.
        actual: usize,
    },
    /// The record breaks a rule of the format, so no reader would take it: a fault of the caller.
    #[error("the record cannot stand in a message: {0}")]
    Unfit(&'static str),
    /// The bytes are not a message that a builder wrote.
    #[error("damaged message at byte {offset_bytes}: {what}")]
    Corrupt {
        /// Where, in bytes from the start of the message.
        offset_bytes: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A saved state of a session or key cannot be read.
    #[error("the saved state of session or key {id:?} cannot be used: {what}")]
    State {
        /// Whose.
        id: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Error {
    /// What the caller does next: `TooLarge` for [`Error::Full`], `Internal` for [`Error::Unfit`], `Corrupt` for
    /// [`Error::Corrupt`] and [`Error::State`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } => ErrorKind::TooLarge,
            Self::Unfit(_) => ErrorKind::Internal,
            Self::Corrupt { .. } | Self::State { .. } => ErrorKind::Corrupt,
        }
    }
}
