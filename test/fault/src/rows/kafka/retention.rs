//! Retention deletes what a stopped processor has not consumed. It halts and says so, and answers say what they lack; told to
//! give the lost records up, it goes on, and answers name the gap.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::admin::Admin;
use crate::entry::Returned;
use crate::judge::{Extent, judge};
use crate::lab::Lab;
use crate::load::Plan;
use crate::read::{Reader, Said};
use crate::rows::{Outcome, wait};
use crate::run::{Run, Verdict};
use crate::stack::{Wanted, metric};

const HALTED: &str = "loglake_partition_halted";
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut stack = lab.stack(&Wanted::default()).await?;
    let admin = Admin::new(&stack.servers.kafka.address(), &stack.topic)?;
    let mut run = lab.begin(&stack.site(), Plan::default());
    run.more(500).await?;
    // What is not flushed by then is what gets lost.
    stack.processors[0].process.kill();
    run.more(300).await?;
    run.stop_load().await;
    admin.delete_records().await?;

    stack.processors[0].start_again();
    wait::metrics(&stack.processors, HALTED, "lost_records", PATIENCE, |count| count >= 4.0).await?;
    ensure!(stack.processors[0].process.said().contains("partition halted"), "the log says so");
    let reader = Reader::new(&run.site);
    for tenant in run.ledger.tenants() {
        match reader.page(0, tenant, &json!({"limit": 10})).await {
            Said::Page { is_complete: false, .. } | Said::Error(_) => {}
            other => bail!("while it stands still answers cannot be complete: {other:?}"),
        }
    }

    // The decision.
    stack.processors[0].process.kill();
    stack.processors[0].set("LOGLAKE_PROCESSOR_ON_LOST_RECORDS", "gap");
    stack.processors[0].restart().await;
    wait::metrics(&stack.processors, HALTED, "", PATIENCE, |count| count == 0.0).await?;
    let given_up = metric(&stack.processors[0].metrics, "loglake_gap_offsets_total", "").await?;
    ensure!(given_up > 0.0, "offsets were given up");
    let lost = forget_lost(&run, &reader).await?;
    ensure!(lost > 0, "{given_up} offsets were given up, and no record is lost");

    // From here on nothing may be lost again.
    run.start_load();
    run.more(500).await?;
    run.stop_load().await;
    let mut verdict = Verdict::default();
    (verdict.sent, verdict.acknowledged) = run.ledger.counts();
    verdict.resent = run.ledger.resent();
    ensure!(run.ledger.complaints().is_empty(), "a writer: {:?}", run.ledger.complaints());
    for (tenant, name) in run.ledger.tenants().iter().enumerate() {
        let items = all(&reader, name).await?;
        let wrong = judge(&run.ledger, tenant, &items, false, Extent::All);
        ensure!(wrong.is_empty(), "{name}: {} wrong, such as {}", wrong.len(), wrong[0]);
        verdict.returned += items.len() as u64;
    }
    let fired = format!("4 partitions halted: lost_records; {given_up} offsets given up");
    Ok(Outcome::new(fired, verdict).noting(format!("{lost} acknowledged records are gone, as Kafka was told")))
}

/// Takes what does not come back any more as never acknowledged. Returns how many records that are.
async fn forget_lost(run: &Run, reader: &Reader) -> Result<usize> {
    let mut there = HashSet::new();
    for name in run.ledger.tenants() {
        let items = all(reader, name).await?;
        there.extend(items.iter().filter_map(|item| Some(Returned::read(name, item)?.number)));
    }
    let mut lost = 0;
    for (number, entry) in run.ledger.entries().iter_mut().enumerate() {
        if entry.acknowledged.is_some() && !there.contains(&(number as u64)) {
            entry.acknowledged = None;
            lost += 1;
        }
    }
    Ok(lost)
}

/// All records of a tenant, out of answers that must say that a gap is missing, and nothing else.
async fn all(reader: &Reader, tenant: &str) -> Result<Vec<Value>> {
    let mut body = json!({"limit": 1000});
    let mut all = Vec::new();
    loop {
        match reader.page(0, tenant, &body).await {
            Said::Page { items, cursor, is_complete, missing } => {
                let reasons = missing.as_array().into_iter().flatten().map(Value::to_string);
                let others: Vec<String> = reasons.filter(|missing| !missing.contains("given_up_at")).collect();
                ensure!(others.is_empty(), "{others:?} is missing, too");
                ensure!(!is_complete, "an answer over a gap says that it is complete");
                all.extend(items);
                match cursor {
                    Some(cursor) => body["cursor"] = json!(cursor),
                    None => return Ok(all),
                }
            }
            other => bail!("{other:?}"),
        }
    }
}
