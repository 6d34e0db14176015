//! Kafka is killed and stays away for two minutes: past delivery time-outs, sessions and clients' patience.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let away = if lab.is_short { 35 } else { 120 };
    let stack = lab.stack(&Wanted::default().of(1, 2, 1)).await?;
    // Clients who wait longer than an append is tried: they are told that it failed.
    let run = lab.begin(&stack.site(), Plan { patience: Duration::from_secs(45), ..Plan::default() });
    run.more(500).await?;
    stack.servers.kafka.kill();
    // What was on its way when it died may have been answered.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = run.acknowledged();
    tokio::time::sleep(Duration::from_secs(away)).await;
    let meanwhile = run.acknowledged() - before;
    ensure!(meanwhile == 0, "{meanwhile} records were acknowledged by a broker that is away");
    let failures = wait::sum(&stack.ingestors, "loglake_ingest_append_failures_total", "").await;
    ensure!(failures > 0.0, "appends failed meanwhile");
    let servers = std::sync::Arc::clone(&stack.servers);
    tokio::task::spawn_blocking(move || servers.kafka.start_again()).await?;
    run.more(200).await?;
    Ok(Outcome::new(format!("{away} s without Kafka, {failures} appends failed"), run.finish().await?))
}
