use std::path::PathBuf;

use loglake_model::ErrorKind;

/// Why files cannot be used for TLS. Each names the file and what would be right; none holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any of its kind.
    #[error("{} is larger than {most} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        most: u64,
    },
    /// Others than its owner and group may read a private key.
    #[error("everybody may read the private key {0}; run: chmod 600 {0}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// A file holds something else than it should.
    #[error("{} holds no {what} in PEM (-----BEGIN …)", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate or key is damaged or of a kind that is not known.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is over.
    #[error("the certificate in {} ended at {ended}", path.display())]
    Ended {
        /// The file.
        path: PathBuf,
        /// When, RFC 3339.
        ended: String,
    },
    /// Certificate and key do not belong together, or no configuration can be made of them.
    #[error("the certificate in {} with the key in {}: {source}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
