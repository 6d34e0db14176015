use std::time::{Duration, Instant};

use crate::load::Source;

/// How long something is sent again: well below the ten minutes of a key and the hour of a session.
const LONGEST: Duration = Duration::from_secs(300);

/// How long it is worth while to send something again.
#[derive(Debug)]
pub(super) struct Trial {
    began: Instant,
    stopped: Option<Instant>,
}

impl Trial {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), stopped: None }
    }

    /// Whether to try once more: not after [`LONGEST`], nor when the writer was told to stop longer ago than its patience.
    pub(super) fn goes_on(&mut self, source: &Source) -> bool {
        if source.is_stopped() {
            self.stopped.get_or_insert_with(Instant::now);
        }
        self.began.elapsed() < LONGEST && self.stopped.is_none_or(|at| at.elapsed() < source.plan.patience)
    }
}
