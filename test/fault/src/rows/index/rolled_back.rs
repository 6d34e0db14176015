//! A failover that loses the last seconds: Redis comes back with what it held some flushes ago. Everybody finds the index
//! behind its chain and brings it up to date.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::servers::{pid, signal};
use crate::stack::{Wanted, metric};

/// Offsets that lie in chunks.
const COMMITTED: &str = "loglake_process_committed";

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let stack = lab.stack(&Wanted::default()).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    let redis = &stack.servers.redis;
    let turns = if lab.is_short { 1 } else { 4 };
    let mut behind = 0;
    for turn in 0..turns {
        run.more(100).await?;
        tokio::time::sleep(Duration::from_secs(4)).await;
        // What the replica has.
        let copy = lab.folder().join(format!("replica-{turn}"));
        copy_folder(&redis.dir().join("appendonlydir"), &copy)?;
        let before = metric(&stack.processors[0].metrics, COMMITTED, "").await?;
        run.more(100).await?;
        tokio::time::sleep(Duration::from_secs(6)).await;
        let after = metric(&stack.processors[0].metrics, COMMITTED, "").await?;
        ensure!(before < after, "nothing was flushed in between: {before} to {after}");
        signal(pid(redis, "redis.pid")?, "KILL")?;
        std::fs::remove_dir_all(redis.dir().join("appendonlydir"))?;
        copy_folder(&copy, &redis.dir().join("appendonlydir"))?;
        redis.start_again();
        behind += 1;
    }
    Ok(Outcome::new(format!("{behind} times back by some flushes"), run.finish().await?))
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status()?;
    ensure!(status.success(), "cp of {}", from.display());
    Ok(())
}
