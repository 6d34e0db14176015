//! Event times of 1970, of anywhere since, and of up to 2262: those of the far future are refused one by one, all others
//! kept; every flush is of many chunks, and memory stays bounded.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::{Plan, Times};
use crate::rows::Outcome;
use crate::site::Site;
use crate::stack::metric;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let dev = lab.dev(&[("LOGLAKE_PROCESSOR_MAX_OPEN_CHUNKS", "200")]).await;
    let plan = Plan { times: Times::Wild, batch: 1..10, watch_pause: Duration::from_secs(1), ..Plan::default() };
    let run = lab.begin(&Site::of_dev(&dev), plan);
    run.more(if lab.is_short { 400 } else { 4_000 }).await?;
    let verdict = run.finish().await?;
    ensure!(verdict.returned > 100, "only {} records were stored", verdict.returned);
    let status = std::fs::read_to_string(format!("/proc/{}/status", dev.process.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned();
    let refused =
        metric(&format!("http://127.0.0.1:{}", dev.ports.metrics[0]), "loglake_ingest_refused_records_total", "")
            .await?;
    ensure!(refused > 0.0, "no time of the far future was refused");
    Ok(Outcome::new(format!("times since 1970 stored, {refused} of the far future refused"), verdict)
        .noting(format!("peak of memory {peak}")))
}
