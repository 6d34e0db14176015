//! Counts rows in messages held in memory.

use std::sync::Arc;

use loglake_batch::Line;
use loglake_model::{Level, Service, TenantId, TimeRange, line};
use loglake_search::{Counter, Matcher, Steps, Tally};

use crate::held::Held;
use crate::may_match::MayMatch;

/// What a query counts in a partition's tail.
pub(crate) struct CountQuery {
    pub(crate) tenant: TenantId,
    pub(crate) matcher: Matcher,
    pub(crate) services: Vec<Service>,
    pub(crate) range: TimeRange,
    pub(crate) steps: Steps,
    /// Tell services apart.
    pub(crate) by_service: bool,
    /// The most pairs of service and step.
    pub(crate) limit: usize,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) tally: Tally,
    /// There would be more pairs than asked for: the tally is of no use.
    pub(crate) is_truncated: bool,
    /// Records in what was searched.
    pub(crate) scanned: u64,
}

impl CountQuery {
    /// Counts in `messages`, which are all of one partition.
    pub(crate) fn count(&self, messages: &[Arc<Held>]) -> Counted {
        let mut counted = Counted::default();
        for held in messages {
            let Ok(batch) = &held.batch else { continue };
            if batch.tenant() != self.tenant.name() {
                continue;
            }
            for group in batch.groups() {
                let (earliest_ns, latest_ns) = group.times_ns();
                let is_chosen = self.services.is_empty() || self.services.contains(group.service());
                if !is_chosen || !self.range.overlaps(earliest_ns, latest_ns) {
                    continue;
                }
                let service = if self.by_service { group.service().as_str() } else { "" };
                let mut counter = Counter::new(&mut counted.tally, service, self.steps);
                counted.scanned += u64::from(group.record_count());
                for (Line { timestamp_ns, .. }, line) in MayMatch::new(&self.matcher, &held.message.payload, &group) {
                    if self.range.contains(timestamp_ns) && self.matcher.matches(line) {
                        counter.add(timestamp_ns, Level::slot(line::level_of(line)));
                    }
                }
            }
            if counted.tally.len() > self.limit {
                counted.is_truncated = true;
                break;
            }
        }
        counted
    }
}
