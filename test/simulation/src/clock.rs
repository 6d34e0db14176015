//! Simulated time.

use std::time::Duration;

use loglake_model::Clock;
use tokio::time::Instant;

/// When simulated time begins, ns UTC: some minutes before an hour ends, so that windows change.
pub const BEGIN_NS: i64 = 1_700_002_700_000_000_000;

/// The clock of a run: it follows tokio's time, which stands still until nothing is left to do.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedClock {
    begun: Instant,
    /// How far it is off, ns.
    skew_ns: i64,
}

impl SimulatedClock {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { begun: Instant::now(), skew_ns: 0 }
    }

    /// The same, but `skew_ns` ahead.
    #[must_use]
    pub fn ahead_by(self, skew_ns: i64) -> Self {
        Self { skew_ns, ..self }
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Clock for SimulatedClock {
    fn now_ns(&self) -> i64 {
        (BEGIN_NS + self.skew_ns).saturating_add(i64::try_from(self.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
}
