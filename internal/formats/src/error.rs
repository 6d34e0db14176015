use loglake_model::ErrorKind;

/// Why a body cannot be decoded at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is longer than allowed once it is decoded.
    #[error("the body has more than {limit} bytes once it is decoded")]
    TooLarge {
        /// The most bytes that are taken.
        limit: usize,
    },
    /// It is not what its encoding says: damaged, cut off, or something else.
    #[error("the body is not valid {encoding}: {source}")]
    Invalid {
        /// The encoding that was named.
        encoding: &'static str,
        /// What the decoder found.
        source: std::io::Error,
    },
    /// Nobody here reads this encoding.
    #[error("the content encoding {encoding:?} is not supported: use gzip, zstd or identity")]
    Unsupported {
        /// What was named, shortened.
        encoding: String,
    },
}

impl Error {
    /// What the caller does next: `TooLarge`, `Invalid` or `Unsupported`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }
}
