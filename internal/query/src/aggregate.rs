//! Counts what matches, by time step, level and service.
//!
//! What asks for levels and times alone is answered from the index's entries and the chunks' directories; of the blocks
//! only those are read that an end of the range, or of a step that is no whole sixtieth of the window, cuts through
//! (`directory`). What asks for more reads the blocks that can match and counts in them (`chunks`).

mod answer;
mod chunks;
mod directory;
mod request;

use std::sync::Arc;

use loglake_model::{Fault, FaultCode, LevelCounts, Service, TenantId, TimeRange};
use loglake_search::{Filter, LevelSet, Matcher, Steps, Tally};
use tokio::time::{Instant, timeout_at};

use self::chunks::{Chunks, Ended};
use crate::Error;
use crate::budget::Budget;
use crate::missing::Missing;
use crate::plan::plan;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::tail_ask::TailAsk;

pub(crate) use self::answer::Counts;
pub(crate) use self::request::Request;

/// How often it is planned when chunks vanish.
const MAX_PLANS: u32 = 4;
/// The most pairs of step and service that an answer may have: some MiB of it.
pub(crate) const MAX_CELLS: usize = 40_000;

/// What is counted, and how.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    pub(crate) tenant: TenantId,
    pub(crate) filter: Filter,
    /// The filter's, but for the services: they are chosen before.
    pub(crate) matcher: Matcher,
    pub(crate) range: TimeRange,
    pub(crate) steps: Steps,
    pub(crate) by_level: bool,
    pub(crate) by_service: bool,
}

impl Counting {
    /// Whether records of `service` are asked for.
    pub(crate) fn takes(&self, service: &Service) -> bool {
        self.filter.services.is_empty() || self.filter.services.contains(service)
    }

    /// Of `counts` those of the levels asked for.
    fn of_levels(&self, counts: &LevelCounts) -> LevelCounts {
        self.filter.levels.unwrap_or(LevelSet::ALL).keep(counts)
    }

    /// The name under which records of `service` are counted.
    fn name<'a>(&self, service: &'a Service) -> &'a str {
        if self.by_service { service.as_str() } else { "" }
    }
}

/// Counts what `asked` asks for.
///
/// # Errors
/// `Deadline` when time ran out, as a count of a part means nothing, and `TooCostly` when too much
/// would have to be searched; `Invalid` when the answer would be too long; `Unavailable`
/// when a part does not answer.
pub(crate) async fn aggregate(
    shared: &Arc<Shared>,
    tenant: TenantId,
    asked: Request,
    budget: Budget,
) -> Result<Counts, Error> {
    let began = Instant::now();
    let counting = Arc::new(asked.counting(tenant)?);
    let answering = async {
        let (tally, missing, mut stats) = count(shared, &counting, budget).await?;
        stats.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        shared.metrics.scanned.inc_by(stats.events_scanned);
        shared.metrics.read(&counting.tenant, stats.bytes_read);
        if !missing.is_empty() {
            shared.metrics.incomplete.inc();
        }
        Ok(Counts::new(&counting, &tally, missing, stats))
    };
    timeout_at(budget.deadline, answering).await.unwrap_or_else(|_| Err(budget.timed_out()))
}

async fn count(
    shared: &Arc<Shared>,
    counting: &Arc<Counting>,
    budget: Budget,
) -> Result<(Tally, Vec<Missing>, Stats), Error> {
    let filter_json = serde_json::to_string(&counting.filter).map_err(|error| Error::Internal(error.to_string()))?;
    let ask = TailAsk::Counts { counting: Arc::clone(counting), filter_json };
    let services = Some(counting.filter.services.as_slice()).filter(|services| !services.is_empty());
    for attempt in 1..=MAX_PLANS {
        let planning = Instant::now();
        let plan = plan(shared, services, &ask, budget.deadline).await?;
        shared.metrics.stage("plan", planning.elapsed());
        let scanning = Instant::now();
        let mut chunks = Chunks::new(shared, counting, attempt == MAX_PLANS, budget);
        chunks.missing = plan.missing;
        chunks.stats.bytes_read = plan.replayed_bytes;
        for tail in plan.tails {
            chunks.stats.events_scanned += tail.scanned;
            if tail.is_truncated {
                return Err(too_many());
            }
            chunks.add(&tail.tally)?;
        }
        let ended = chunks.count(plan.chunks).await?;
        drop(plan.room);
        shared.metrics.stage("scan", scanning.elapsed());
        match ended {
            Ended::Counted { tally, missing, stats } => return Ok((tally, missing, stats)),
            Ended::Vanished => {
                shared.metrics.replans.inc();
                tracing::info!("a chunk has vanished, planning again");
            }
        }
    }
    Err(Error::Internal("the last plan names what is gone".to_owned()))
}

/// The refusal of what would have too long an answer.
fn too_many() -> Error {
    let message = format!(
        "the answer would have more than {MAX_CELLS} pairs of step and service; take a longer step, a shorter range, or \
         fewer services"
    );
    Fault::new(FaultCode::TooMany, "step", message).with_limit(MAX_CELLS as u64, MAX_CELLS as u64 + 1).into()
}
