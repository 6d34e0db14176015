//! Runs rows, one after the other, and remembers which have passed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use loglake_integration::programs;
use serde::{Deserialize, Serialize};

use crate::lab::{Lab, Shelf};
use crate::rows::{Outcome, Row};

/// No row may take longer.
const LONGEST: Duration = Duration::from_secs(3 * 3600);

/// What is known of a row's last run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// Whether all held.
    pub is_passed: bool,
    /// The seed.
    pub seed: u64,
    /// How long it took.
    pub seconds: u64,
    /// When, as a date.
    pub date: String,
    /// How it is known that the fault fired.
    pub fired: String,
    /// Records sent, acknowledged and returned.
    pub counts: [u64; 3],
    /// Records sent more than once.
    #[serde(default)]
    pub resent: u64,
    /// Whole walks of the background reader, and its errors.
    pub walks: [u64; 2],
    /// Milliseconds from healing until fresh writes were read.
    pub healed_ms: u64,
    /// A note, or what was wrong.
    pub note: String,
}

/// All that has run, by row.
pub type State = BTreeMap<String, Done>;

/// Where the state is kept: beside the built programs.
pub fn state_file() -> PathBuf {
    let target = programs::loglake().ancestors().nth(2).map_or_else(|| programs::root().join("target"), PathBuf::from);
    target.join("fault-state.json")
}

/// What earlier runs left.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn load() -> Result<State> {
    match std::fs::read(state_file()) {
        Ok(bytes) => serde_json::from_slice(&bytes).context("the state of earlier runs"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(State::new()),
        Err(error) => Err(error.into()),
    }
}

/// Keeps the state.
///
/// # Errors
/// When it cannot be written.
pub fn save(state: &State) -> Result<()> {
    Ok(std::fs::write(state_file(), serde_json::to_vec_pretty(state)?)?)
}

/// Runs one row. The lab's folder is kept when it fails.
///
/// # Errors
/// What was wrong, and how to run it again.
pub async fn once(row: Row, seed: u64, is_short: bool, shelf: &Shelf) -> Result<Outcome> {
    let mut lab = Lab::new(row.name, seed, is_short, shelf.clone())?;
    // In a task of its own: a panic ends the row, not the runner.
    let task = tokio::spawn(async move {
        let outcome = tokio::time::timeout(LONGEST, (row.run)(&mut lab)).await;
        let outcome = outcome.unwrap_or_else(|_| bail!("not done after {LONGEST:?}"));
        match outcome {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                let folder = lab.keep();
                Err(error.context(format!("its folder is kept: {}", folder.display())))
            }
        }
    });
    let outcome = match task.await {
        Ok(outcome) => outcome,
        Err(panicked) => Err(anyhow::anyhow!("{panicked}")),
    };
    outcome
        .with_context(|| format!("{} failed; again: loglake-fault --again --row {} --seed {seed}", row.name, row.name))
}

/// Runs one row and says how it went.
pub async fn record(row: Row, seed: u64, is_short: bool, shelf: &Shelf) -> Done {
    let began = Instant::now();
    let outcome = once(row, seed, is_short, shelf).await;
    let date = time::OffsetDateTime::now_utc().date().to_string();
    let done = Done { seed, seconds: began.elapsed().as_secs(), date, ..Done::default() };
    match outcome {
        Ok(Outcome { fired, verdict, note }) => Done {
            is_passed: true,
            fired,
            counts: [verdict.sent, verdict.acknowledged, verdict.returned],
            resent: verdict.resent,
            walks: [verdict.walks, verdict.errors],
            healed_ms: u64::try_from(verdict.healed.as_millis()).unwrap_or(u64::MAX),
            note,
            ..done
        },
        Err(error) => {
            // Servers that a failed row broke are no ground for the next.
            shelf.clear().await;
            Done { note: format!("{error:#}"), ..done }
        }
    }
}
