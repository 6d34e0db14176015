//! Folds a partition's chain while this process owns it, and sweeps what is folded. One at a time, apart from flushes; a crash
//! anywhere is harmless, and so is another owner that does the same (see `loglake-commit`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use loglake_commit::{Chain, Fold};
use loglake_model::failpoint;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Error;
use crate::shared::Shared;

/// How long a folder that failed waits before it tries again.
const WAIT: Duration = Duration::from_secs(30);

/// What is folded of a partition's chain, and since when.
pub(crate) struct Folder {
    shared: Arc<Shared>,
    chain: Chain,
    /// The number of the newest checkpoint known.
    newest: u64,
    /// Checkpoints whose entries are not swept yet, ascending, with when each was first seen.
    unswept: VecDeque<(u64, Instant)>,
}

impl Folder {
    /// A folder of `chain`, which is folded up to `newest` (0: not at all).
    pub(crate) fn new(shared: Arc<Shared>, chain: Chain, newest: u64) -> Self {
        let unswept = (newest > 0).then(|| (newest, Instant::now())).into_iter().collect();
        Self { shared, chain, newest, unswept }
    }

    /// Folds each time that `committed`, the seq of the chain's tail, has gone far enough. Never ends.
    pub(crate) async fn run(mut self, mut committed: watch::Receiver<u64>) {
        loop {
            let tail = *committed.borrow_and_update();
            match self.step(tail).await {
                Ok(()) => {}
                Err(error) => {
                    let partition = self.chain.partition();
                    self.shared.metrics.folds.with_label_values(&["failed"]).inc();
                    tracing::warn!(partition, %error, "chain not folded or swept, trying again later");
                    tokio::time::sleep(WAIT).await;
                    continue;
                }
            }
            let sweep_at = self.unswept.front().map(|(_, since)| *since + self.shared.config.fold_grace);
            tokio::select! {
                biased;
                changed = committed.changed() => if changed.is_err() { return },
                () = sleep_until(sweep_at) => {}
            }
        }
    }

    async fn step(&mut self, tail: u64) -> Result<(), Error> {
        if tail.saturating_sub(self.newest) >= self.shared.config.fold_entries {
            self.fold().await?;
        }
        let grace = self.shared.config.fold_grace;
        let due = self.unswept.iter().take_while(|(_, since)| since.elapsed() >= grace).last().copied();
        if let Some((up_to, _)) = due {
            let swept = self.chain.sweep(up_to).await?;
            failpoint!("sweep.done");
            self.unswept.retain(|(seq, _)| *seq > up_to);
            let objects = swept.entries + swept.checkpoints + swept.segments;
            self.shared.metrics.swept.inc_by(objects as u64);
            tracing::debug!(partition = self.chain.partition(), up_to, objects, "chain swept");
        }
        Ok(())
    }

    async fn fold(&mut self) -> Result<(), Error> {
        let partition = self.chain.partition();
        let started = Instant::now();
        let nonce = (self.shared.nonce)();
        let fold = Fold {
            nonce: &nonce,
            // Before the chain is read: what is told of it stays true.
            applied: self.shared.index.watermark(partition).await?.map(|watermark| watermark.seq),
            now_ns: self.shared.clock.now_ns(),
            removed_grace: self.shared.config.removed_grace,
        };
        if let Some(folded) = self.chain.fold(&fold).await? {
            self.newest = folded.seq;
            self.shared.metrics.folds.with_label_values(&["done"]).inc();
            tracing::info!(
                partition,
                seq = folded.seq,
                segments = folded.segments,
                reused = folded.reused,
                deleted = folded.deleted,
                duration_ms = started.elapsed().as_millis() as u64,
                "chain folded"
            );
        } else {
            // Another owner was faster.
            self.newest = self.chain.checkpoints().await?.pop().unwrap_or(self.newest);
        }
        self.unswept.push_back((self.newest, Instant::now()));
        Ok(())
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
