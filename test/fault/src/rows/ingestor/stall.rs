//! One of two ingestors stalls (SIGSTOP) for a minute, past its clients' patience, and goes on with what it had in hand.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let (rounds, stall) = if lab.is_short { (1, 8) } else { (2, 60) };
    let stack = lab.stack(&Wanted::default().of(2, 1, 1)).await?;
    let run = lab.begin(&stack.site(), Plan { patience: Duration::from_secs(5), ..Plan::default() });
    for round in 0..rounds {
        run.more(200).await?;
        let process = &stack.ingestors[round % 2].process;
        process.signal("STOP");
        tokio::time::sleep(Duration::from_secs(stall)).await;
        ensure!(wait::state(process.id()) == 'T', "the ingestor stands still");
        run.more(50).await?;
        process.signal("CONT");
        run.more(200).await?;
    }
    Ok(Outcome::new(format!("{rounds} x {stall} s stopped"), run.finish().await?))
}
