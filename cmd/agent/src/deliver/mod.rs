//! Bringing batches to the server: one stream, several batches in flight, again after a lost connection.

mod connection;
mod tally;
mod target;
mod window;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{Batch, Dice};
use connection::{Ended, Session};
pub use tally::{Counts, Refusal, Tally};
pub use target::{Target, TlsFiles, Token};
use window::Window;

/// How a delivery goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many batches may be without a result, at least 1. More hide latency; each costs its bytes of memory.
    pub in_flight: usize,
    /// For how long a server that does not answer is tried again, counted from the last result.
    pub retry_for: Duration,
    /// How long to wait for a result before the connection is taken for dead.
    pub answer_timeout: Duration,
    /// Seeds the spread of the pauses between attempts.
    pub jitter_seed: u64,
}

/// How a delivery ended.
#[derive(Debug)]
pub struct Outcome {
    /// Records that were handed over and have no answer; 0 unless it failed.
    pub unanswered: u64,
    /// Why it gave up, if it did.
    pub failure: Option<anyhow::Error>,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Delivers all of `batches` and counts the answers in `tally`. Returns when the channel is closed and every record has its
/// answer, or when it gave up; then it takes no more batches.
///
/// A batch without a result is sent again over a new connection, to the next of the servers, with pauses that grow, under its
/// number of the same session, so that it counts once. Where the server keeps no sessions, or the session ended meanwhile, such
/// records are counted as doubtful.
pub async fn deliver(
    target: &Target,
    options: &Options,
    mut batches: mpsc::Receiver<Batch>,
    tally: &Arc<Tally>,
) -> Outcome {
    let mut window = Window::new();
    let mut session = Session::default();
    let mut dice = Dice::new(options.jitter_seed);
    let mut pause = FIRST_PAUSE;
    let mut last_answer = Instant::now();
    // Many shippers begin at different servers.
    let mut attempt = options.jitter_seed;
    loop {
        let before = tally.counts();
        let ended = connection::run(target, options, &mut session, &mut window, &mut batches, tally, attempt).await;
        window.disconnect();
        let after = tally.counts();
        if (after.accepted, after.rejected) != (before.accepted, before.rejected) {
            last_answer = Instant::now();
            pause = FIRST_PAUSE;
        }
        if matches!(ended, Ended::Over(_) | Ended::Renew) {
            session.forget();
        }
        let failure = match ended {
            Ended::Delivered => return Outcome { unanswered: 0, failure: None },
            Ended::Renew => continue,
            Ended::Refused(error) => error,
            Ended::Lost(error) | Ended::Over(error) if last_answer.elapsed() < options.retry_for => {
                let left = options.retry_for.saturating_sub(last_answer.elapsed());
                let spread = pause.mul_f64(0.5 + dice.below(1_000) as f64 / 1_000.0);
                report_retry(&error, spread.min(left));
                tokio::time::sleep(spread.min(left)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                tally.add_reconnect();
                attempt = attempt.wrapping_add(1);
                continue;
            }
            Ended::Lost(error) | Ended::Over(error) => {
                error.context(format!("no answer for {:?}, gave up", options.retry_for))
            }
        };
        batches.close();
        let mut unanswered = window.unanswered_records();
        while let Some(batch) = batches.recv().await {
            unanswered += batch.records();
        }
        return Outcome { unanswered, failure: Some(failure) };
    }
}

fn report_retry(error: &anyhow::Error, pause: Duration) {
    eprintln!("loglake-agent: {error:#}; trying again in {:.1} s", pause.as_secs_f64());
}
