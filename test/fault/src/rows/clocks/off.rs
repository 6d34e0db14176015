//! Every role's clock is off by minutes, each by others. (By more than 15 S3 refuses the signature, whoever is right.)

use std::time::Duration;

use anyhow::{Result, ensure};

use super::faketime;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let library = faketime()?.display().to_string();
    let mut stack = lab.stack(&Wanted::default().of(0, 0, 0)).await?;
    for (role, offset) in [
        ("ingestor", "+12m"),
        ("ingestor", "-12m"),
        ("processor", "-12m"),
        ("processor", "+12m"),
        ("query", "+12m"),
        ("query", "-12m"),
    ] {
        let env = [("LD_PRELOAD", &*library), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        stack.add_with(role, &env);
    }
    for role in stack.ingestors.iter_mut().chain(&mut stack.processors).chain(&mut stack.queries) {
        role.wait_ready().await;
    }
    let run = lab.begin(&stack.site(), Plan::default());
    for turn in 0..if lab.is_short { 1 } else { 4 } {
        run.more(300).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        stack.processors[turn % 2].process.kill();
        stack.processors[turn % 2].restart().await;
    }
    let mut maps = 0;
    for role in stack.ingestors.iter().chain(&stack.processors).chain(&stack.queries) {
        let map = std::fs::read_to_string(format!("/proc/{}/maps", role.process.id()))?;
        maps += usize::from(map.contains("libfaketime"));
    }
    ensure!(maps == 6, "{maps} of 6 roles have a wrong clock");
    Ok(Outcome::new("6 roles with clocks 12 minutes off, each way", run.finish().await?))
}
