//! Plans, scans and merges one page of a query.

use std::sync::Arc;

use loglake_auth::limits::Limit;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::budget::Budget;
use crate::cursor::{Cursor, LIFE_NS};
use crate::expand::Opener;
use crate::merge::{End, Merge, Merged};
use crate::missing::Missing;
use crate::plan::plan;
use crate::query::Query;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::tail_ask::TailAsk;

/// How often a query is planned when chunks vanish under it.
const MAX_PLANS: u32 = 4;
/// The least that a partition's tail is asked for, in bytes of lines.
const MIN_TAIL_BYTES: u64 = 1 << 20;

/// One page, ready to be written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The rows, with commas between.
    pub(crate) items: Vec<u8>,
    pub(crate) rows: usize,
    pub(crate) next_cursor: Option<String>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) stats: Stats,
}

/// Answers one page.
///
/// # Errors
/// `Deadline` when time ran out before anything could be said, `TooCostly` when what may be searched did; `Unavailable` when a
/// part does not answer.
pub(crate) async fn answer(shared: &Arc<Shared>, query: Query, budget: Budget) -> Result<Answer, Error> {
    let deadline = budget.deadline;
    let began = Instant::now();
    let query = Arc::new(query);
    let filter_json = serde_json::to_string(&query.filter).map_err(|error| Error::Internal(error.to_string()))?;
    let partitions = shared.first_partitions.unwrap_or(1).max(1);
    let max_bytes = (shared.config.page_bytes as u64 / u64::from(partitions)).max(MIN_TAIL_BYTES);
    let ask = TailAsk::Rows { query: Arc::clone(&query), filter_json, max_bytes };
    let services = Some(query.filter.services.as_slice()).filter(|services| !services.is_empty());
    for attempt in 1..=MAX_PLANS {
        let planning = Instant::now();
        let late = || budget.timed_out();
        let plan = timeout_at(deadline, plan(shared, services, &ask, deadline)).await.map_err(|_| late())??;
        shared.metrics.stage("plan", planning.elapsed());
        let scanning = Instant::now();
        let opener = Opener::new(Arc::clone(shared), Arc::clone(&query), attempt == MAX_PLANS);
        let merged = Merge::new(opener, plan, budget).run().await?;
        shared.metrics.stage("scan", scanning.elapsed());
        if merged.is_spent {
            shared.metrics.limited(&query.tenant, Limit::QueryBytes);
        }
        match merged.end {
            End::Vanished => {
                shared.metrics.replans.inc();
                tracing::info!("a chunk has vanished, planning again");
            }
            End::NoProgress => return Err(late()),
            End::TooCostly(bytes) => return Err(budget.too_costly(bytes)),
            End::Exhausted | End::At(_) => return Ok(finish(shared, &query, merged, began)),
        }
    }
    Err(Error::Internal("the last plan names what is gone".to_owned()))
}

fn finish(shared: &Shared, query: &Query, merged: Merged, began: Instant) -> Answer {
    let Merged { page, end, missing, mut stats, is_spent: _ } = merged;
    let next_cursor = match end {
        End::At(last) => Some(shared.cursors.sign(&Cursor {
            tenant: query.tenant.name().clone(),
            fingerprint: Query::fingerprint(&query.tenant, &query.filter, query.direction),
            range: query.range,
            direction: query.direction,
            last,
            expires_ns: shared.clock.now_ns().saturating_add(LIFE_NS),
        })),
        _ => None,
    };
    stats.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let metrics = &shared.metrics;
    metrics.page_seconds.observe(began.elapsed().as_secs_f64());
    metrics.rows.inc_by(page.rows as u64);
    metrics.scanned.inc_by(stats.events_scanned);
    metrics.read(&query.tenant, stats.bytes_read);
    if !missing.is_empty() {
        metrics.incomplete.inc();
    }
    Answer { items: page.items, rows: page.rows, next_cursor, missing, stats }
}

impl Answer {
    /// The answer as JSON. The rows are spliced in as they stand in the chunks.
    pub(crate) fn into_json(self) -> Result<Vec<u8>, Error> {
        #[derive(Serialize)]
        struct Rest<'a> {
            next_cursor: Option<&'a str>,
            complete: bool,
            missing: &'a [Missing],
            stats: Stats,
        }
        let rest = Rest {
            next_cursor: self.next_cursor.as_deref(),
            complete: self.missing.is_empty(),
            missing: &self.missing,
            stats: self.stats,
        };
        let rest = serde_json::to_vec(&rest).map_err(|error| Error::Internal(error.to_string()))?;
        let mut body = Vec::with_capacity(self.items.len() + rest.len() + 16);
        body.extend_from_slice(b"{\"items\":[");
        body.extend_from_slice(&self.items);
        body.extend_from_slice(b"],");
        // Without its opening brace.
        body.extend_from_slice(rest.get(1..).unwrap_or_default());
        Ok(body)
    }
}
