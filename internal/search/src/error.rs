use loglake_model::{ErrorKind, Fault, FaultCode};

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A list has more items than allowed.
    #[error("{field} has at most {limit} items, this one has {actual}")]
    TooMany {
        /// The list.
        field: &'static str,
        /// The most it may have.
        limit: usize,
        /// What it has.
        actual: usize,
    },
    /// A text is longer than allowed.
    #[error("{field} has at most {limit} bytes, this one has {actual}")]
    TooLong {
        /// Where it stands.
        field: String,
        /// The most it may have.
        limit: usize,
        /// What it has.
        actual: usize,
    },
    /// The regular expression cannot be used.
    #[error("{0}")]
    Regex(String),
    /// A value does not fit its place.
    #[error("{message}")]
    Invalid {
        /// Where it stands.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl Error {
    /// What the caller does next: always `Invalid`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    /// The same as answers tell it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::TooMany { field, limit, actual } => {
                Fault::new(FaultCode::TooMany, *field, self.to_string()).with_limit(*limit as u64, *actual as u64)
            }
            Self::TooLong { field, limit, actual } => {
                Fault::new(FaultCode::TooLong, field, self.to_string()).with_limit(*limit as u64, *actual as u64)
            }
            Self::Regex(_) => Fault::new(FaultCode::Invalid, "regex", self.to_string()),
            Self::Invalid { field, .. } => Fault::new(FaultCode::Invalid, field, self.to_string()),
        }
    }
}
