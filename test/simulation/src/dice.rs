//! All chance.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// All chance of a run: what it gives follows from the seed alone, as everything happens in one order. Clones share it.
#[derive(Clone, Debug)]
pub struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    /// Dice that begin at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Others, whose throws do not change these.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::new(self.number())
    }

    /// Any number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.lock().random()
    }

    /// A number of `range`, which is not empty.
    #[must_use]
    pub fn within(&self, range: Range<u64>) -> u64 {
        self.0.lock().random_range(range)
    }

    /// `true` so many times of a thousand.
    #[must_use]
    pub fn chance(&self, of_thousand: u64) -> bool {
        self.within(0..1000) < of_thousand
    }

    /// A length of time, in milliseconds of `range`.
    #[must_use]
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// One of `items`, which are not none.
    #[must_use]
    pub fn pick<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.within(0..items.len() as u64)).expect("a place in memory")]
    }
}
