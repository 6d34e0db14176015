use async_trait::async_trait;
use loglake_model::TenantName;

/// What was taken of a tenant's rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whose.
    pub tenant: TenantName,
    /// Bytes.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

/// Why the counters gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CountersError(pub String);

/// Where the ingestors of a cluster add up what they took: an estimate, that may be lost at any time.
#[async_trait]
pub trait Counters: Send + Sync {
    /// Adds each of `taken` to its tenant's sums, and returns the sums after it, in the same order. A sum that nobody has added
    /// to for a minute begins at 0 again.
    ///
    /// # Errors
    /// When no answer came; what was added then is not known.
    async fn add(&self, taken: &[Taken]) -> Result<Vec<Taken>, CountersError>;
}
