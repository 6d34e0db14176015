use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Outcome, Tally};

/// Progress is told no more often than this, and not at all for shorter work.
const EVERY: Duration = Duration::from_secs(2);

/// Tells progress and the result of a delivery.
#[derive(Debug)]
pub struct Progress {
    tally: Arc<Tally>,
    started: Instant,
}

impl Progress {
    /// Starts the clock.
    #[must_use]
    pub fn start(tally: Arc<Tally>) -> Self {
        Self { tally, started: Instant::now() }
    }

    /// Writes a line on standard error every two seconds; never returns.
    pub async fn tell(&self) {
        let mut last = 0;
        loop {
            tokio::time::sleep(EVERY).await;
            let counts = self.tally.counts();
            let answered = counts.accepted + counts.rejected;
            let rate = (answered - last) as f64 / EVERY.as_secs_f64();
            last = answered;
            eprintln!(
                "loglake-agent: {} read, {} accepted, {} refused, {} records/s",
                thousands(counts.read),
                thousands(counts.accepted),
                thousands(counts.rejected + counts.unreadable),
                thousands(rate as u64),
            );
        }
    }

    /// The summary, with the first refusals; several lines.
    #[must_use]
    pub fn summary(&self, outcome: &Outcome) -> String {
        let counts = self.tally.counts();
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let mut text = format!(
            "accepted {} of {} records in {seconds:.2} s ({} records/s, {} bytes)",
            thousands(counts.accepted),
            thousands(counts.read),
            thousands((counts.accepted as f64 / seconds) as u64),
            thousands(counts.bytes),
        );
        // Writing to a String cannot fail.
        let mut say = |count: u64, what: &str| {
            if count > 0 {
                let _ = write!(text, "\n  {} {what}", thousands(count));
            }
        };
        say(counts.rejected, "refused by the server");
        say(counts.unreadable, "lines that no record could be made of");
        say(outcome.unanswered, "without an answer: they may be lost");
        say(counts.lossy, "lines were not UTF-8: the bytes at fault became U+FFFD");
        say(counts.reconnects, "connections failed and were tried again");
        say(counts.doubtful, "sent again after the connection broke: the server may hold them twice");
        let refusals = self.tally.refusals();
        if !refusals.is_empty() {
            let _ = write!(text, "\nthe first refusals:");
        }
        for refusal in refusals {
            let _ = write!(text, "\n  {refusal}");
        }
        text
    }

    /// Whether every record that was read was accepted.
    #[must_use]
    pub fn is_whole(&self, outcome: &Outcome) -> bool {
        let counts = self.tally.counts();
        outcome.failure.is_none() && outcome.unanswered == 0 && counts.accepted == counts.read
    }
}

/// Writes a number with commas between groups of three digits.
///
/// ```
/// assert_eq!(loglake_agent::thousands(1234567), "1,234,567");
/// ```
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
