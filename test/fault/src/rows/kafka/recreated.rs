//! The topic is deleted and made anew under the roles: what runs stands still and says why, and never takes the new
//! records for the old ones. Nothing starts again before that is accepted; then the roles go on with the new topic, and what
//! was flushed of the old one is still there.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::admin::Admin;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut stack = lab.stack(&Wanted::default().of(1, 2, 1)).await?;
    let admin = Admin::new(&stack.servers.kafka.address(), &stack.topic)?;
    let mut run = lab.begin(&stack.site(), Plan::default());
    run.more(500).await?;
    // What is not flushed goes with the topic; so all of it is flushed, by an orderly stop.
    run.stop_load().await;
    for processor in &mut stack.processors {
        processor.process.stop().await;
    }
    for processor in &mut stack.processors {
        processor.restart().await;
    }
    admin.recreate(4).await?;
    let halted = "loglake_partition_halted";
    let reason = "reason=\"topic_recreated\"";
    wait::metrics(&stack.processors, halted, reason, PATIENCE, |count| count >= 4.0).await?;
    for processor in &stack.processors {
        ensure!(processor.process.said().contains("partition halted"), "the log says so");
    }

    // What ingestors put into the new topic meanwhile waits there for its first processors.
    run.start_load();
    tokio::time::sleep(Duration::from_secs(5)).await;
    run.stop_load().await;

    // The operator restarts everything.
    for role in stack.ingestors.iter_mut().chain(&mut stack.processors).chain(&mut stack.queries) {
        role.process.kill();
        role.set("LOGLAKE_BROKER_ACCEPT_NEW_TOPIC", "false");
    }
    // Without a decision nothing starts.
    let processor = &mut stack.processors[0];
    processor.start_again();
    let ended = wait::until("the processor refuses to start", PATIENCE, || processor.process.ended().is_some()).await;
    ended.with_context(|| processor.process.log_text())?;
    ensure!(processor.process.ended().is_some_and(|status| !status.success()), "it ended as if all were well");
    let said = processor.process.said();
    ensure!(said.contains("accept_new_topic"), "it does not say what to decide: {said}");
    for role in stack.ingestors.iter_mut().chain(&mut stack.processors).chain(&mut stack.queries) {
        role.set("LOGLAKE_BROKER_ACCEPT_NEW_TOPIC", "true");
    }
    for role in stack.ingestors.iter_mut().chain(&mut stack.processors).chain(&mut stack.queries) {
        role.start_again();
    }
    for role in stack.ingestors.iter_mut().chain(&mut stack.processors).chain(&mut stack.queries) {
        role.wait_ready().await;
    }
    run.start_load();
    run.more(500).await?;
    Ok(Outcome::new("4 partitions halted: topic_recreated", run.finish().await?))
}
