//! One broker of three dies and comes back, then the next: leaders move, nothing stops for long.

use std::time::Duration;

use anyhow::Result;

use super::cluster::Cluster;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let folder = lab.folder().to_owned();
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&folder, &[])).await??;
    let wanted = Wanted::default().of(2, 2, 1);
    let wanted = wanted.with("KAFKA_BROKERS", cluster.addresses()).with("LOGLAKE_BROKER_REPLICATION", "3");
    let stack = lab.stack(&wanted).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    let rounds = if lab.is_short { 1 } else { 3 };
    let mut cluster = cluster;
    for round in 0..rounds {
        run.more(300).await?;
        cluster.brokers[round % 3].kill();
        // The other two have all that was acknowledged, and take more.
        run.more(300).await?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        run.more(300).await?;
        cluster = tokio::task::spawn_blocking(move || {
            cluster.brokers[round % 3].start_again();
            cluster
        })
        .await?;
        // Its replicas catch up before the next one dies.
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let verdict = run.finish().await?;
    drop(stack);
    Ok(Outcome::new(format!("{rounds} brokers of three killed, one after the other"), verdict))
}
