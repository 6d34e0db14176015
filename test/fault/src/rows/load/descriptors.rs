//! 256 file descriptors, and more connections than that: it goes on, and when they are gone it serves as before.

use std::time::Duration;

use anyhow::{Result, ensure};
use loglake_integration::Dev;

use super::connect;
use crate::lab::{DEV, Lab};
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut dev = Dev::launch(&["prlimit", "--nofile=256:256"], &lab.folder().join("data"), &DEV);
    dev.wait_ready().await;
    let run = lab.begin(&Site::of_dev(&dev), Plan::default());
    run.more(200).await?;
    let descriptors = format!("/proc/{}/fd", dev.process.id());
    let mut most = 0;
    for _ in 0..if lab.is_short { 2 } else { 10 } {
        let mut held = Vec::new();
        for at in 0..400 {
            let url = if at % 2 == 0 { dev.ports.query_url() } else { dev.ports.ingest_url() };
            if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), connect(&url)).await {
                held.push(stream);
            }
        }
        most = most.max(std::fs::read_dir(&descriptors)?.count());
        tokio::time::sleep(Duration::from_secs(4)).await;
        ensure!(dev.process.ended().is_none(), "it ended:\n{}", dev.process.log_text());
        most = most.max(std::fs::read_dir(&descriptors)?.count());
        drop(held);
        tokio::time::sleep(Duration::from_secs(1)).await;
        run.more(50).await?;
    }
    ensure!(most >= 250, "only {most} descriptors were in use");
    let verdict = run.finish().await?;
    Ok(Outcome::new(format!("{most} of 256 descriptors in use"), verdict))
}
