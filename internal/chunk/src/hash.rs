//! The hash functions of both filters. They are part of the format: the crate's documentation spells them out.

/// How many bytes a gram of the text filter has.
pub(crate) const GRAM_BYTES: usize = 5;
/// How many bits of a gram's hash the largest text filter uses.
pub(crate) const MAX_INDEX_LOG2: u32 = 22;

const GRAM_BITS: u64 = (1 << 40) - 1;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The index of a gram (five lower-cased bytes, the first in the lowest place; what stands above is ignored) in a map of
/// 2^22 bits. Smaller maps take its low bits.
#[inline]
pub(crate) fn gram_index(gram: u64) -> u32 {
    ((gram & GRAM_BITS).wrapping_mul(MULTIPLIER) >> (64 - MAX_INDEX_LOG2)) as u32
}

/// Lower-cases the ASCII letters among eight bytes at once.
#[inline]
pub(crate) fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let seven = word & (0x7f * ONES);
    let past_z = seven + (0x7f - b'Z' as u64) * ONES;
    let from_a = seven + (0x80 - b'A' as u64) * ONES;
    let upper = !word & (from_a ^ past_z) & (0x80 * ONES);
    word | (upper >> 2)
}

/// Calls `each` with the index of every gram of `value`.
#[inline]
pub(crate) fn grams(value: &[u8], mut each: impl FnMut(u32)) {
    if let Some(last) = value.last_chunk::<8>() {
        let mut at = 0;
        while let Some(word) = value.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            four(u64::from_le_bytes(*word), &mut each);
            at += 4;
        }
        four(u64::from_le_bytes(*last), &mut each);
    } else if value.len() >= GRAM_BYTES {
        let mut word = [0_u8; 8];
        word[..value.len()].copy_from_slice(value);
        let word = lower(u64::from_le_bytes(word));
        for gram in 0..=value.len() - GRAM_BYTES {
            each(gram_index(word >> (8 * gram)));
        }
    }
}

/// The four grams that lie wholly in eight bytes.
#[inline]
pub(crate) fn four(word: u64, each: &mut impl FnMut(u32)) {
    let word = lower(word);
    each(gram_index(word));
    each(gram_index(word >> 8));
    each(gram_index(word >> 16));
    each(gram_index(word >> 24));
}

/// Spreads the bits of `x` over all of it; a bijection (the finaliser of MurmurHash3, 64 bits).
#[inline]
pub(crate) fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// The key of a trace id in the trace filters.
#[inline]
pub(crate) fn trace_key(trace_id: &[u8]) -> u64 {
    let mut hash = trace_id.len() as u64;
    let (words, rest) = trace_id.as_chunks::<8>();
    let mut take = |word: [u8; 8]| {
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 29;
    };
    words.iter().for_each(|word| take(*word));
    if !rest.is_empty() {
        let mut last = [0_u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        take(last);
    }
    mix(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_grams_of_a_value_are_found_and_no_others(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut found = BTreeSet::new();
            grams(&value, |index| { found.insert(index); });
            let naive: BTreeSet<u32> = value.to_ascii_lowercase().windows(5).map(|gram| {
                let number = gram.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 42) as u32
            }).collect();
            prop_assert_eq!(found, naive);
        }

        #[test]
        fn eight_bytes_are_lowered_as_one(bytes in any::<[u8; 8]>()) {
            prop_assert_eq!(lower(u64::from_le_bytes(bytes)).to_le_bytes().to_vec(), bytes.to_ascii_lowercase());
        }
    }

    #[test]
    fn the_hashes_never_change() {
        assert_eq!(gram_index(u64::from_le_bytes(*b"error\0\0\0")), 1_868_727);
        assert_eq!(trace_key(b""), 0);
        assert_eq!(trace_key(b"request-7"), 0x25eda1a7c823fcaf);
        assert_eq!(trace_key(b"0af7651916cd43dd8448eb211c80319c"), 0x30712855d1466521);
    }
}
