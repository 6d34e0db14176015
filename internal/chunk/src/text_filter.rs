//! The text filter: a bitmap of 5-grams, folded to the smallest size that is not too full.

use crate::hash;

/// The smallest map: one 64-bit word.
pub(crate) const MIN_LOG2: u32 = 6;
/// The largest map that this writer makes, in bits: 128 KiB, which still fits the nearer caches.
const WRITTEN_LOG2: u32 = 20;

/// The unfolded map of the grams of a block, or of a chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct GramMap {
    words: Vec<u64>,
}

impl GramMap {
    /// Becomes an empty map, large enough for the grams of `raw_bytes` of lines.
    pub(crate) fn reset(&mut self, raw_bytes: usize) {
        let log2 = (raw_bytes.max(1).ilog2() + 2).clamp(12, WRITTEN_LOG2);
        self.words.clear();
        self.words.resize(1 << (log2 - 6), 0);
    }

    /// Becomes the same as `other`.
    pub(crate) fn copy(&mut self, other: &Self) {
        self.words.clone_from(&other.words);
    }

    /// Memory held, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    #[inline]
    fn set(&mut self, index: u32) {
        let mask = self.words.len() - 1;
        let word = (index >> 6) as usize & mask;
        self.words[word] |= 1 << (index & 63);
    }

    /// Adds all grams of `value`.
    #[inline]
    pub(crate) fn add(&mut self, value: &[u8]) {
        hash::grams(value, |index| self.set(index));
    }

    /// Adds all grams of `value`, of which those of `known` (of the same length) are in the map already: where eight
    /// bytes are equal at the same place, their grams are there. Lines of one template share most of their bytes.
    #[inline]
    pub(crate) fn add_unlike(&mut self, value: &[u8], known: &[u8]) {
        let (Some(last), Some(known_last)) = (value.last_chunk::<8>(), known.last_chunk::<8>()) else {
            return self.add(value);
        };
        let mut at = 0;
        while let (Some(word), Some(known)) = (word_at(value, at), word_at(known, at)) {
            if word != known {
                hash::four(word, &mut |index| self.set(index));
            }
            at += 4;
        }
        if last != known_last {
            hash::four(u64::from_le_bytes(*last), &mut |index| self.set(index));
        }
    }

    /// Adds all that `other` holds. From a smaller map every bit is repeated at all places it may have come from.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            let own = std::mem::replace(self, other.clone());
            return self.merge(&own);
        }
        for part in self.words.chunks_mut(other.words.len().max(1)) {
            part.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
        }
    }

    /// Appends the folded map to `out` and returns the binary logarithm of its length in bits: the halves are laid over
    /// each other while at most six bits in ten are set. `words` is overwritten.
    pub(crate) fn fold_into(&self, words: &mut Vec<u64>, out: &mut Vec<u8>) -> u8 {
        words.clone_from(&self.words);
        while words.len() > 1 {
            let (low, high) = words.split_at(words.len() / 2);
            let set: u64 = low.iter().zip(high).map(|(low, high)| u64::from((low | high).count_ones())).sum();
            let bits = low.len() as u64 * 64;
            if set * 10 > bits * 6 {
                break;
            }
            let half = low.len();
            let (low, high) = words.split_at_mut(half);
            low.iter_mut().zip(high).for_each(|(low, high)| *low |= *high);
            words.truncate(half);
        }
        out.reserve(words.len() * 8);
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        (words.len().ilog2() + 6) as u8
    }
}

#[inline]
fn word_at(value: &[u8], at: usize) -> Option<u64> {
    value.get(at..)?.first_chunk::<8>().map(|word| u64::from_le_bytes(*word))
}

/// Whether all of `grams` are in the folded map `bits`, whose length is a power of two.
pub(crate) fn holds_all(bits: &[u8], grams: &[u32]) -> bool {
    let mask = bits.len().wrapping_sub(1);
    grams.iter().all(|gram| {
        let byte = (gram >> 3) as usize & mask;
        bits.get(byte).is_none_or(|byte| byte >> (gram & 7) & 1 == 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn empty(raw_bytes: usize) -> GramMap {
        let mut map = GramMap::default();
        map.reset(raw_bytes);
        map
    }

    fn indices(value: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        hash::grams(value, |index| found.push(index));
        found
    }

    proptest! {
        #[test]
        fn nothing_added_is_lost_by_skipping_merging_and_folding(
            pairs in proptest::collection::vec(("[ab]{0,24}", "[ab]{0,24}"), 1..20), small in 1_usize..100, large in 1_usize..2_000_000,
        ) {
            let (mut first, mut second) = (empty(small), empty(large));
            for (one, other) in &pairs {
                let same = one.len().min(other.len());
                let (one, other) = (&one.as_bytes()[..same], &other.as_bytes()[..same]);
                first.add(one);
                first.add_unlike(other, one);
                second.add(other);
            }
            for map in [{ let mut map = first.clone(); map.merge(&second); map }, { second.merge(&first); second }, first] {
                let mut bits = Vec::new();
                let log2 = map.fold_into(&mut Vec::new(), &mut bits);
                prop_assert_eq!(bits.len() * 8, 1 << log2);
                for (one, other) in &pairs {
                    let same = one.len().min(other.len());
                    prop_assert!(holds_all(&bits, &indices(&one.as_bytes()[..same])));
                    prop_assert!(holds_all(&bits, &indices(&other.as_bytes()[..same])));
                }
            }
        }
    }

    #[test]
    fn an_empty_map_holds_nothing_and_is_small() {
        let mut bits = Vec::new();
        assert_eq!(empty(1 << 20).fold_into(&mut Vec::new(), &mut bits), 6);
        assert!(!holds_all(&bits, &indices(b"timeout")));
        assert!(holds_all(&bits, &[]));
    }
}
