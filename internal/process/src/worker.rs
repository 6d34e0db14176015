use std::sync::Arc;
use std::time::Duration;

use loglake_commit::Chain;
use loglake_model::failpoint;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::Error;
use crate::flush::retry;
use crate::fold::Folder;
use crate::guard;
use crate::older;
use crate::serving::Serving;
use crate::sessions::Sessions;
use crate::shared::Shared;
use crate::tenure::{Ended, Tenure};

/// How often the index is looked at, and the lease renewed.
const UPKEEP: Duration = Duration::from_secs(1);
const LEASE_TTL: Duration = Duration::from_secs(10);
/// How long giving the lease back may take.
const RELEASE_WAIT: Duration = Duration::from_secs(1);
/// How often the topic's id is asked for.
const TOPIC_CHECK: Duration = Duration::from_secs(5);
/// How long a halted partition waits before it looks again.
const HALT_WAIT: Duration = Duration::from_secs(3);

/// Consumes, flushes and serves one assigned partition until it is revoked or the process ends.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) chain: Chain,
    /// The partition was taken away: stop at once.
    pub(crate) revoked: CancellationToken,
    /// The process ends: flush, then stop.
    pub(crate) shutdown: CancellationToken,
    /// Told once the tail is being served for the first time.
    pub(crate) started: Arc<watch::Sender<bool>>,
}

impl Worker {
    pub(crate) async fn run(self) {
        let partition = self.chain.partition();
        loop {
            let ended = tokio::select! {
                biased;
                () = self.revoked.cancelled() => Ok(Ended::Done),
                ended = self.tenure() => ended,
            };
            match ended {
                Ok(Ended::Done) => break,
                Ok(Ended::Lost) => {
                    self.shared.metrics.halt(partition, None);
                    tracing::warn!(partition, "chain moved by another writer, starting again from its tail");
                }
                Err(error) => {
                    let reason = error.halt_reason();
                    self.shared.metrics.halt(partition, Some(reason));
                    tracing::error!(partition, %error, reason, kind = %error.kind(), "partition halted");
                    tokio::select! {
                        biased;
                        () = self.revoked.cancelled() => break,
                        () = self.shutdown.cancelled() => break,
                        () = tokio::time::sleep(HALT_WAIT) => {}
                    }
                }
            }
        }
        self.shared.metrics.forget(partition);
        let lease = self.shared.lease_name(partition);
        // An index that does not answer must not hold up a rebalance: the lease ends by itself.
        match tokio::time::timeout(RELEASE_WAIT, self.shared.index.release(&lease, &self.shared.holder)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(partition, %error, "lease not released"),
            Err(_) => tracing::debug!(partition, "lease not released in time"),
        }
    }

    /// From the chain's tail until something ends it.
    async fn tenure(&self) -> Result<Ended, Error> {
        let taken = tokio::select! {
            biased;
            // Nothing is held yet: an orderly end needs no flush.
            () = self.shutdown.cancelled() => return Ok(Ended::Done),
            taken = self.take_over() => taken,
        };
        let mut tenure = taken?;
        let committed = tenure.committed.subscribe();
        let mut upkeep = AbortOnDropHandle::new(tokio::spawn(upkeep(
            Arc::clone(&self.shared),
            self.chain.clone(),
            committed.clone(),
        )));
        let folder = Folder::new(Arc::clone(&self.shared), self.chain.clone(), tenure.folded);
        let mut folding = AbortOnDropHandle::new(tokio::spawn(folder.run(committed)));
        let mut keeping =
            AbortOnDropHandle::new(tokio::spawn(older::keep(Arc::clone(&self.shared), self.chain.partition())));
        tokio::select! {
            biased;
            ended = tenure.run() => ended,
            // They do not end before the tenure does, unless they panic.
            ended = &mut upkeep => Err(ended_early("upkeep", ended)),
            ended = &mut folding => Err(ended_early("folding", ended)),
            ended = &mut keeping => Err(ended_early("keeping older indexes", ended)),
        }
    }

    /// Reads the chain, mends the index, opens the partition at the chain's tail and begins to serve.
    async fn take_over(&self) -> Result<Tenure<'_>, Error> {
        let shared = &self.shared;
        let partition = self.chain.partition();
        let (tail, folded, sessions) = loop {
            let state = retry(shared, "read_chain", || async { Ok(self.chain.read().await?) }).await?;
            let (read, folded, sessions) =
                (state.tail.clone(), state.checkpoint_seq(), Sessions::load(&state.sessions)?);
            drop(state);
            failpoint!("takeover.chain_read");
            retry(shared, "catch_up", || async {
                Ok(loglake_commit::catch_up(&self.chain, shared.index.as_ref()).await?)
            })
            .await?;
            failpoint!("takeover.caught_up");
            let tail = guard::align(shared, &self.chain, read.clone()).await?;
            // Records were given up, perhaps by another writer after a flush: the sessions must be those of the tail.
            if tail == read {
                break (tail, folded, sessions);
            }
        };
        // A partition without new records would keep the log's space for ever: marks do not outlive the process.
        shared.trim(partition, tail.next).await;
        let source = shared.consumer.open(partition, tail.next).await?;
        failpoint!("takeover.opened");
        let held = Serving::begin(shared, partition, tail.next);
        for gauge in [&shared.metrics.committed, &shared.metrics.position] {
            gauge.with_label_values(&[&partition.to_string()]).set(tail.next.cast_signed());
        }
        retry(shared, "lease", || async {
            let name = shared.lease_name(partition);
            Ok(shared.index.seize(&name, &shared.holder, &shared.advertise, LEASE_TTL).await?)
        })
        .await?;
        failpoint!("takeover.leased");
        shared.metrics.halt(partition, None);
        self.started.send_replace(true);
        tracing::info!(partition, seq = tail.seq, next = tail.next, "partition taken");
        Ok(Tenure::new(self, source, held, tail, folded, sessions))
    }

    /// Returns when the topic is no longer the one that this process started with.
    pub(crate) async fn topic_changed(&self) {
        loop {
            tokio::time::sleep(TOPIC_CHECK).await;
            if let Ok(topic) = self.shared.reader.topic().await
                && topic.id != self.shared.topic_id
            {
                return;
            }
        }
    }
}

/// Why a task that works beside a tenure is no longer there.
fn ended_early(task: &str, ended: Result<(), tokio::task::JoinError>) -> Error {
    match ended {
        Ok(()) => Error::Inconsistent(format!("the task {task} ended before its partition was given up")),
        Err(error) => Error::Task(error),
    }
}

/// Renews the lease and mends the index, apart from consuming so that neither waits for the other.
async fn upkeep(shared: Arc<Shared>, chain: Chain, committed: watch::Receiver<u64>) {
    let partition = chain.partition();
    let name = shared.lease_name(partition);
    let mut every = tokio::time::interval(UPKEEP);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match shared.index.acquire(&name, &shared.holder, &shared.advertise, LEASE_TTL).await {
            Ok(lease) if lease.holder != shared.holder => {
                tracing::debug!(partition, holder = lease.holder, "another process holds the lease");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(partition, %error, "lease not renewed"),
        }
        // Before the index is asked: it was there already, so an index that is behind has gone back.
        let tail_seq = *committed.borrow();
        match shared.index.watermark(partition).await {
            Ok(Some(watermark)) if watermark.seq >= tail_seq => {}
            Ok(there) => {
                let index_seq = there.map(|watermark| watermark.seq);
                tracing::warn!(
                    partition,
                    index_seq,
                    tail_seq,
                    "the index has lost entries, mending it from the bucket"
                );
                if let Err(error) = loglake_commit::catch_up(&chain, shared.index.as_ref()).await {
                    tracing::warn!(partition, %error, "index not rebuilt");
                }
            }
            Err(error) => tracing::warn!(partition, %error, "index not reached"),
        }
    }
}
