//! Which chunks and which un-flushed rows answer a query: the reading rule.
//!
//! A query sees everything acknowledged before it came. For each partition: H is the latest offset, asked for after the query
//! came; T is the `next` of the index's watermark, read in one step with the chunks: everything below is in them. Rows
//! from T to H come from the partition's owner, whose answer counts only if its floor is at most T and its position at least H;
//! else from the broker. What neither has is named as missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures_util::future::join_all;
use loglake_api::internal::v1::Want;
use loglake_index::ChunkQuery;
use loglake_model::{ChunkMeta, Service};
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::missing::{GONE, Missing, NO_INDEX, TOO_MUCH, UNREADABLE};
use crate::older::Older;
use crate::owners::{self, Verdict};
use crate::replay::{self, Outcome, replay};
use crate::room::Large;
use crate::shared::Shared;
use crate::tail_ask::{TailAsk, TailPart};

/// How often the index is read again because a tail, or the broker, begins past its watermark.
const MAX_REREADS: u32 = 5;
/// How long to wait before an index is asked again.
const REREAD_WAIT: Duration = Duration::from_millis(20);
const REBUILD_WAIT: Duration = Duration::from_millis(100);

/// All that an answer is made of.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) chunks: Vec<ChunkMeta>,
    pub(crate) tails: Vec<TailPart>,
    pub(crate) missing: Vec<Missing>,
    /// Bytes read from the broker.
    pub(crate) replayed_bytes: u64,
    /// The room that it takes, where it is large: to be kept as long as the chunks are.
    pub(crate) room: Option<Large>,
}

impl Plan {
    fn settle(&mut self, sealed: Sealed, tail: TailPart) {
        self.chunks.extend(sealed.chunks);
        self.missing.extend(sealed.gaps);
        self.tails.push(tail);
    }

    fn lacks(&mut self, partition: u32, from_offset: u64, to_offset: u64, reason: &'static str) {
        self.missing.push(Missing::Offsets { partition, from_offset, to_offset, reason });
    }
}

/// A partition whose part of the plan is not settled.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// H.
    until: u64,
    /// How often the index was read again.
    rereads: u32,
}

/// What the index says of a partition.
#[derive(Debug, Default)]
struct Sealed {
    chunks: Vec<ChunkMeta>,
    /// What was given up of it and may lie in the range asked for.
    gaps: Vec<Missing>,
}

/// The same of a partition that has un-flushed records.
struct Unflushed {
    want: Want,
    sealed: Sealed,
}

/// Plans the answer to `ask` over `services` (`None`: all).
///
/// # Errors
/// `Unavailable` when broker or index do not answer; `TooCostly` when there are more chunks than there may be, `Exhausted` when others
/// hold the room for so many. Time is the caller's: it drops this when the deadline is over.
pub(crate) async fn plan(
    shared: &Arc<Shared>,
    services: Option<&[Service]>,
    ask: &TailAsk,
    deadline: Instant,
) -> Result<Plan, Error> {
    match plan_within(shared, services, ask, deadline, shared.room.small_rows()).await {
        Err(error) if has_too_many(&error) => {}
        done => return done,
    }
    let room = shared.room.large(ask.tenant().name(), deadline).await?;
    match plan_within(shared, services, ask, deadline, shared.room.large_rows()).await {
        Err(error) if has_too_many(&error) => Err(shared.room.too_many()),
        planned => planned.map(|plan| Plan { room: Some(room), ..plan }),
    }
}

fn has_too_many(error: &Error) -> bool {
    matches!(error, Error::Index(error) if matches!(**error, loglake_index::Error::TooMany { .. }))
}

/// The same with at most so many chunks; the index's own error when there are more.
async fn plan_within(
    shared: &Arc<Shared>,
    services: Option<&[Service]>,
    ask: &TailAsk,
    deadline: Instant,
    rows: usize,
) -> Result<Plan, Error> {
    let began = Instant::now();
    // The last fifth is for reading what is there.
    let patience = began + deadline.saturating_duration_since(began).mul_f64(0.8);
    let heads = shared.heads.now().await?;
    let mut open: BTreeMap<u32, Open> = shared
        .partitions_of(ask.tenant(), services, heads.0.len())
        .into_iter()
        .filter_map(|partition| Some((partition, *heads.0.get(partition as usize)?)))
        .map(|(partition, until)| (partition, Open { until, rereads: 0 }))
        .collect();
    let budget = AtomicUsize::new(replay::MAX_BYTES);
    let mut plan = Plan::default();
    while !open.is_empty() {
        let asked: Vec<u32> = open.keys().copied().collect();
        let most = rows.saturating_sub(plan.chunks.len());
        let query = ChunkQuery { services, range: ask.range(), partitions: &asked, most };
        let answers = shared.index.chunks(ask.tenant(), &query).await?;
        if !answers.iter().map(|answer| answer.partition).eq(asked) {
            return Err(Error::Internal("the index answered for other partitions than asked".to_owned()));
        }
        let mut unflushed = BTreeMap::new();
        let mut is_waiting = false;
        for answer in answers {
            let partition = answer.partition;
            let Some(&Open { until, .. }) = open.get(&partition) else { continue };
            let gaps = answer.gaps.into_iter().filter_map(|gap| Missing::of_gap(None, partition, gap, ask.range()));
            let sealed = Sealed { chunks: answer.chunks, gaps: gaps.collect() };
            match answer.watermark {
                // Never from 0: what was deleted would come back.
                None if Instant::now() >= patience => {
                    plan.lacks(partition, 0, until, NO_INDEX);
                    open.remove(&partition);
                }
                None => is_waiting = true,
                Some(watermark) if watermark.next >= until => {
                    plan.settle(sealed, TailPart::default());
                    open.remove(&partition);
                }
                Some(watermark) => {
                    let want = Want { partition, from: watermark.next, until };
                    unflushed.insert(partition, Unflushed { want, sealed });
                }
            }
        }
        cover(shared, ask, unflushed, &mut open, &mut plan, &budget, deadline).await?;
        if !open.is_empty() {
            sleep(if is_waiting { REBUILD_WAIT } else { REREAD_WAIT }).await;
        }
    }
    for older in &shared.older {
        add_older(older, services, ask, patience, rows, &mut plan).await?;
    }
    Ok(plan)
}

/// Adds the chunks of an older incarnation. All that was committed of it is in chunks: there is no tail to ask for.
async fn add_older(
    older: &Older,
    services: Option<&[Service]>,
    ask: &TailAsk,
    patience: Instant,
    rows: usize,
    plan: &mut Plan,
) -> Result<(), Error> {
    let incarnation = older.incarnation;
    let mut open = older.partitions.clone();
    loop {
        let most = rows.saturating_sub(plan.chunks.len());
        let query = ChunkQuery { services, range: ask.range(), partitions: &open, most };
        for answer in older.index.chunks(ask.tenant(), &query).await? {
            let partition = answer.partition;
            if answer.watermark.is_none() {
                continue;
            }
            open.retain(|open| *open != partition);
            let gaps = answer.gaps.into_iter();
            let gaps = gaps.filter_map(|gap| Missing::of_gap(Some(incarnation), partition, gap, ask.range())).collect();
            plan.settle(Sealed { chunks: answer.chunks, gaps }, TailPart::default());
        }
        if open.is_empty() {
            return Ok(());
        }
        if Instant::now() >= patience {
            let missing = |partition| Missing::Incarnation { incarnation, partition, reason: NO_INDEX };
            plan.missing.extend(open.into_iter().map(missing));
            return Ok(());
        }
        sleep(REBUILD_WAIT).await;
    }
}

/// Settles what owners or the broker answer for; leaves open what needs the index to be read again.
async fn cover(
    shared: &Arc<Shared>,
    ask: &TailAsk,
    mut unflushed: BTreeMap<u32, Unflushed>,
    open: &mut BTreeMap<u32, Open>,
    plan: &mut Plan,
    budget: &AtomicUsize,
    deadline: Instant,
) -> Result<(), Error> {
    if unflushed.is_empty() {
        return Ok(());
    }
    let began = Instant::now();
    let wants = unflushed.values().map(|one| one.want).collect();
    let mut uncovered = Vec::new();
    for (partition, verdict) in owners::ask(shared, ask, wants, deadline).await {
        let may_reread = match open.get_mut(&partition) {
            Some(one) => {
                one.rereads += u32::from(matches!(verdict, Verdict::Stale));
                one.rereads <= MAX_REREADS
            }
            None => continue,
        };
        match verdict {
            Verdict::Stale if may_reread => {
                unflushed.remove(&partition);
            }
            Verdict::Covered(part) => {
                if let Some(one) = unflushed.remove(&partition) {
                    plan.settle(one.sealed, part);
                    open.remove(&partition);
                }
            }
            Verdict::Stale | Verdict::None => uncovered.push(partition),
        }
    }
    shared.metrics.stage("tail", began.elapsed());
    shared.metrics.tail_fallbacks.inc_by(uncovered.len() as u64);
    let began = Instant::now();
    let is_fallback = !uncovered.is_empty();
    let reads = uncovered.into_iter().filter_map(|partition| unflushed.remove(&partition)).map(|one| async move {
        let Want { partition, from, until } = one.want;
        let read = replay(shared, ask, partition, from, until, budget).await;
        (one, read)
    });
    for (one, read) in join_all(reads).await {
        let Want { partition, from, until } = one.want;
        match read {
            Ok(Outcome::Read(read)) => {
                plan.replayed_bytes += read.bytes;
                if read.reached < until {
                    plan.lacks(partition, read.reached, until, TOO_MUCH);
                }
                plan.settle(one.sealed, read.part);
                open.remove(&partition);
            }
            Ok(Outcome::Moved) => {
                // Flushed, and perhaps trimmed, since the index was read, most likely.
                let Some(state) = open.get_mut(&partition) else { continue };
                state.rereads += 1;
                if state.rereads > MAX_REREADS {
                    plan.lacks(partition, from, until, GONE);
                    plan.settle(one.sealed, TailPart::default());
                    open.remove(&partition);
                }
            }
            Err(Error::Broker(error)) => {
                tracing::warn!(partition, from, until, %error, "tail not read from the broker");
                plan.lacks(partition, from, until, UNREADABLE);
                plan.settle(one.sealed, TailPart::default());
                open.remove(&partition);
            }
            Err(error) => return Err(error),
        }
    }
    if is_fallback {
        shared.metrics.stage("replay", began.elapsed());
    }
    Ok(())
}
