//! Kafka comes back with less than it had: its folder is restored from an older copy. Processors halt and say so instead of
//! taking offsets that are given away a second time; what was flushed is read as before. With the right folder all goes on.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::admin::Admin;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;

const HALTED: &str = "loglake_partition_halted";

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut stack = lab.stack(&Wanted::default().of(1, 1, 1)).await?;
    let admin = Admin::new(&stack.servers.kafka.address(), &stack.topic)?;
    let mut run = lab.begin(&stack.site(), Plan::default());
    run.more(300).await?;
    let (servers, folder) = (Arc::clone(&stack.servers), lab.folder().to_owned());
    let data = servers.kafka.dir().join("data");
    let (older, newer) = (folder.join("older"), folder.join("newer"));
    let copy = |from: &Path, to: &Path| {
        let done = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
        ensure!(done.success(), "cp {} {}", from.display(), to.display());
        anyhow::Ok(())
    };
    // An orderly stop between load and load: the older copy is a sound one.
    run.stop_load().await;
    servers.kafka.stop();
    copy(&data, &older)?;
    start(&servers).await?;
    run.start_load();
    run.more(500).await?;
    // All of it is flushed: what Kafka loses is in the bucket.
    run.stop_load().await;
    let latest: i64 = admin.ends()?.iter().map(|(_, latest)| latest).sum();
    let committed = "loglake_process_committed";
    wait::metrics(&stack.processors, committed, "", Duration::from_secs(60), |sum| sum == latest as f64).await?;
    stack.processors[0].process.stop().await;

    servers.kafka.stop();
    std::fs::rename(&data, &newer)?;
    copy(&older, &data)?;
    start(&servers).await?;
    stack.processors[0].start_again();
    // An election may take a minute; only then it is no passing thing.
    let patience = Duration::from_secs(120);
    let halted = wait::metrics(&stack.processors, HALTED, "truncated", patience, |count| count >= 1.0).await;
    halted.with_context(|| stack.processors[0].process.log_text())?;
    let halted = wait::sum(&stack.processors, HALTED, "truncated").await;
    ensure!(stack.processors[0].process.said().contains("partition halted"), "the log says so");

    servers.kafka.kill();
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&newer, &data)?;
    start(&servers).await?;
    wait::metrics(&stack.processors, HALTED, "", Duration::from_secs(60), |count| count == 0.0).await?;
    run.start_load();
    run.more(200).await?;
    Ok(Outcome::new(format!("{halted} partitions halted: truncated"), run.finish().await?))
}

async fn start(servers: &Arc<crate::servers::Servers>) -> Result<()> {
    let servers = Arc::clone(servers);
    Ok(tokio::task::spawn_blocking(move || servers.kafka.start_again()).await?)
}
