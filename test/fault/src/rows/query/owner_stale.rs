//! The owner of the tail stalls past its session, another takes over and flushes, and the stalled one comes back with what it
//! held: its answers are passed over, its flush is lost.

use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let stack = lab.stack(&Wanted::default().of(1, 2, 1)).await?;
    let run = lab.begin(&stack.site(), Plan { watch_pause: Duration::ZERO, ..Plan::default() });
    let turns = if lab.is_short { 1 } else { 6 };
    for turn in 0..turns {
        run.more(150).await?;
        let owner = &stack.processors[turn % 2];
        owner.process.signal("STOP");
        let written = run.more(150).await;
        // Session time-out 6 s, then a takeover and some flushes.
        tokio::time::sleep(Duration::from_secs(12)).await;
        owner.process.signal("CONT");
        written?;
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    Ok(Outcome::new(format!("{turns} owners stopped for 12 s and resumed"), run.finish().await?))
}
