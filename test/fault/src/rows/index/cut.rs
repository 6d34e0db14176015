//! Connections to Redis are cut in the middle of answers: no answer may be taken for another request's, least of all another
//! tenant's.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::prelude::*;

use crate::lab::Lab;
use crate::load::Plan;
use crate::proxy::{Tcp, TcpProxy};
use crate::rows::Outcome;
use crate::servers::{local, redis_cli};
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let servers = lab.servers().await?;
    let proxy = TcpProxy::start(0, local(servers.redis.port)).await?;
    // Behind the proxy the database is chosen as everywhere; a free one that no other row has now.
    let database = 15;
    redis_cli(servers.redis.port, &["-n", "15", "flushdb"])?;
    let address = format!("redis://{}/{database}", proxy.address);
    let stack = lab.stack(&Wanted::default().of(1, 1, 2).with("REDIS_ADDR", address)).await?;
    let run = lab.begin(&stack.site(), Plan { watch_pause: Duration::ZERO, ..Plan::default() });
    run.more(200).await?;
    let turns = if lab.is_short { 30 } else { 300 };
    for turn in 0..turns {
        let cut = match turn % 10 {
            9 => Tcp::Reset,
            8 => Tcp::Latency(Duration::from_millis(lab.random.random_range(1..400))),
            _ => Tcp::CutAfter(lab.random.random_range(0..3_000)),
        };
        proxy.set(cut);
        tokio::time::sleep(Duration::from_millis(lab.random.random_range(50..400))).await;
    }
    proxy.set(Tcp::Pass);
    let fired = proxy.fired();
    ensure!(fired > 20, "only {fired} connections were cut");
    Ok(Outcome::new(format!("{fired} cuts, resets and delays"), run.finish().await?))
}
