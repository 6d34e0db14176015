use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use loglake_broker::{Fetched, PartitionConsumer};
use loglake_commit::{TARGET_ENTRY_BYTES, Tail};
use loglake_model::{failpoint, fails};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::Error;
use crate::budget::Waiting;
use crate::flush::{Flush, Flushed};
use crate::held::Held;
use crate::pending::Pending;
use crate::serving::Serving;
use crate::sessions::Sessions;
use crate::worker::Worker;

/// Payload bytes asked for at a time.
const FETCH_BYTES: usize = 4 << 20;
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// No flush makes an entry longer than this, about: what would is left for the next one. A message alone always fits
/// (`loglake_batch::MAX_MINUTES`).
const ENTRY_BYTES: usize = TARGET_ENTRY_BYTES / 16 * 15;
/// How often the worker looks at its clocks.
const TICK: Duration = Duration::from_millis(200);
/// How long an orderly shutdown goes on consuming what is already in the broker.
const DRAIN: Duration = Duration::from_secs(5);

/// How one tenure of the partition ended.
pub(crate) enum Ended {
    /// Revoked or shut down.
    Done,
    /// Another writer moved the chain.
    Lost,
}

/// What a worker has while it holds the partition.
pub(crate) struct Tenure<'a> {
    worker: &'a Worker,
    partition: u32,
    label: String,
    /// The seq of the chain's tail, for those who work beside.
    pub(crate) committed: watch::Sender<u64>,
    /// The newest checkpoint when the partition was taken.
    pub(crate) folded: u64,
    source: Box<dyn PartitionConsumer>,
    held: Serving,
    /// The chain's tail: where the next entry goes.
    tail: Tail,
    /// The offset consumed up to.
    position: u64,
    /// What was fetched past it, because it did not fit into the same entry.
    carried: Option<Fetched>,
    leader_epoch: Option<i32>,
    pending: Pending,
    /// What of the memory it is.
    waiting: Waiting,
    /// At `position`.
    sessions: Sessions,
    flush: Option<AbortOnDropHandle<Result<Flushed, Error>>>,
    /// When the first of what it takes came.
    flushing_since: Option<Instant>,
    /// The append time of the newest message consumed, and whether the broker had more.
    consumed: Option<(i64, bool)>,
    /// Flushed messages that are kept for a while: until when, and below which offset.
    kept: VecDeque<(Instant, u64)>,
    was_full: bool,
}

impl<'a> Tenure<'a> {
    pub(crate) fn new(
        worker: &'a Worker,
        source: Box<dyn PartitionConsumer>,
        held: Serving,
        tail: Tail,
        folded: u64,
        sessions: Sessions,
    ) -> Self {
        let partition = worker.chain.partition();
        Self {
            worker,
            partition,
            label: partition.to_string(),
            committed: watch::Sender::new(tail.seq),
            folded,
            source,
            held,
            position: tail.next,
            carried: None,
            leader_epoch: tail.leader_epoch,
            tail,
            pending: Pending::new(worker.shared.window_ns()),
            waiting: worker.shared.budget.share(),
            sessions,
            flush: None,
            flushing_since: None,
            consumed: None,
            kept: VecDeque::new(),
            was_full: false,
        }
    }

    pub(crate) async fn run(&mut self) -> Result<Ended, Error> {
        let shared = Arc::clone(&self.worker.shared);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut topic_changed = std::pin::pin!(self.worker.topic_changed());
        loop {
            let mut freed = std::pin::pin!(shared.budget.freed());
            freed.as_mut().enable();
            self.release();
            let is_full = shared.budget.is_full();
            if is_full && !self.was_full {
                shared.metrics.pauses.inc();
            }
            self.was_full = is_full;
            tokio::select! {
                biased;
                () = self.worker.shutdown.cancelled() => return self.finish().await,
                flushed = join(&mut self.flush) => {
                    if let Flushed::Lost = self.settle(flushed?) {
                        return Ok(Ended::Lost);
                    }
                }
                _ = tick.tick() => {}
                () = freed, if is_full => {}
                fetched = fetch(&mut self.carried, self.source.as_mut(), FETCH_WAIT), if !is_full && !self.must_wait() => {
                    match fetched {
                        Ok(fetched) => self.take(fetched)?,
                        Err(error) => return self.salvage(error).await,
                    }
                    failpoint!("worker.held");
                }
                () = &mut topic_changed => return Err(Error::OtherTopic { partition: self.partition }),
            }
            if self.flush.is_none()
                && let Some(reason) = self.flush_reason()
            {
                self.start_flush(reason);
            }
            if self.flush.is_none() && self.pending.is_empty() && self.carried.is_none() {
                // What lies past the chain's end holds no record.
                self.held.settle(self.position);
            }
            shared.metrics.memory.set(shared.budget.used().cast_signed());
            self.show_ages();
        }
    }

    /// Shows how far behind it is. While consuming is paused there may be more than was seen.
    fn show_ages(&self) {
        let shared = &self.worker.shared;
        let lag = match self.consumed {
            Some((append_time_ns, has_more)) if has_more || self.was_full => {
                Duration::from_nanos(shared.clock.now_ns().saturating_sub(append_time_ns).try_into().unwrap_or(0))
            }
            _ => Duration::ZERO,
        };
        let unflushed = self.flushing_since.or(self.pending.since).map_or(Duration::ZERO, |since| since.elapsed());
        shared.metrics.lag_seconds.with_label_values(&[&self.label]).set(lag.as_secs_f64());
        shared.metrics.unflushed_seconds.with_label_values(&[&self.label]).set(unflushed.as_secs_f64());
    }

    /// Ends the tenure with `error`, which the broker gave. Where retention ran past the position, what is held is gone from
    /// the broker too: it is flushed first. Not so where the log was cut short: others' records may get those offsets.
    async fn salvage(&mut self, error: loglake_broker::Error) -> Result<Ended, Error> {
        if matches!(error, loglake_broker::Error::OffsetOutOfRange { earliest, .. } if earliest > self.position) {
            loop {
                if self.flush.is_some() {
                    let flushed = join(&mut self.flush).await?;
                    if let Flushed::Lost = self.settle(flushed) {
                        return Ok(Ended::Lost);
                    }
                }
                if self.pending.is_empty() {
                    break;
                }
                self.start_flush("lost_records");
            }
        }
        Err(error.into())
    }

    /// Takes what was fetched into memory.
    fn take(&mut self, fetched: Fetched) -> Result<(), Error> {
        if !fetched.messages.is_empty() && fails!("worker.fetched") {
            let why = "a fail-point says that what was fetched is lost".to_owned();
            return Err(loglake_broker::Error::Unavailable(why).into());
        }
        let metrics = &self.worker.shared.metrics;
        let now = Instant::now();
        let mut messages = Vec::with_capacity(fetched.messages.len());
        let mut left = fetched.messages.into_iter();
        let mut position = fetched.position;
        let now_ns = self.worker.shared.clock.now_ns();
        let mut newest_ns = self.consumed.map(|(append_time_ns, _)| append_time_ns);
        while let Some(message) = left.next() {
            let held = Held::new(message, &self.worker.shared.budget);
            let room = ENTRY_BYTES.saturating_sub(self.entry_bytes() + self.sessions.cost(&held));
            if !self.pending.is_empty() && self.pending.cost(&held, room) >= room {
                // The next entry begins with it: what a flush takes ends where the position is.
                position = held.offset();
                let messages = std::iter::once(held.message).chain(left).collect();
                self.carried = Some(Fetched { messages, ..fetched });
                break;
            }
            let message = &held.message;
            if let (Some(before), Some(after)) = (self.leader_epoch, message.leader_epoch)
                && after < before
            {
                return Err(Error::EpochFell { partition: self.partition, before, after, offset: message.offset });
            }
            self.leader_epoch = self.leader_epoch.max(message.leader_epoch);
            newest_ns = Some(message.append_time_ns);
            let delay_ns = u64::try_from(now_ns.saturating_sub(message.append_time_ns)).unwrap_or(0);
            metrics.consume_delay.observe(Duration::from_nanos(delay_ns).as_secs_f64());
            metrics.bytes.inc_by(message.payload.len() as u64);
            match &held.batch {
                Ok(batch) => metrics.records.inc_by(u64::from(batch.record_count())),
                Err(reason) => {
                    tracing::error!(
                        partition = self.partition,
                        offset = held.offset(),
                        reason,
                        "message cannot be read"
                    );
                }
            }
            // Not held either: the tail serves what the chunks will have.
            if self.sessions.is_dropped(&held, metrics) {
                self.pending.pass_over(now);
                continue;
            }
            self.pending.add(&held, now);
            self.waiting.add(held.memory_bytes());
            messages.push(Arc::new(held));
        }
        self.position = position;
        self.consumed = newest_ns.map(|append_time_ns| (append_time_ns, fetched.latest > position));
        self.held.extend(messages, position);
        metrics.position.with_label_values(&[&self.label]).set(position.cast_signed());
        metrics.lag.with_label_values(&[&self.label]).set(fetched.latest.saturating_sub(position).cast_signed());
        metrics.sessions.with_label_values(&[&self.label]).set(self.sessions.len() as i64);
        metrics.open_chunks.with_label_values(&[&self.label]).set(self.pending.chunks() as i64);
        Ok(())
    }

    /// What waits would already make a whole entry, and the flush before it still runs: more would outgrow it.
    fn must_wait(&self) -> bool {
        self.flush.is_some() && self.is_entry_full()
    }

    fn is_entry_full(&self) -> bool {
        (self.carried.is_some() && !self.pending.is_empty())
            || self.pending.chunks() >= self.worker.shared.config.max_open_chunks
            || self.entry_bytes() >= TARGET_ENTRY_BYTES / 8 * 7
    }

    /// About how long the next entry would be now.
    fn entry_bytes(&self) -> usize {
        self.pending.entry_bytes() + self.sessions.changed_bytes()
    }

    /// Why it is time to flush, if it is.
    fn flush_reason(&self) -> Option<&'static str> {
        let config = &self.worker.shared.config;
        if self.pending.is_empty() {
            return None;
        }
        if self.pending.bytes >= config.flush_bytes {
            return Some("full");
        }
        if self.is_entry_full() {
            return Some("chunks");
        }
        if self.waiting.is_due() {
            return Some("memory");
        }
        let asked = self.held.asked();
        if asked > self.tail.next && self.position >= asked {
            return Some("asked");
        }
        self.pending.since.filter(|since| since.elapsed() >= config.flush_interval).map(|_| "max_age")
    }

    fn start_flush(&mut self, reason: &'static str) {
        let shared = Arc::clone(&self.worker.shared);
        shared.metrics.flushes.with_label_values(&[reason]).inc();
        self.flushing_since = self.pending.take().since;
        self.waiting.clear();
        let flush = Flush {
            tail: self.tail.clone(),
            next: self.position,
            messages: self.held.view(self.tail.next).messages,
            leader_epoch: self.leader_epoch,
            sessions: self.sessions.take_changes(),
        };
        tracing::debug!(partition = self.partition, reason, messages = flush.messages.len(), "flush begins");
        let chain = self.worker.chain.clone();
        self.flush = Some(AbortOnDropHandle::new(tokio::spawn(async move { flush.run(&shared, &chain).await })));
    }

    /// Takes the outcome of a flush.
    fn settle(&mut self, flushed: Flushed) -> Flushed {
        self.flush = None;
        self.flushing_since = None;
        if let Flushed::Won(tail) = &flushed {
            self.kept.push_back((Instant::now() + self.worker.shared.config.tail_hold, tail.next));
            self.worker.shared.metrics.committed.with_label_values(&[&self.label]).set(tail.next.cast_signed());
            self.tail = tail.clone();
            self.held.settle(tail.next);
            self.committed.send_replace(tail.seq);
        }
        flushed
    }

    /// Forgets flushed messages whose time is over, and while memory is tight the others too.
    fn release(&mut self) {
        while let Some((until, below)) = self.kept.front().copied() {
            if Instant::now() < until && !self.worker.shared.budget.is_tight() {
                break;
            }
            self.held.release(below);
            self.kept.pop_front();
        }
    }

    /// An orderly end: consumes what the broker has (for a while), flushes all of it.
    async fn finish(&mut self) -> Result<Ended, Error> {
        let shared = Arc::clone(&self.worker.shared);
        let until = Instant::now() + DRAIN;
        failpoint!("worker.finishing");
        loop {
            if self.flush.is_some() {
                let flushed = join(&mut self.flush).await?;
                if let Flushed::Lost = self.settle(flushed) {
                    return Ok(Ended::Done);
                }
            }
            self.release();
            if !shared.budget.is_full() && Instant::now() < until {
                let fetched = fetch(&mut self.carried, self.source.as_mut(), Duration::from_millis(1)).await?;
                let (is_done, latest) = (fetched.messages.is_empty(), fetched.latest);
                self.take(fetched)?;
                if !is_done && self.position < latest && self.flush_reason().is_none() {
                    continue;
                }
            }
            if self.pending.is_empty() {
                return Ok(Ended::Done);
            }
            self.start_flush("shutdown");
        }
    }
}

/// What was fetched before and carried over, else what the broker has. Cancel safe.
async fn fetch(
    carried: &mut Option<Fetched>,
    source: &mut dyn PartitionConsumer,
    wait: Duration,
) -> Result<Fetched, loglake_broker::Error> {
    match carried.take() {
        Some(fetched) => Ok(fetched),
        None => source.fetch(FETCH_BYTES, wait).await,
    }
}

/// Waits for the flush in flight; for ever when there is none.
async fn join(flush: &mut Option<AbortOnDropHandle<Result<Flushed, Error>>>) -> Result<Flushed, Error> {
    match flush {
        Some(task) => task.await?,
        None => std::future::pending().await,
    }
}
