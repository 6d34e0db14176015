//! Redis is stalled, longer than anybody waits for it, and goes on.

use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::servers::{pid, signal};
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let stack = lab.stack(&Wanted::default()).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    run.more(200).await?;
    let redis = pid(&stack.servers.redis, "redis.pid")?;
    signal(redis, "STOP")?;
    let stalled = Duration::from_secs(if lab.is_short { 8 } else { 30 });
    // Writes are acknowledged meanwhile.
    let written = run.more(200).await;
    tokio::time::sleep(stalled).await;
    let errors = run.watch_errors();
    signal(redis, "CONT")?;
    written?;
    let verdict = run.finish().await?;
    Ok(Outcome::new(format!("{stalled:?} stalled, {errors} queries without an answer"), verdict))
}
