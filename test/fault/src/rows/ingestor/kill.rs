//! kill -9 of one of two ingestors under load, again and again.

use std::time::Duration;

use anyhow::Result;
use rand::prelude::*;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let kills = if lab.is_short { 4 } else { 30 };
    let mut stack = lab.stack(&Wanted::default().of(2, 1, 1)).await?;
    let run = lab.begin(&stack.site(), Plan { patience: Duration::from_secs(5), ..Plan::default() });
    for number in 0..kills {
        run.more(50).await?;
        tokio::time::sleep(Duration::from_millis(lab.random.random_range(0..300))).await;
        let ingestor = &mut stack.ingestors[number % 2];
        ingestor.process.kill();
        // The other one goes on alone.
        run.more(50).await?;
        ingestor.restart().await;
    }
    Ok(Outcome::new(format!("{kills} ingestors killed"), run.finish().await?))
}
