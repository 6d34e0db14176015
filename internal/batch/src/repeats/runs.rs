use serde::{Deserialize, Serialize};

/// A set of numbers as runs without gaps: mostly one run, however many numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Runs(Vec<(u64, u64)>);

impl Runs {
    pub(super) fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    /// Adds a number that it does not contain.
    pub(super) fn insert(&mut self, number: u64) {
        let at = self.0.partition_point(|(_, last)| *last < number);
        let joins_next = self.0.get(at).is_some_and(|(first, _)| number.checked_add(1) == Some(*first));
        let before = at.checked_sub(1).filter(|at| self.0[*at].1.checked_add(1) == Some(number));
        match (before, joins_next) {
            (Some(before), true) => {
                self.0[before].1 = self.0[at].1;
                self.0.remove(at);
            }
            (Some(before), false) => self.0[before].1 = number,
            (None, true) => self.0[at].0 = number,
            (None, false) => self.0.insert(at, (number, number)),
        }
    }

    /// Removes every number below `low`.
    pub(super) fn drop_below(&mut self, low: u64) {
        let gone = self.0.partition_point(|(_, last)| *last < low);
        self.0.drain(..gone);
        if let Some((first, _)) = self.0.first_mut() {
            *first = low.max(*first);
        }
    }

    /// How many runs there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds exactly the numbers below `end`.
    pub(super) fn is_all_below(&self, end: u64) -> bool {
        self.0 == [(0, end - 1)]
    }

    /// Whether the runs are in order, apart, and at most `highest`.
    pub(super) fn is_valid_to(&self, highest: u64) -> bool {
        self.0.iter().all(|(first, last)| first <= last && *last <= highest)
            && self.0.windows(2).all(|pair| pair[0].1.checked_add(1).is_some_and(|next| next < pair[1].0))
    }

    /// The lowest and the highest number.
    pub(super) fn bounds(&self) -> Option<(u64, u64)> {
        Some((self.0.first()?.0, self.0.last()?.1))
    }
}
