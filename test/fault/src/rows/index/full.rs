//! Redis is out of memory and evicts nothing: flushes cannot be applied; nothing is lost, and with room they are.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::servers::redis_cli;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let stack = lab.stack(&Wanted::default()).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    run.more(200).await?;
    let port = stack.servers.redis.port;
    redis_cli(port, &["config", "resetstat"])?;
    redis_cli(port, &["config", "set", "maxmemory", "1"])?;
    for _ in 0..if lab.is_short { 8 } else { 40 } {
        run.more(20).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let said = redis_cli(port, &["info", "errorstats"])?;
    redis_cli(port, &["config", "set", "maxmemory", "0"])?;
    let refused = said.lines().find(|line| line.contains("OOM")).unwrap_or_default().trim().to_owned();
    ensure!(!refused.is_empty(), "Redis refused nothing: {said}");
    Ok(Outcome::new(refused, run.finish().await?))
}
