use std::collections::BTreeMap;

use loglake_model::{Level, Timestamp};
use loglake_search::{Steps, Tally};
use serde::Serialize;

use super::Counting;
use crate::missing::Missing;
use crate::stats::Stats;

/// How records without a level are called.
const UNKNOWN: &str = "unknown";

/// The body of the answer.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    series: Vec<Series>,
    complete: bool,
    missing: Vec<Missing>,
    stats: Stats,
}

/// One combination of what was grouped by.
#[derive(Debug, Serialize)]
struct Series {
    labels: Labels,
    /// The step's first moment and how many records it has; steps without records are left out.
    points: Vec<(String, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Labels {
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// The slot first, so that levels stand in their order.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "level")]
    level: Option<usize>,
}

fn level<S: serde::Serializer>(slot: &Option<usize>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(slot.and_then(Level::from_slot).map_or(UNKNOWN, Level::as_str))
}

impl Counts {
    /// `tally` as `counting` wants it told: series ascending by service and level, points by time.
    pub(super) fn new(counting: &Counting, tally: &Tally, missing: Vec<Missing>, stats: Stats) -> Self {
        let mut series = BTreeMap::<Labels, BTreeMap<i64, u64>>::new();
        for (service, start_ns, counts) in tally.iter() {
            // Without steps there is one point, and it stands at the range's beginning.
            let at_ns = if counting.steps == Steps::ONE { counting.range.start_ns() } else { start_ns };
            for (slot, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let service = counting.by_service.then(|| service.to_owned());
                let labels = Labels { service, level: counting.by_level.then_some(slot) };
                *series.entry(labels).or_default().entry(at_ns).or_default() += count;
            }
        }
        let told = |(labels, points): (Labels, BTreeMap<i64, u64>)| Series {
            labels,
            points: points.into_iter().map(|(at_ns, count)| (Timestamp(at_ns).to_string(), count)).collect(),
        };
        let series = series.into_iter().map(told).collect();
        Self { series, complete: missing.is_empty(), missing, stats }
    }
}
