//! kill -9 a thousand times under load (fifty times in the short run). A restart takes less than two seconds while little
//! is un-flushed; how long each took is reported.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::prelude::*;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let kills = if lab.is_short { 50 } else { 1_000 };
    let mut dev = lab.dev(&[]).await;
    let plan = Plan { batch: 1..8, text: 5..60, patience: Duration::from_secs(5), ..Plan::default() };
    let plan = Plan { watch_pause: Duration::from_secs(if lab.is_short { 0 } else { 3 }), ..plan };
    let run = lab.begin(&Site::of_dev(&dev), plan);
    let mut restarts = Vec::new();
    let mut killed = 0;
    for _ in 0..kills {
        run.more(1).await?;
        tokio::time::sleep(Duration::from_millis(lab.random.random_range(0..300))).await;
        dev.process.kill();
        killed += usize::from(dev.process.ended().is_some_and(|status| status.signal() == Some(9)));
        let began = Instant::now();
        dev.restart().await;
        restarts.push(began.elapsed());
    }
    ensure!(killed == kills, "{killed} processes were killed");
    let verdict = run.finish().await?;
    restarts.sort();
    let longest = restarts.last().copied().unwrap_or_default();
    let middle = restarts[restarts.len() / 2];
    Ok(Outcome::new(format!("{kills} processes killed"), verdict).noting(format!(
        "restart until ready: median {} ms, longest {} ms",
        middle.as_millis(),
        longest.as_millis()
    )))
}
