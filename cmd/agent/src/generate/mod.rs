//! Records made up in the manner of real systems: templates of eleven kinds of service, traces that run across services,
//! skewed services, bursts. The same settings and seed give the same records.

mod catalog;
mod pace;
mod run;
mod settings;
mod template;

use loglake_api::ingest::v1::LogRecord;
use loglake_model::Level;

use crate::Dice;
use crate::text::level_number;
use catalog::Kind;
pub use pace::{Bursts, Pace};
pub use run::{Plan, print, run};
pub use settings::{LevelWeights, Services, Settings};
use template::Template;

/// How many traces are under way at once.
const OPEN_TRACES: usize = 24;
/// How many hosts a service runs on.
const HOSTS: u64 = 4;
const REGIONS: [&str; 3] = ["eu-central", "us-east", "ap-south"];

/// An endless, seeded sequence of records, event times ascending.
#[derive(Debug)]
pub struct Generator {
    dice: Dice,
    services: Vec<ServiceTemplates>,
    /// Running sums of the services' weights: the first speaks most, the n-th an n-th of that.
    service_weights: Vec<u64>,
    level_weights: Vec<u64>,
    records_per_trace: u64,
    open: Vec<Trace>,
    start_ns: i64,
    pace: Pace,
}

#[derive(Debug)]
struct ServiceTemplates {
    name: String,
    version: String,
    /// By level, in the order of [`Level::ALL`].
    lines: Vec<Vec<Template>>,
}

#[derive(Debug)]
struct Trace {
    id: String,
    spans: Vec<String>,
    last_service: usize,
}

impl Generator {
    /// Starts a sequence: `start_ns` is the event time of the first record, `pace` tells when the others come.
    #[must_use]
    pub fn new(settings: &Settings, start_ns: i64, pace: Pace) -> Self {
        let mut dice = Dice::new(settings.seed);
        let services: Vec<ServiceTemplates> = settings
            .services
            .names()
            .into_iter()
            .enumerate()
            .map(|(at, name)| ServiceTemplates::new(name, Kind::of_service(at), &mut dice))
            .collect();
        let service_weights = running_sums((1..=services.len() as u64).map(|rank| 1_000_000 / rank));
        Self {
            dice,
            services,
            service_weights,
            level_weights: running_sums(settings.levels.0),
            records_per_trace: settings.records_per_trace,
            open: Vec::new(),
            start_ns,
            pace,
        }
    }

    /// Draws the trace that the next record belongs to; its place in `open`.
    fn trace(&mut self) -> usize {
        let at = self.dice.below(OPEN_TRACES as u64) as usize;
        if at < self.open.len() {
            return at;
        }
        let mut id = String::with_capacity(32);
        self.dice.hex(&mut id, 32);
        self.open.push(Trace { id, spans: Vec::new(), last_service: usize::MAX });
        self.open.len() - 1
    }

    /// Draws a service, another one than `last` where there is a choice.
    fn service(&mut self, last: usize) -> usize {
        let drawn = self.dice.weighted(&self.service_weights);
        if drawn == last && self.services.len() > 1 { (drawn + 1) % self.services.len() } else { drawn }
    }
}

impl ServiceTemplates {
    fn new(name: String, kind: &Kind, dice: &mut Dice) -> Self {
        let version = format!("{}.{}.{}", dice.between(1, 4), dice.below(20), dice.below(10));
        let of_level = |level: Level| {
            kind.lines.iter().filter(|(of, _)| *of == level).map(|(_, text)| Template::parse(text)).collect()
        };
        Self { name, version, lines: Level::ALL.into_iter().map(of_level).collect() }
    }
}

impl Iterator for Generator {
    type Item = LogRecord;

    fn next(&mut self) -> Option<LogRecord> {
        let offset_ns = self.pace.next_ns();
        let slot = if self.records_per_trace == 0 { None } else { Some(self.trace()) };
        let last = slot.and_then(|at| self.open.get(at)).map_or(usize::MAX, |trace| trace.last_service);
        let service_at = self.service(last);
        let level_at = self.dice.weighted(&self.level_weights);
        let host_number = self.dice.below(HOSTS);
        let service = self.services.get(service_at)?;
        let mut record = LogRecord {
            timestamp_ns: self.start_ns.saturating_add(offset_ns).unsigned_abs(),
            level: Level::ALL.get(level_at).map_or(0, |level| level_number(*level)),
            service: service.name.clone(),
            host: format!("{}-{host_number}", service.name),
            ..LogRecord::default()
        };
        let mut attributes = format!(
            "{{\"region\":\"{}\",\"version\":\"{}\",\"request_id\":\"",
            self.dice.pick(&REGIONS).copied().unwrap_or_default(),
            service.version
        );
        self.dice.hex(&mut attributes, 12);
        attributes.push_str(&format!("\",\"duration_ms\":{}}}", self.dice.between(1, 900)));
        record.attributes_json = attributes.into_bytes().into();
        if let Some(template) = service.lines.get(level_at).and_then(|lines| self.dice.pick(lines)) {
            template.fill(&mut self.dice, &mut record.message);
        }
        if let Some((at, trace)) = slot.and_then(|at| self.open.get_mut(at).map(|trace| (at, trace))) {
            trace.last_service = service_at;
            self.dice.hex(&mut record.span_id, 16);
            record.parent_span_id = self.dice.pick(&trace.spans).cloned().unwrap_or_default();
            record.trace_id.clone_from(&trace.id);
            trace.spans.push(record.span_id.clone());
            if trace.spans.len() as u64 >= self.records_per_trace {
                self.open.swap_remove(at);
            }
        }
        Some(record)
    }
}

fn running_sums(weights: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let sums = weights.into_iter().scan(0_u64, |sum, weight| {
        *sum = sum.saturating_add(weight);
        Some(*sum)
    });
    sums.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn records(settings: &Settings, count: usize) -> Vec<LogRecord> {
        Generator::new(settings, 1_000, Pace::new(1_000.0, None)).take(count).collect()
    }

    #[test]
    fn the_seed_decides_everything() {
        let settings = Settings { seed: 3, ..Settings::default() };
        let (one, again) = (records(&settings, 500), records(&settings, 500));
        assert_eq!(one, again);
        assert_ne!(one, records(&Settings { seed: 4, ..Settings::default() }, 500));
    }

    #[test]
    fn records_are_whole_and_times_ascend() {
        let all = records(&Settings::default(), 5_000);
        for record in &all {
            assert!(!record.message.is_empty() && !record.message.contains(['{', '}']), "{}", record.message);
            assert!(serde_json::from_slice::<serde_json::Value>(&record.attributes_json).unwrap().is_object());
        }
        assert!(all.is_sorted_by_key(|record| record.timestamp_ns));
        assert_eq!(all[0].timestamp_ns, 1_000);
    }

    #[test]
    fn traces_run_across_services_and_their_parents_exist() {
        let settings = Settings { records_per_trace: 5, ..Settings::default() };
        let mut traces: HashMap<String, Vec<LogRecord>> = HashMap::new();
        for record in records(&settings, 20_000) {
            traces.entry(record.trace_id.clone()).or_default().push(record);
        }
        assert!(traces.values().all(|records| records.len() <= 5));
        let whole: Vec<_> = traces.values().filter(|records| records.len() == 5).collect();
        assert!(whole.len() + OPEN_TRACES >= 20_000 / 5);
        for records in whole {
            let spans: HashSet<_> = records.iter().map(|record| record.span_id.as_str()).collect();
            assert_eq!(spans.len(), 5);
            assert!(records[0].parent_span_id.is_empty());
            assert!(records[1..].iter().all(|record| spans.contains(record.parent_span_id.as_str())));
            assert!(records.windows(2).all(|pair| pair[0].service != pair[1].service));
        }
        let none = records_without_traces();
        assert!(none.iter().all(|record| record.trace_id.is_empty() && record.span_id.is_empty()));
    }

    fn records_without_traces() -> Vec<LogRecord> {
        records(&Settings { records_per_trace: 0, ..Settings::default() }, 100)
    }

    #[test]
    fn levels_and_services_follow_their_weights() {
        let settings = Settings {
            levels: "error=1,info=3".parse().unwrap(),
            services: "a,b,c".parse().unwrap(),
            ..Settings::default()
        };
        let all = records(&settings, 8_000);
        let errors = all.iter().filter(|record| record.level == 5).count();
        assert!((1_800..2_200).contains(&errors), "{errors}");
        assert!(all.iter().all(|record| record.level == 5 || record.level == 3));
        let of = |name: &str| all.iter().filter(|record| record.service == name).count();
        assert!(of("a") > of("c") && of("c") > 500 && of("a") + of("b") + of("c") == 8_000);
    }
}
