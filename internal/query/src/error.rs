use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use loglake_api::Refusal;
use loglake_model::{ErrorKind, Fault};

use crate::cursor::InvalidCursor;

/// Why the query role cannot start, or a query has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: Arc<std::io::Error>,
    },
    /// The folder of the cache on disk cannot be used.
    #[error("query.cache_dir: {}: {source}", folder.display())]
    CacheFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The metrics cannot be registered.
    #[error("metrics cannot be registered: {0}")]
    Metrics(Arc<prometheus::Error>),
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] Fault),
    /// The caller may not do this.
    #[error(transparent)]
    Auth(#[from] loglake_auth::Error),
    /// The cursor is not taken.
    #[error("{message}")]
    Cursor {
        /// What the caller does next.
        kind: ErrorKind,
        /// Why, and what would be right.
        message: String,
    },
    /// The broker did not say what was acknowledged.
    #[error("the broker: {0}")]
    Broker(Arc<loglake_broker::Error>),
    /// The index did not answer.
    #[error("the index: {0}")]
    Index(Arc<loglake_index::Error>),
    /// The object store did not answer.
    #[error("the object store: {0}")]
    Store(Arc<loglake_store::Error>),
    /// The chain's objects cannot be read.
    #[error("the chain: {0}")]
    Commit(Arc<loglake_commit::Error>),
    /// The time allowed ran out before anything could be said.
    #[error("the query took longer than {0:?}; ask for a shorter range, or filter by service")]
    TimedOut(Duration),
    /// Too many queries wait already.
    #[error("too many queries are waiting; slow down")]
    Busy,
    /// A promise between parts was broken.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Listen { .. } | Self::CacheFolder { .. } => ErrorKind::Invalid,
            Self::Metrics(_) | Self::Internal(_) => ErrorKind::Internal,
            Self::Request(fault) => Refusal::from(fault.clone()).kind,
            Self::Auth(loglake_auth::Error::Ledger(error)) => of_part(error.kind),
            Self::Auth(error) => error.kind(),
            Self::Cursor { kind, .. } => *kind,
            Self::Broker(error) => of_part(error.kind()),
            Self::Index(error) => of_part(error.kind()),
            Self::Store(error) => of_part(error.kind()),
            Self::Commit(error) => of_part(error.kind()),
            Self::TimedOut(_) => ErrorKind::Deadline,
            Self::Busy => ErrorKind::Exhausted,
        }
    }

    /// The same as an answer. What parts said stays in the log.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Request(fault) => Refusal::from(fault.clone()),
            // What the store said stays in the log.
            Self::Auth(loglake_auth::Error::Ledger(_) | loglake_auth::Error::Registry(_)) => {
                part(self.kind(), "the registry of tenants and tokens")
            }
            Self::Auth(loglake_auth::Error::Limit(_, fault)) => Refusal::from((**fault).clone()),
            Self::Auth(error) => {
                let mut refusal = Refusal::new(error.kind(), error.to_string());
                error.field().clone_into(&mut refusal.fault.field);
                refusal
            }
            Self::Cursor { kind, message } => {
                let mut refusal = Refusal::new(*kind, message);
                "cursor".clone_into(&mut refusal.fault.field);
                refusal
            }
            Self::TimedOut(_) | Self::Busy => Refusal::new(self.kind(), self.to_string()),
            Self::Broker(_) => part(self.kind(), "the broker"),
            Self::Index(_) => part(self.kind(), "the index"),
            Self::Store(_) => part(self.kind(), "the object store"),
            Self::Commit(_) => part(self.kind(), "the chain of commits"),
            Self::Listen { .. } | Self::CacheFolder { .. } | Self::Metrics(_) | Self::Internal(_) => {
                Refusal::new(ErrorKind::Internal, "something went wrong here; report it with the request's id")
            }
        }
    }
}

/// What a part's failure means to a caller, who asked nothing of the part: never that the request is wrong.
fn of_part(kind: ErrorKind) -> ErrorKind {
    match kind {
        ErrorKind::Unavailable
        | ErrorKind::Exhausted
        | ErrorKind::NoSpace
        | ErrorKind::Deadline
        | ErrorKind::Conflict => ErrorKind::Unavailable,
        ErrorKind::Corrupt => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    }
}

fn part(kind: ErrorKind, name: &str) -> Refusal {
    let what = match kind {
        ErrorKind::Unavailable => "cannot be reached; try again",
        ErrorKind::Corrupt => "holds damaged data; report it with the request's id",
        _ => "does not do what it should; report it with the request's id",
    };
    Refusal::new(kind, format!("{name} {what}"))
}

impl From<InvalidCursor> for Error {
    fn from(invalid: InvalidCursor) -> Self {
        Self::Cursor { kind: invalid.kind(), message: invalid.to_string() }
    }
}

impl From<loglake_search::Error> for Error {
    fn from(error: loglake_search::Error) -> Self {
        Self::Request(error.fault())
    }
}

impl From<loglake_broker::Error> for Error {
    fn from(error: loglake_broker::Error) -> Self {
        Self::Broker(Arc::new(error))
    }
}

impl From<loglake_index::Error> for Error {
    fn from(error: loglake_index::Error) -> Self {
        Self::Index(Arc::new(error))
    }
}

impl From<loglake_store::Error> for Error {
    fn from(error: loglake_store::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<loglake_commit::Error> for Error {
    fn from(error: loglake_commit::Error) -> Self {
        Self::Commit(Arc::new(error))
    }
}

impl From<prometheus::Error> for Error {
    fn from(error: prometheus::Error) -> Self {
        Self::Metrics(Arc::new(error))
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Internal(error.to_string())
    }
}
