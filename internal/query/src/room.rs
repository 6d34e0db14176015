//! Memory for what the index says: a plan has a row of every chunk that its range touches, and there may be very many.
//!
//! Most plans are small and wait for nothing: each query that runs may have a thirty-second of `query.plan_bytes`. One that needs more
//! is planned again with room for half of `query.plan_bytes`, when that is free: two at a time, and one of a tenant, so that whoever
//! asks for much waits for its own questions. What needs more than that is refused. So all plans together stay below
//! `query.plan_bytes` and `query.concurrent` thirty-seconds of it.

use std::sync::Arc;
use std::time::Duration;

use loglake_auth::limits::{Turn, Turns};
use loglake_model::{Fault, FaultCode, TenantName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::Error;

/// What a chunk's row costs until the query ends, in bytes, about: the entry, its names, and its place in the queue of a merge.
pub(crate) const ROW_BYTES: usize = 1 << 10;
/// Plans that need much, at a time.
const LARGE_AT_ONCE: usize = 2;
/// What a small plan may have of all.
const SMALL_PART: usize = 32;
/// How long a query waits for room.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    large: Arc<Semaphore>,
    tenants: Turns,
}

/// The right to a large plan, until it is dropped.
#[derive(Debug)]
pub(crate) struct Large {
    _all: OwnedSemaphorePermit,
    _own: Turn,
}

impl Room {
    /// Room of `bytes` for large plans.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)), tenants: Turns::default() }
    }

    /// Rows that any plan may have.
    pub(crate) fn small_rows(&self) -> usize {
        (self.bytes / SMALL_PART / ROW_BYTES).max(1)
    }

    /// Rows that a large plan may have.
    pub(crate) fn large_rows(&self) -> usize {
        (self.bytes / LARGE_AT_ONCE / ROW_BYTES).max(1)
    }

    /// Waits for room for a large plan of `tenant`.
    ///
    /// # Errors
    /// `rate_limited` when there is none in time.
    pub(crate) async fn large(&self, tenant: &TenantName, deadline: Instant) -> Result<Large, Error> {
        let taking = async {
            let own = self.tenants.wait(tenant, 1).await?;
            Ok(Large { _all: Arc::clone(&self.large).acquire_owned().await?, _own: own })
        };
        match timeout_at(deadline.min(Instant::now() + PATIENCE), taking).await {
            Ok(taken) => taken.map_err(|error: tokio::sync::AcquireError| Error::Internal(error.to_string())),
            Err(_) => {
                let rows = self.small_rows();
                let message = format!(
                    "others are searching as many chunks at the moment: come again, ask for a shorter range, or filter by service, so \
                     that there are no more than {rows} chunks"
                );
                Err(Fault::new(FaultCode::RateLimited, "", message).into())
            }
        }
    }

    /// The refusal of what would need more.
    pub(crate) fn too_many(&self) -> Error {
        let rows = self.large_rows();
        let message = format!(
            "there are more than {rows} chunks in the range, more than a query may search: ask for a shorter range, or filter by \
             service"
        );
        Fault::new(FaultCode::QueryTooExpensive, "", message).with_limit(rows as u64, rows as u64 + 1).into()
    }
}

#[cfg(test)]
mod tests {
    use loglake_model::ErrorKind;

    use super::*;

    fn name(text: &str) -> TenantName {
        TenantName::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_one_large_plan_and_all_have_two() {
        let room = Room::new(256 << 20);
        assert_eq!((room.small_rows(), room.large_rows()), (8 << 10, 128 << 10));
        let deadline = Instant::now() + Duration::from_secs(60);
        let first = room.large(&name("noisy"), deadline).await.unwrap();
        let began = Instant::now();
        let refused = room.large(&name("noisy"), deadline).await.unwrap_err();
        assert_eq!((refused.kind(), began.elapsed()), (ErrorKind::Exhausted, PATIENCE));
        let _second = room.large(&name("quiet"), deadline).await.unwrap();
        assert!(room.large(&name("third"), deadline).await.is_err());
        drop(first);
        room.large(&name("third"), deadline).await.unwrap();
        // Never past its own time.
        let _held = room.large(&name("noisy"), deadline).await.unwrap();
        let began = Instant::now();
        assert!(room.large(&name("noisy"), began + Duration::from_secs(1)).await.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
