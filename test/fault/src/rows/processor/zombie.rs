//! A processor stands still right before it claims an entry, for longer than its session: another one takes its partitions
//! over. It wakes up while the new owner flushes; and again after its number was folded and swept away, so that its claim
//! finds nothing at that key. Either way it loses the claim, or hears before that the partition is gone.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let rounds = if lab.is_short { 2 } else { 8 };
    let wanted = Wanted::default().of(1, 2, 1).with("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s");
    let wanted = wanted.with("LOGLAKE_PROCESSOR_FOLD_ENTRIES", "3").with("LOGLAKE_PROCESSOR_FOLD_GRACE", "0s");
    let mut stack = lab.stack(&wanted).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    let (mut lost, mut folded) = (0, 0);
    for round in 0..rounds {
        let (zombie, other) = (round % 2, 1 - round % 2);
        let is_folded = round % 4 >= 2;
        // Each claim of the new owner takes a while: the zombie wakes up within one.
        for (who, rule) in [(zombie, "claim.begun=stop@4"), (other, "claim.begun=sleep(150)@1+")] {
            stack.processors[who].process.kill();
            stack.processors[who].set("LOGLAKE_FAILPOINTS", rule);
            stack.processors[who].start_again();
        }
        let pid = stack.processors[zombie].process.id();
        wait::said(&stack.processors[zombie], "failpoint claim.begun hit 4: stop", PATIENCE).await?;
        wait::until("it stands still", PATIENCE, || wait::state(pid) == 'T').await?;
        // All partitions are the other one's now.
        let name = "loglake_process_partitions";
        let others = &stack.processors[other..=other];
        wait::metrics(others, name, "", PATIENCE, |count| count == 4.0).await?;
        let flushes = wait::sum(others, "loglake_process_claims_total", "won").await;
        // Two entries a partition at least; folded: so many that every number of then is below a checkpoint, and swept.
        let more = if is_folded { 60.0 } else { 8.0 };
        let claims = "loglake_process_claims_total";
        wait::metrics(others, claims, "won", PATIENCE, |count| count >= flushes + more).await?;
        // Within a flush: it has just said that it sleeps.
        let said = stack.processors[other].process.said().matches("claim.begun hit").count();
        let has_begun = || stack.processors[other].process.said().matches("claim.begun hit").count() > said;
        wait::until("the new owner flushes", PATIENCE, has_begun).await?;
        stack.processors[zombie].process.signal("CONT");
        ensure!(wait::state(pid) != '?', "the zombie lives");
        // Its claim is refused, or it hears that the partition is gone before it has an answer, and drops it.
        let process = &stack.processors[zombie].process;
        let is_beaten = || process.said().contains("claim lost") || process.said().contains("partitions revoked");
        let beaten = wait::until("the zombie says that it is beaten", PATIENCE, is_beaten).await;
        beaten.with_context(|| process.log_text())?;
        // What it says of the claim comes within moments, if at all.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let said = process.said();
        lost += usize::from(said.contains("claim lost"));
        folded += usize::from(said.contains("the chain is folded past it"));
        run.more(100).await?;
    }
    ensure!(lab.is_short || lost > 0, "no zombie came so far as to lose a claim");
    for processor in &mut stack.processors {
        processor.wait_ready().await;
    }
    Ok(Outcome::new(format!("{rounds} zombies; {lost} lost a claim, {folded} to a fold"), run.finish().await?))
}
