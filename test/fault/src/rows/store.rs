//! The object store fails in every way it can.

pub(super) mod bodies;
pub(super) mod conflict;
pub(super) mod errors;
pub(super) mod full;
pub(super) mod killed;
pub(super) mod late;
pub(super) mod lost_reply;
pub(super) mod unconditional;

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::prelude::*;

use crate::lab::Lab;
use crate::load::Plan;
use crate::proxy::{S3Fault, S3Proxy};
use crate::rows::Outcome;
use crate::servers::local;
use crate::stack::{Stack, Wanted};

/// How many requests must be struck before a row trusts its verdict.
const ENOUGH: u64 = 10;

/// The roles on a store behind a proxy.
async fn behind(lab: &mut Lab) -> Result<(S3Proxy, Stack)> {
    let servers = lab.servers().await?;
    let proxy = S3Proxy::start(local(servers.minio.port), lab.random.random()).await?;
    let stack = lab.stack(&Wanted::default().with("S3_ENDPOINT", proxy.url())).await?;
    Ok((proxy, stack))
}

/// Under load, `faults` (each with the keys it is for and the share of requests it strikes) until enough has been struck;
/// with `restarts`, processor and query service are killed and started amid them, so that everything is read again.
async fn strike(lab: &mut Lab, faults: &[(S3Fault, &str, f64)], restarts: bool) -> Result<Outcome> {
    let (proxy, mut stack) = behind(lab).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    // Several flushes, so that there is something to be read.
    run.more(200).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (fault, key, share) in faults {
        proxy.add(*fault, key, *share, u64::MAX);
    }
    let seconds = if lab.is_short { 8 } else { 40 };
    let mut waited = 0;
    while waited < seconds || (proxy.fired() < ENOUGH && waited < 120) {
        run.more(10).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        waited += 1;
        if restarts && waited % 12 == 6 {
            for role in [&mut stack.processors[0], &mut stack.queries[0]] {
                role.process.kill();
                role.start_again();
            }
        }
        // A start that meets the fault may refuse; whoever supervises it starts it again.
        for role in stack.processors.iter_mut().chain(&mut stack.queries) {
            if role.process.ended().is_some() {
                role.start_again();
            }
        }
    }
    proxy.heal();
    for role in stack.processors.iter_mut().chain(&mut stack.queries) {
        if role.process.ended().is_some() {
            role.start_again();
        }
    }
    let (fired, requests) = (proxy.fired(), proxy.requests());
    ensure!(fired >= ENOUGH, "only {fired} of {requests} requests were struck");
    let verdict = run.finish().await?;
    Ok(Outcome::new(format!("{fired} of {requests} requests struck"), verdict))
}
