use std::time::Duration;

use async_trait::async_trait;
use loglake_model::TenantName;

use super::{Limit, Limits, Over};

/// How often it is asked again how much is stored of a tenant that sends.
const INTERVAL_NS: i64 = 15_000_000_000;
/// A tenant that sent nothing for so long is not asked about any more.
const QUIET_NS: i64 = GOOD_NS;
/// How long an answer holds. Past it nothing is known, and nobody is refused for it.
pub(super) const GOOD_NS: i64 = 300_000_000_000;
/// When who is refused is to come again: what is stored becomes less only when an operator does something about it.
const AGAIN: Duration = Duration::from_secs(30);

/// Why nobody said how much is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoredBytesError(pub String);

/// What is at rest of tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtRest {
    /// Bytes of each tenant, in the order they were asked for.
    pub bytes: Vec<u64>,
    /// What is not among them, in words for people; `None` where it is all. Then there may be more than said, not less.
    pub lacks: Option<String>,
}

/// Where it is asked how many bytes are stored of tenants.
#[async_trait]
pub trait StoredBytes: Send + Sync {
    /// The bytes at rest of each of `tenants`. What is not flushed yet is not among them.
    ///
    /// # Errors
    /// When no answer came.
    async fn of(&self, tenants: &[TenantName]) -> Result<AtRest, StoredBytesError>;
}

/// What is known of a tenant's bytes at rest.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// How many there were, and when that was asked.
    told: Option<(u64, i64)>,
    /// When its tenant, with a limit, sent something last.
    used_ns: Option<i64>,
}

impl Storage {
    /// Whether more may come.
    pub(super) fn admit(&mut self, limits: &Limits, now_ns: i64) -> Result<(), Over> {
        let Some(most) = limits.most(Limit::StoredBytes) else { return Ok(()) };
        self.used_ns = Some(now_ns);
        match self.told {
            Some((bytes, at_ns)) if bytes >= most && now_ns.saturating_sub(at_ns) < GOOD_NS => {
                Err(Over { limit: Limit::StoredBytes, most, actual: bytes, wait: Some(AGAIN) })
            }
            _ => Ok(()),
        }
    }

    /// When it was asked about last, if it is to be asked about again; `i64::MIN` for never.
    pub(super) fn due(&self, now_ns: i64) -> Option<i64> {
        let is_used = self.used_ns.is_some_and(|used_ns| now_ns.saturating_sub(used_ns) < QUIET_NS);
        let asked_ns = self.told.map_or(i64::MIN, |(_, at_ns)| at_ns);
        (is_used && now_ns.saturating_sub(asked_ns) >= INTERVAL_NS).then_some(asked_ns)
    }

    /// Takes in an answer; one that is not `whole` is not taken for less than what was known before.
    pub(super) fn told(&mut self, bytes: u64, is_whole: bool, at_ns: i64) {
        let is_less =
            self.told.is_some_and(|(known, known_ns)| bytes < known && at_ns.saturating_sub(known_ns) < GOOD_NS);
        if is_whole || !is_less {
            self.told = Some((bytes, at_ns));
        }
    }

    /// Whether nothing would be lost by forgetting it.
    pub(super) fn is_idle(&self, now_ns: i64) -> bool {
        self.told.is_none_or(|(_, at_ns)| now_ns.saturating_sub(at_ns) >= GOOD_NS)
    }
}
