use std::collections::BTreeMap;

use loglake_model::LevelCounts;

/// The time steps that records are counted in: aligned to the epoch, or one for all of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Their length, ns; 0 for the one.
    length_ns: i64,
}

impl Steps {
    /// One step for all of time; it begins at 0.
    pub const ONE: Self = Self { length_ns: 0 };

    /// Steps of `length_ns`; `None` unless that is positive.
    #[must_use]
    pub fn of(length_ns: i64) -> Option<Self> {
        (length_ns > 0).then_some(Self { length_ns })
    }

    /// How long a step is, ns; 0 for the one of all time.
    #[must_use]
    pub fn length_ns(self) -> i64 {
        self.length_ns
    }

    /// The first nanosecond of the step that `at_ns` falls into.
    #[must_use]
    pub fn start_of(self, at_ns: i64) -> i64 {
        if self.length_ns == 0 { 0 } else { at_ns.saturating_sub(at_ns.rem_euclid(self.length_ns)) }
    }

    /// Whether both moments fall into one step.
    #[must_use]
    pub fn is_one(self, a_ns: i64, b_ns: i64) -> bool {
        self.start_of(a_ns) == self.start_of(b_ns)
    }
}

/// How many records there are, by service (or of all together), step and level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By the service's name, empty where services are not told apart; by the step's first nanosecond.
    cells: BTreeMap<String, BTreeMap<i64, LevelCounts>>,
    length: usize,
}

impl Tally {
    /// How many pairs of service and step hold a record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds `counts` to the step of `service` that begins at `start_ns`.
    pub fn add(&mut self, service: &str, start_ns: i64, counts: &LevelCounts) {
        if counts.iter().all(|count| *count == 0) {
            return;
        }
        if !self.cells.contains_key(service) {
            self.cells.insert(service.to_owned(), BTreeMap::new());
        }
        if let Some(steps) = self.cells.get_mut(service) {
            let before = steps.len();
            let cell = steps.entry(start_ns).or_default();
            cell.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
            self.length += steps.len() - before;
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (service, start_ns, counts) in other.iter() {
            self.add(service, start_ns, counts);
        }
    }

    /// All cells: service, the step's first nanosecond, and the records by level; ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64, &LevelCounts)> {
        self.cells.iter().flat_map(|(service, steps)| {
            steps.iter().map(move |(start_ns, counts)| (service.as_str(), *start_ns, counts))
        })
    }
}

/// Counts the records of one service, fast where they come ordered by time.
#[derive(Debug)]
pub struct Counter<'a> {
    tally: &'a mut Tally,
    service: &'a str,
    steps: Steps,
    /// The step that the last record fell into, not yet in the tally.
    start_ns: i64,
    counts: LevelCounts,
}

impl<'a> Counter<'a> {
    /// A counter that adds to `tally`, under `service`, in `steps`. What it counted is there once it is dropped.
    pub fn new(tally: &'a mut Tally, service: &'a str, steps: Steps) -> Self {
        Self { tally, service, steps, start_ns: 0, counts: LevelCounts::default() }
    }

    /// Counts a record of the level in `slot` ([`loglake_model::Level::slot`]).
    #[inline]
    pub fn add(&mut self, at_ns: i64, slot: usize) {
        let length_ns = self.steps.length_ns;
        let is_inside =
            length_ns == 0 || at_ns.checked_sub(self.start_ns).is_some_and(|at| (0..length_ns).contains(&at));
        if !is_inside {
            self.settle();
            self.start_ns = self.steps.start_of(at_ns);
        }
        if let Some(count) = self.counts.get_mut(slot) {
            *count += 1;
        }
    }

    fn settle(&mut self) {
        self.tally.add(self.service, self.start_ns, &std::mem::take(&mut self.counts));
    }
}

impl Drop for Counter<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counters_agree_with_a_plain_count(
            records in proptest::collection::vec((0..2_usize, -50..50_i64, 0..7_usize), 0..60), length_ns in 0..20_i64,
        ) {
            let steps = Steps::of(length_ns).unwrap_or(Steps::ONE);
            let (mut tally, mut naive) = (Tally::default(), BTreeMap::<(&str, i64, usize), u64>::new());
            for (service, at_ns, slot) in records {
                let service = ["a", "b"][service];
                let mut one = Tally::default();
                let mut counter = Counter::new(&mut one, service, steps);
                // Of the same step, of another, and the same again.
                for at_ns in [at_ns, at_ns + 30, at_ns] {
                    counter.add(at_ns, slot);
                    let start_ns = if length_ns == 0 { 0 } else { at_ns.div_euclid(length_ns) * length_ns };
                    *naive.entry((service, start_ns, slot)).or_default() += 1;
                }
                drop(counter);
                tally.merge(&one);
            }
            let counted: BTreeMap<(&str, i64, usize), u64> = tally
                .iter()
                .flat_map(|(service, at, counts)| counts.iter().enumerate().map(move |(slot, count)| ((service, at, slot), *count)))
                .filter(|(_, count)| *count > 0)
                .collect();
            prop_assert_eq!(tally.len(), tally.iter().count());
            prop_assert_eq!(counted, naive);
        }
    }

    #[test]
    fn the_ends_of_time_have_a_step() {
        let steps = Steps::of(7).unwrap();
        assert!(steps.start_of(i64::MIN) <= i64::MIN + 7 && steps.start_of(i64::MAX) > i64::MAX - 7);
        assert!(steps.is_one(0, 6) && !steps.is_one(6, 7) && Steps::ONE.is_one(i64::MIN, i64::MAX));
        assert!(Steps::of(0).is_none() && Steps::of(-1).is_none());
    }
}
