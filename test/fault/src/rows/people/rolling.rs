//! Everything is restarted, one process after the other, as for an update. Orderly stops lose no answer that was given.

use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut stack = lab.stack(&Wanted::default().of(2, 2, 2)).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    let rounds = if lab.is_short { 1 } else { 5 };
    let mut restarts = 0;
    for _ in 0..rounds {
        for role in stack.ingestors.iter_mut().chain(&mut stack.processors).chain(&mut stack.queries) {
            run.more(50).await?;
            role.process.stop().await;
            role.restart().await;
            restarts += 1;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(Outcome::new(format!("{restarts} orderly restarts"), run.finish().await?))
}
