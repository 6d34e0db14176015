use async_trait::async_trait;
use bytes::Bytes;
use loglake_model::ErrorKind;

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The entry stands, for certain.
    Done,
    /// Another entry stands under this number.
    Taken,
    /// No certain answer: read the number to know.
    Unknown,
}

/// Why the ledger gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LedgerError {
    /// What the caller does next.
    pub kind: ErrorKind,
    /// What the store said, for the log.
    pub message: String,
}

/// Where the registry's entries are kept: numbered from 1 without a gap, never changed, never deleted. Whoever appends first
/// under a number has it; that alone keeps several writers in order.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The entries whose numbers are above `after`, ascending, all of them that were appended before the call.
    ///
    /// # Errors
    /// `Unavailable`, `TooLarge` for an object that no registry has written.
    async fn entries(&self, after: u64) -> Result<Vec<(u64, Bytes)>, LedgerError>;

    /// Appends `entry` under `number` if none stands there.
    ///
    /// # Errors
    /// Only where nothing can have been written.
    async fn append(&self, number: u64, entry: Bytes) -> Result<Appended, LedgerError>;

    /// The newest checkpoint; `None` when none was saved.
    ///
    /// # Errors
    /// As [`Ledger::entries`].
    async fn checkpoint(&self) -> Result<Option<Bytes>, LedgerError>;

    /// Saves what the entries up to `number` come to. One that stands there already says the same.
    ///
    /// # Errors
    /// `Unavailable`; nothing is lost by it.
    async fn save_checkpoint(&self, number: u64, state: Bytes) -> Result<(), LedgerError>;
}
