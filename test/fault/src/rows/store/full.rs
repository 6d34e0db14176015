//! The store has no room left: flushes wait, writes and reads go on, and with room again everything is flushed.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::behind;
use crate::lab::Lab;
use crate::load::Plan;
use crate::proxy::S3Fault;
use crate::rows::Outcome;
use crate::stack::metric;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let (proxy, stack) = behind(lab).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    run.more(300).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // MinIO's own answer to PUT on a full drive: 507 XMinioStorageFull.
    proxy.add(S3Fault::AnswerPut(507), "/", 1.0, u64::MAX);
    for _ in 0..if lab.is_short { 8 } else { 40 } {
        run.more(20).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let fired = proxy.fired();
    ensure!(fired > 5, "only {fired} PUTs were refused");
    let before = metric(&stack.processors[0].metrics, "loglake_process_flushes_total", "").await?;
    proxy.heal();
    let verdict = run.finish().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = metric(&stack.processors[0].metrics, "loglake_process_flushes_total", "").await?;
    ensure!(after > before, "nothing was flushed after there was room again");
    Ok(Outcome::new(format!("{fired} PUTs answered 507"), verdict))
}
