use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use loglake_model::Clock;

/// The log's own time, as far as this process knows it: its clock, put right by what the broker's last answer said. Sessions and
/// idempotency keys end by the log's time, so they begin by it too: an ingestor whose clock is an hour off serves them all the
/// same once it has appended anything.
#[derive(Debug)]
pub(crate) struct LogTime {
    clock: Arc<dyn Clock>,
    /// How far the log is ahead of the clock, ns.
    ahead_ns: AtomicI64,
}

impl LogTime {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead_ns: AtomicI64::new(0) }
    }

    /// Nanoseconds since the epoch, not negative.
    pub(crate) fn now_ns(&self) -> i64 {
        self.clock.now_ns().saturating_add(self.ahead_ns.load(Ordering::Relaxed)).max(0)
    }

    /// A message was just appended at `append_time_ns`.
    pub(crate) fn saw(&self, append_time_ns: i64) {
        self.ahead_ns.store(append_time_ns.saturating_sub(self.clock.now_ns()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use loglake_model::ManualClock;

    use super::*;

    #[test]
    fn the_brokers_answers_put_the_clock_right() {
        let clock = Arc::new(ManualClock::at(1_000));
        let time = LogTime::new(clock.clone());
        assert_eq!(time.now_ns(), 1_000);
        time.saw(5_000);
        clock.advance(10);
        assert_eq!(time.now_ns(), 5_010);
        time.saw(10);
        assert_eq!(time.now_ns(), 10);
        time.saw(-5_000);
        assert_eq!(time.now_ns(), 0);
    }
}
