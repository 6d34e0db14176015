//! Fewer replicas in sync than the topic asks for: what the leader alone has is not acknowledged.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::cluster::Cluster;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let folder = lab.folder().to_owned();
    // Of two replicas both must be in sync: one broker less, and two thirds of the partitions take nothing.
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&folder, &["min.insync.replicas=2"])).await??;
    let wanted = Wanted::default().of(1, 1, 1);
    let wanted = wanted.with("KAFKA_BROKERS", cluster.addresses()).with("LOGLAKE_BROKER_REPLICATION", "2");
    let stack = lab.stack(&wanted.with("LOGLAKE_BROKER_PARTITIONS", "6")).await?;
    let run = lab.begin(&stack.site(), Plan { patience: Duration::from_secs(5), ..Plan::default() });
    run.more(500).await?;
    cluster.brokers[2].kill();
    let failures = "loglake_ingest_append_failures_total";
    wait::metrics(&stack.ingestors, failures, "", Duration::from_secs(90), |failed| failed >= 5.0).await?;
    let failed = wait::sum(&stack.ingestors, failures, "").await;
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.brokers[2].start_again();
        cluster
    })
    .await?;
    run.more(500).await?;
    let verdict = run.finish().await?;
    ensure!(verdict.sent > verdict.acknowledged, "something was not acknowledged: {verdict:?}");
    drop(stack);
    drop(cluster);
    Ok(Outcome::new(format!("{failed} appends refused for want of replicas"), verdict))
}
