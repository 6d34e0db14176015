//! The rule that drops repeats: what a processor does, and every reader of the raw tail.

use super::state::{Appended, Seen};
use super::{Config, Naive};

impl Seen {
    /// Takes the next message of the log, and says whether it counts.
    pub(super) fn take(&mut self, config: &Config, message: Appended) -> bool {
        let (number, part, low) = (message.part.number, message.part.part, message.part.low);
        if message.is_late {
            // The state is gone by now.
            *self = Self::default();
            return config.is(Naive::LateCounts);
        }
        match config.naive {
            Some(Naive::HighestOnly) => {
                let is_new = self.parts.first().is_none_or(|(highest, _)| number > *highest);
                if is_new {
                    self.parts = vec![(number, part)];
                }
                return is_new;
            }
            Some(Naive::LastNumbers) => {
                let is_new = !self.parts.contains(&(number, part));
                if is_new {
                    self.parts = vec![(number, part)];
                }
                return is_new;
            }
            _ => {}
        }
        let is_seen = match config.naive {
            Some(Naive::NumberOnly) => self.parts.iter().any(|(seen, _)| *seen == number),
            _ => self.parts.contains(&(number, part)),
        };
        let is_new = number >= self.low && !is_seen;
        if is_new {
            self.parts.push((number, part));
            self.parts.sort_unstable();
        }
        self.low = self.low.max(low);
        if config.is(Naive::NoWindow) {
            // Its room is bounded all the same: the lowest is forgotten.
            while self.parts.len() > usize::from(config.window * config.parts) {
                self.low = self.low.max(self.parts.remove(0).0 + 1);
            }
        }
        let low = self.low;
        self.parts.retain(|(number, _)| *number >= low);
        is_new
    }

    /// Whether it is within the room that is promised for it.
    pub(super) fn is_bounded(&self, config: &Config) -> bool {
        self.parts.len() <= usize::from(config.window * config.parts)
    }
}
