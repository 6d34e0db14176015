use std::time::{Duration, Instant};

use rand::prelude::*;

use super::AGAIN;
use super::letter::Letter;
use super::trial::Trial;
use crate::load::Source;

/// How likely a letter with a key is sent once more after it was answered, as by a client that lost the answer.
const FORGETS: f64 = 0.25;
/// How much later, in milliseconds, at most: some flushes.
const LATER_MS: u64 = 10_000;

/// What is known of a letter that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was answered, and the ledger knows.
    Answered,
    /// It may be stored, in part or as a whole.
    Unknown,
    /// It surely is not stored by this attempt.
    Not,
}

/// Carries one letter at a time.
pub(super) trait Courier: Send {
    /// Sends `letter` once, to the next ingestor after one that failed, and notes the attempt and its answer in the ledger.
    fn send(&mut self, source: &Source, letter: &Letter) -> impl Future<Output = Sent> + Send;
}

/// Sends letter after letter; those with a key again until they are answered, and now and then even after that.
pub(super) async fn run(mut source: Source, mut courier: impl Courier) {
    let mut forgotten: Option<(Instant, Letter)> = None;
    while !source.is_stopped() {
        if let Some((_, letter)) = forgotten.take_if(|(due, _)| *due <= Instant::now()) {
            // Whatever is answered: it was answered before.
            courier.send(&source, &letter).await;
        }
        let letter = Letter::write(&mut source);
        let sent = deliver(&source, &mut courier, &letter).await;
        if sent == Sent::Answered && letter.key.is_some() && forgotten.is_none() && source.random.random_bool(FORGETS) {
            let wait = Duration::from_millis(source.random.random_range(0..LATER_MS));
            forgotten = Some((Instant::now() + wait, letter));
        }
        tokio::time::sleep(source.plan.pause).await;
    }
}

/// Sends `letter` until its outcome is known; without a key only until it may be stored.
async fn deliver(source: &Source, courier: &mut impl Courier, letter: &Letter) -> Sent {
    let mut trial = Trial::begin();
    let mut is_doubtful = false;
    loop {
        match courier.send(source, letter).await {
            Sent::Answered => return Sent::Answered,
            Sent::Not => {}
            Sent::Unknown => is_doubtful = true,
        }
        tokio::time::sleep(AGAIN).await;
        let goes_on = if letter.key.is_some() { trial.goes_on(source) } else { !is_doubtful && !source.is_stopped() };
        if !goes_on {
            return if is_doubtful { Sent::Unknown } else { Sent::Not };
        }
    }
}

#[cfg(test)]
mod tests;
