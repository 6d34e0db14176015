use std::net::SocketAddr;

use loglake_model::ErrorKind;

/// Why the role cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on; most often another process has the port.
    #[error("`{key}` = {address}: {source}")]
    Bind {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Settings or parts do not fit together.
    #[error("{0}")]
    Config(String),
    /// The registry has metrics of these names already.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// An entry of the audit log could not be made a record.
    #[error("the audit log: {0}")]
    Audit(String),
    /// The descriptors that reflection serves are damaged.
    #[error("reflection cannot be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bind { .. } => ErrorKind::Unavailable,
            Self::Config(_) => ErrorKind::Invalid,
            Self::Metrics(_) | Self::Reflection(_) | Self::Audit(_) => ErrorKind::Internal,
        }
    }
}
