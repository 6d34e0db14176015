//! Which services a tenant has in a range, exactly: chunks that the range cuts through are counted block by block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_chunk::decode_block;
use loglake_model::{ChunkMeta, TenantId, TimeRange, Timestamp};
use loglake_search::Filter;
use serde::Serialize;
use tokio::time::timeout_at;

use crate::Error;
use crate::budget::Budget;
use crate::footers::NoFooter;
use crate::missing::{LOST, Missing};
use crate::plan::plan;
use crate::shared::Shared;
use crate::tail_ask::{Count, TailAsk};

/// How often it is planned when chunks vanish.
const MAX_PLANS: u32 = 4;
/// Chunks counted side by side.
const WIDTH: usize = 8;

/// The body of the answer.
#[derive(Debug, Serialize)]
pub(crate) struct Services {
    services: Vec<Row>,
    complete: bool,
    missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Row {
    service: String,
    records: u64,
    first: String,
    last: String,
}

/// What became of a chunk.
enum Counted {
    Count(Count),
    Damaged(String),
    Vanished,
}

/// Counts the records of `range` by service.
///
/// # Errors
/// `Deadline`; `TooCostly` when too much would have to be searched; `Unavailable` when a part does not answer.
pub(crate) async fn services(
    shared: &Arc<Shared>,
    tenant: TenantId,
    range: TimeRange,
    budget: Budget,
) -> Result<Services, Error> {
    let deadline = budget.deadline;
    let counting = async {
        let ask = TailAsk::Services { tenant: tenant.clone(), range };
        for attempt in 1..=MAX_PLANS {
            let plan = plan(shared, None, &ask, deadline).await?;
            let (_room, mut missing) = (plan.room, plan.missing);
            let mut totals = BTreeMap::<String, Count>::new();
            for (service, count) in plan.tails.into_iter().flat_map(|tail| tail.services) {
                totals.entry(service).or_insert(Count::NONE).add(count);
            }
            let (tenant, searched_bytes, mut has_vanished) = (&tenant, &AtomicU64::new(0), false);
            let mut counts = stream::iter(plan.chunks.into_iter().filter(|chunk| chunk.overlaps(range)))
                .map(|chunk| async move {
                    let counted = count(shared, tenant, range, &chunk, budget, searched_bytes).await?;
                    Ok::<_, Error>((chunk, counted))
                })
                .buffer_unordered(WIDTH);
            while let Some((chunk, counted)) = counts.try_next().await? {
                match counted {
                    Counted::Count(count) => {
                        totals.entry(chunk.service.to_string()).or_insert(Count::NONE).add(count);
                    }
                    Counted::Damaged(reason) => missing.push(Missing::Object { key: chunk.key, reason }),
                    Counted::Vanished if attempt == MAX_PLANS => {
                        missing.push(Missing::Object { key: chunk.key, reason: LOST.to_owned() });
                    }
                    Counted::Vanished => {
                        has_vanished = true;
                        break;
                    }
                }
            }
            drop(counts);
            if !has_vanished {
                return Ok(Services::of(totals, missing));
            }
            shared.metrics.replans.inc();
        }
        Err(Error::Internal("the last plan names what is gone".to_owned()))
    };
    timeout_at(deadline, counting).await.unwrap_or_else(|_| Err(budget.timed_out()))
}

impl Services {
    fn of(totals: BTreeMap<String, Count>, missing: Vec<Missing>) -> Self {
        let counted = totals.into_iter().filter(|(_, count)| count.records > 0);
        let rows = counted.map(|(service, count)| Row {
            service,
            records: count.records,
            first: Timestamp(count.first_ns).to_string(),
            last: Timestamp(count.last_ns).to_string(),
        });
        Self { services: rows.collect(), complete: missing.is_empty(), missing }
    }
}

/// Counts the records of `chunk` that lie in `range`. A chunk that lies inside is not read at all, of the others only the
/// blocks that an end of the range cuts through.
async fn count(
    shared: &Arc<Shared>,
    tenant: &TenantId,
    range: TimeRange,
    chunk: &ChunkMeta,
    budget: Budget,
    searched_bytes: &AtomicU64,
) -> Result<Counted, Error> {
    if range.contains(chunk.min_ns) && range.contains(chunk.max_ns) {
        return Ok(Counted::Count(Count { records: chunk.records, first_ns: chunk.min_ns, last_ns: chunk.max_ns }));
    }
    let known = match shared.footers.contents(shared.store.as_ref(), tenant, chunk).await {
        Ok((known, _)) => known,
        Err(NoFooter::Vanished) => return Ok(Counted::Vanished),
        Err(NoFooter::Damaged(reason)) => return Ok(Counted::Damaged(reason)),
        Err(NoFooter::Store(error)) => return Err(error.into()),
    };
    let mut total = Count::NONE;
    for row in known.contents().blocks().iter().filter(|row| range.overlaps(row.min_ns, row.max_ns)) {
        if range.contains(row.min_ns) && range.contains(row.max_ns) {
            total.add(Count { records: u64::from(row.records), first_ns: row.min_ns, last_ns: row.max_ns });
            continue;
        }
        let raw_bytes = u64::from(row.raw_length);
        budget.check(searched_bytes.fetch_add(raw_bytes, Ordering::Relaxed) + raw_bytes)?;
        let member = match shared.store.get_range(&chunk.key, row.offset..row.offset + u64::from(row.length)).await {
            Ok(member) => member,
            Err(loglake_store::Error::NotFound { .. }) => return Ok(Counted::Vanished),
            Err(error @ loglake_store::Error::Short { .. }) => return Ok(Counted::Damaged(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let row = *row;
        let counted = shared
            .compute(tenant, move || {
                let block = decode_block(&row, &member).map_err(|error| error.to_string())?;
                let everything = Filter::default().compile().map_err(|error| error.to_string())?;
                let mut count = Count::NONE;
                everything.scan(&block, range, |at, _| count.add(Count { records: 1, first_ns: at, last_ns: at }));
                Ok::<_, String>(count)
            })
            .await?;
        match counted {
            Ok(count) => total.add(count),
            Err(reason) => return Ok(Counted::Damaged(reason)),
        }
    }
    Ok(Counted::Count(total))
}
