//! A rebalance storm: processors join and leave every second or two under load, in order or by kill -9.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::prelude::*;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let lasts = Duration::from_secs(if lab.is_short { 15 } else { 120 });
    let mut stack = lab.stack(&Wanted::default().of(1, 4, 1)).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    let began = Instant::now();
    let (mut joined, mut left, mut killed) = (0, 0, 0);
    while began.elapsed() < lasts {
        let at = lab.random.random_range(0..stack.processors.len());
        let processor = &mut stack.processors[at];
        if processor.process.ended().is_some() {
            processor.start_again();
            joined += 1;
        } else if lab.random.random_bool(0.7) {
            // It may still be starting; either way it ends in order.
            processor.process.signal("TERM");
            left += 1;
        } else {
            processor.process.kill();
            killed += 1;
        }
        tokio::time::sleep(Duration::from_millis(lab.random.random_range(700..2_000))).await;
    }
    ensure!(joined > 1 && left > 1, "{joined} joined, {left} left");
    // Those that are told to end do so; then all are there.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for processor in &mut stack.processors {
        if processor.process.ended().is_some() {
            processor.start_again();
        }
    }
    for processor in &mut stack.processors {
        processor.wait_ready().await;
    }
    run.more(200).await?;
    let fired = format!("{joined} joined, {left} left in order, {killed} killed in {} s", lasts.as_secs());
    Ok(Outcome::new(fired, run.finish().await?))
}
