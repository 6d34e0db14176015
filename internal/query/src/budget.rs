use std::time::Duration;

use loglake_auth::limits::{Limit, Limits};
use loglake_model::{Fault, FaultCode};
use tokio::time::Instant;

use crate::Error;

/// What one query may take of time and of what it searches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// When it must be answered.
    pub(crate) deadline: Instant,
    /// How long that was from its beginning.
    pub(crate) timeout: Duration,
    /// How many bytes of blocks, decompressed, it may search; `None` for any.
    pub(crate) most_bytes: Option<u64>,
}

impl Budget {
    /// The budget of a query that began at `began`: `timeout`, or less where `limits` say so.
    pub(crate) fn new(began: Instant, timeout: Duration, limits: &Limits) -> Self {
        let allowed = limits.most(Limit::QueryTimeMs).map(Duration::from_millis);
        let timeout = allowed.map_or(timeout, |allowed| allowed.min(timeout));
        Self { deadline: began + timeout, timeout, most_bytes: limits.most(Limit::QueryBytes) }
    }

    /// Whether `bytes` are more than may be searched.
    pub(crate) fn is_passed_by(&self, bytes: u64) -> bool {
        self.most_bytes.is_some_and(|most| bytes > most)
    }

    /// The error of a query that ran out of time.
    pub(crate) fn timed_out(&self) -> Error {
        Error::TimedOut(self.timeout)
    }

    /// Checks that `bytes` may be searched.
    ///
    /// # Errors
    /// `TooCostly`.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), Error> {
        if self.is_passed_by(bytes) { Err(self.too_costly(bytes)) } else { Ok(()) }
    }

    /// The error of a query that would search so many bytes.
    pub(crate) fn too_costly(&self, bytes: u64) -> Error {
        let message = "this would search more bytes than a query of the tenant may: ask for a shorter range, or filter by \
                       service, level, trace or a word";
        let fault = Fault::new(FaultCode::QueryTooExpensive, "", message);
        fault.with_limit(self.most_bytes.unwrap_or(u64::MAX), bytes).into()
    }
}
