//! FLUSHALL under queries, several times: the index is rebuilt from the chains, and nobody takes an empty one for the truth.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::prelude::*;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::servers::redis_cli;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let stack = lab.stack(&Wanted::default().of(1, 2, 2)).await?;
    let run = lab.begin(&stack.site(), Plan { watch_pause: Duration::ZERO, ..Plan::default() });
    let port = stack.servers.redis.port;
    let database = stack.database.to_string();
    let turns = if lab.is_short { 4 } else { 30 };
    let mut lost = 0;
    for _ in 0..turns {
        run.more(100).await?;
        tokio::time::sleep(Duration::from_millis(lab.random.random_range(500..3_000))).await;
        lost += redis_cli(port, &["-n", &database, "dbsize"])?.parse::<u64>()?;
        redis_cli(port, &["flushall"])?;
    }
    ensure!(lost > 0, "there was nothing in the index");
    Ok(Outcome::new(format!("{turns} FLUSHALL, {lost} keys gone"), run.finish().await?))
}
