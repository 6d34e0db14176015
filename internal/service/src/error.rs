use std::net::SocketAddr;

use loglake_model::ErrorKind;

/// What can go wrong before and after a role's work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong; all of it is listed.
    #[error("{0}")]
    Configuration(#[from] crate::Problems),
    /// An address cannot be listened on.
    #[error("{key}: {address}: {source}")]
    Bind {
        /// The key that names the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The registry has such metrics already.
    #[error("metrics: {0}")]
    Metrics(#[source] prometheus::Error),
    /// Signals cannot be waited for.
    #[error("signals: {0}")]
    Signals(#[source] std::io::Error),
    /// Logging cannot begin.
    #[error("telemetry: {0}")]
    Telemetry(String),
}

impl Error {
    /// Says what to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Configuration(_) | Self::Bind { .. } => ErrorKind::Invalid,
            Self::Metrics(_) | Self::Signals(_) | Self::Telemetry(_) => ErrorKind::Internal,
        }
    }
}
