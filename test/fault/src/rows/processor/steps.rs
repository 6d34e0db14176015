//! kill -9 of one of two processors at every step between poll and apply, and of what it does beside: by fail-points.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::servers::redis_cli;
use crate::stack::Wanted;

/// How long a processor may take until it reaches its end: before it has partitions the other one's session must end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The steps, and at which hit the process dies.
const STEPS: [(&str, u64); 32] = [
    ("takeover.chain_read", 1),
    ("takeover.caught_up", 1),
    ("takeover.caught_up", 2),
    ("takeover.opened", 1),
    ("takeover.leased", 2),
    ("worker.fetched", 1),
    ("worker.fetched", 5),
    ("worker.held", 1),
    ("worker.held", 5),
    ("flush.begun", 1),
    ("flush.begun", 3),
    ("flush.chunk_built", 2),
    ("flush.chunk_put", 1),
    ("flush.chunk_put", 2),
    ("flush.chunk_put", 5),
    ("flush.chunks_put", 1),
    ("flush.chunks_put", 3),
    ("claim.begun", 1),
    ("claim.begun", 3),
    ("claim.created", 1),
    ("claim.created", 3),
    ("flush.won", 1),
    ("flush.won", 3),
    ("index.entry_applied", 1),
    ("flush.applied", 1),
    ("flush.committed", 1),
    ("flush.trimmed", 2),
    ("index.rebuilding", 1),
    ("index.rebuilt", 1),
    ("fold.segment_put", 1),
    ("fold.checkpoint_created", 1),
    ("sweep.object_deleted", 2),
];

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let wanted = Wanted::default().of(1, 2, 1);
    let wanted = wanted.with("LOGLAKE_PROCESSOR_FOLD_ENTRIES", "3").with("LOGLAKE_PROCESSOR_FOLD_GRACE", "0s");
    let mut stack = lab.stack(&wanted.with("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s")).await?;
    let plan = Plan { watch_pause: Duration::from_millis(500), pause: Duration::from_millis(100), ..Plan::default() };
    let run = lab.begin(&stack.site(), plan);
    let steps = if lab.is_short { &STEPS[17..21] } else { &STEPS[..] };
    for (turn, (point, hit)) in steps.iter().enumerate() {
        let processor = turn % 2;
        run.more(20).await.with_context(|| format!("before {point}"))?;
        stack.processors[processor].process.kill();
        match *point {
            // Somebody dies between claim and apply, and the next one finds the index behind.
            "index.entry_applied" => {
                stack.processors[processor].set("LOGLAKE_FAILPOINTS", "flush.won=kill@1");
                stack.processors[processor].start_again();
                stack.processors[processor].process.killed_at("failpoint flush.won hit 1: kill", PATIENCE).await;
                // Only who takes the partition over applies it, so there is nobody else.
                stack.processors[1 - processor].process.kill();
            }
            "index.rebuilding" | "index.rebuilt" => {
                stack.processors[1 - processor].process.kill();
                redis_cli(stack.servers.redis.port, &["-n", &stack.database.to_string(), "flushdb"])?;
            }
            _ => {}
        }
        stack.processors[processor].set("LOGLAKE_FAILPOINTS", &format!("{point}=kill@{hit}"));
        stack.processors[processor].start_again();
        stack.processors[processor].process.killed_at(&format!("failpoint {point} hit {hit}: kill"), PATIENCE).await;
        for one in &mut stack.processors {
            if one.process.ended().is_some() {
                one.set("LOGLAKE_FAILPOINTS", "");
                one.start_again();
            }
        }
    }
    for processor in &mut stack.processors {
        processor.wait_ready().await;
    }
    Ok(Outcome::new(format!("killed at {} steps", steps.len()), run.finish().await?))
}
