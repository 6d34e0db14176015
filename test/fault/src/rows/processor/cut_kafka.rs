//! A processor is cut from Kafka alone (a proxy): it loses its session; another one takes over; it comes back.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::proxy::Tcp;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let rounds = if lab.is_short { 1 } else { 4 };
    let mut stack = lab.stack(&Wanted::default()).await?;
    let proxied = stack.servers.kafka_proxy.address.to_string();
    stack.add_with("processor", &[("KAFKA_BROKERS", proxied.as_str())]);
    stack.processors[1].wait_ready().await;
    let run = lab.begin(&stack.site(), Plan::default());
    let proxy = &stack.servers.kafka_proxy;
    let name = "loglake_process_partitions";
    for round in 0..rounds {
        run.more(200).await?;
        let [direct, cut] = [&stack.processors[..1], &stack.processors[1..2]];
        wait::metrics(cut, name, "", PATIENCE, |count| count > 0.0).await?;
        let before = proxy.fired();
        proxy.set(if round % 2 == 0 { Tcp::BlackHole } else { Tcp::Reset });
        // The other one has them all, while this one may still believe that it has some.
        wait::metrics(direct, name, "", PATIENCE, |count| count == 4.0).await?;
        run.more(200).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        ensure!(proxy.fired() > before, "the connection was cut");
        proxy.set(Tcp::Pass);
        run.more(200).await?;
    }
    wait::metrics(&stack.processors[1..2], name, "", PATIENCE, |count| count > 0.0).await?;
    let fired = proxy.fired();
    Ok(Outcome::new(format!("cut {rounds} times, {fired} pieces or connections held or reset"), run.finish().await?))
}
