//! The owner of the un-flushed tail dies: until another owns it, the broker is read instead, or what is missing is named.

use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let wanted = Wanted::default().of(1, 2, 1).with("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "10s");
    let mut stack = lab.stack(&wanted).await?;
    let run = lab.begin(&stack.site(), Plan { watch_pause: Duration::ZERO, ..Plan::default() });
    let turns = if lab.is_short { 2 } else { 10 };
    for turn in 0..turns {
        run.more(200).await?;
        let owner = &mut stack.processors[turn % 2];
        owner.process.kill();
        run.more(100).await?;
        tokio::time::sleep(Duration::from_secs(8)).await;
        owner.restart().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(Outcome::new(format!("{turns} owners killed"), run.finish().await?))
}
