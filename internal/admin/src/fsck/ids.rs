//! Which records of a partition were seen: a bit each, so that a million of them take little.

use std::collections::BTreeMap;

/// No message holds as many records: each takes some ten bytes of at most 900 KiB.
pub(crate) const MAX_INDEX: u32 = 1 << 17;

/// Records as offset of their message and place in it.
#[derive(Debug, Default)]
pub(crate) struct RecordSet {
    messages: BTreeMap<u64, Vec<u64>>,
}

impl RecordSet {
    /// Adds record `index` (below [`MAX_INDEX`]) of the message at `offset`; `false` when it was there.
    pub(crate) fn add(&mut self, offset: u64, index: u32) -> bool {
        let (word, bit) = ((index / 64) as usize, 1_u64 << (index % 64));
        let words = self.messages.entry(offset).or_default();
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        let is_new = words[word] & bit == 0;
        words[word] |= bit;
        is_new
    }

    /// Adds all of `other`; returns how many records were in both, and the first of them.
    pub(crate) fn merge(&mut self, other: Self) -> (u64, Option<(u64, u32)>) {
        let (mut count, mut first) = (0, None);
        for (offset, words) in other.messages {
            let there = self.messages.entry(offset).or_default();
            if there.len() < words.len() {
                there.resize(words.len(), 0);
            }
            for (at, (held, new)) in there.iter_mut().zip(words).enumerate() {
                let both = *held & new;
                if both != 0 {
                    count += u64::from(both.count_ones());
                    // A message's bits end far below 32 bits' worth: `add` bounds them.
                    first = first.or(Some((offset, at as u32 * 64 + both.trailing_zeros())));
                }
                *held |= new;
            }
        }
        (count, first)
    }

    /// Forgets messages below `offset`.
    pub(crate) fn forget_below(&mut self, offset: u64) {
        self.messages = self.messages.split_off(&offset);
    }

    /// The lowest and the highest offset.
    pub(crate) fn offsets(&self) -> Option<(u64, u64)> {
        Some((*self.messages.first_key_value()?.0, *self.messages.last_key_value()?.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_two_sets_is_counted() {
        let (mut one, mut two) = (RecordSet::default(), RecordSet::default());
        for index in [0, 63, 64, 1_000] {
            assert!(one.add(7, index));
            assert!(!one.add(7, index));
        }
        for (offset, index) in [(6, 0), (7, 64), (7, 65), (7, 1_000), (9, 1)] {
            assert!(two.add(offset, index));
        }
        assert_eq!(one.merge(two), (2, Some((7, 64))));
        assert_eq!(one.offsets(), Some((6, 9)));
        one.forget_below(8);
        assert_eq!(one.offsets(), Some((9, 9)));
    }
}
