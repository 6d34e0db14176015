//! The trace filter: a binary fuse filter with three places and 8-bit fingerprints (Graf and Lemire, "Binary Fuse Filters:
//! Fast and Smaller Than Xor Filters", 2022). Its parameters are stored, so a reader needs only [`Shape::places`].

use crate::hash::mix;

/// How many seeds a build tries before it gives up. Each fails for a few sets of keys in a hundred at most.
const ATTEMPTS: u64 = 64;
/// From how many keys on segments have 2^3, 2^4 … slots: 3.33^(e - 2.25), rounded up.
const SEGMENT_STEPS: [usize; 14] =
    [3, 9, 28, 92, 304, 1_010, 3_362, 11_194, 37_273, 124_118, 413_311, 1_376_323, 4_583_153, 15_261_898];
/// The longest segment that a reader takes, in slots, as a binary logarithm.
pub(crate) const MAX_SEGMENT_LOG2: u8 = 18;

/// The parameters of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) segment_log2: u8,
    pub(crate) segments: u32,
}

impl Shape {
    /// How many fingerprints the filter has: two segments more than a key's first place may lie in.
    pub(crate) fn slots(self) -> u64 {
        (u64::from(self.segments) + 2) << self.segment_log2
    }

    /// The three places of a mixed key, each in a segment of its own.
    #[inline]
    fn places(self, mixed: u64) -> [usize; 3] {
        let length = 1_u64 << self.segment_log2;
        let first = ((u128::from(mixed) * u128::from(u64::from(self.segments) << self.segment_log2)) >> 64) as u64;
        let second = (first + length) ^ ((mixed >> 18) & (length - 1));
        let third = (first + 2 * length) ^ (mixed & (length - 1));
        [first as usize, second as usize, third as usize]
    }

    /// Whether `key` may be among those that `fingerprints` was built of.
    pub(crate) fn may_hold(self, fingerprints: &[u8], key: u64) -> bool {
        let mixed = mix(key.wrapping_add(self.seed));
        let [first, second, third] = self.places(mixed).map(|place| fingerprints.get(place));
        match (first, second, third) {
            (Some(first), Some(second), Some(third)) => fingerprint(mixed) == first ^ second ^ third,
            _ => true,
        }
    }
}

fn fingerprint(mixed: u64) -> u8 {
    (mixed ^ (mixed >> 32)) as u8
}

/// A slot while a filter is built: how many keys have a place here, and all of them xored.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    keys: u32,
    xor: u64,
}

/// Memory that serves filter after filter.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    slots: Vec<Slot>,
    /// Slots that hold one key.
    alone: Vec<usize>,
    /// Mixed keys in the order they came off, each with the slot that held only it.
    order: Vec<(u64, usize)>,
    fingerprints: Vec<u8>,
}

/// Builds a filter of `keys` (distinct, at least one). `None` when no seed works, which only keys made for that bring about.
pub(crate) fn build<'a>(keys: &[u64], scratch: &'a mut Scratch) -> Option<(Shape, &'a [u8])> {
    let segment_log2 = 2 + SEGMENT_STEPS.iter().take_while(|step| **step <= keys.len()).count() as u8;
    // Slots a key: 0.875 + 0.25 log2(10^6) / log2(keys), at least 1.125, in integers, so that every machine writes the same;
    // log2 in quarters, by way of the fourth power.
    let quarters = (keys.len().clamp(2, 1 << 31) as u128).pow(4).ilog2();
    let permille = (875 + 4 * 4_983 / u64::from(quarters)).max(1_125);
    let wanted = (keys.len() as u64 * permille).div_ceil(1_000);
    let segments = u32::try_from(wanted.div_ceil(1 << segment_log2)).ok()?.saturating_sub(2).max(1);
    let mut shapes = (1..=ATTEMPTS).map(|attempt| Shape { seed: mix(attempt), segment_log2, segments });
    let shape = shapes.find(|shape| attempt_with(*shape, keys, scratch))?;
    Some((shape, &scratch.fingerprints))
}

/// Peels keys off slots that hold only them; if all come off, assigns fingerprints in the reverse order.
fn attempt_with(shape: Shape, keys: &[u64], scratch: &mut Scratch) -> bool {
    let Scratch { slots, alone, order, fingerprints } = scratch;
    let Ok(count) = usize::try_from(shape.slots()) else { return false };
    slots.clear();
    slots.resize(count, Slot::default());
    order.clear();
    for key in keys {
        let mixed = mix(key.wrapping_add(shape.seed));
        for place in shape.places(mixed) {
            slots[place].keys += 1;
            slots[place].xor ^= mixed;
        }
    }
    alone.clear();
    alone.extend((0..count).filter(|place| slots[*place].keys == 1));
    while let Some(place) = alone.pop() {
        if slots[place].keys != 1 {
            continue;
        }
        let mixed = slots[place].xor;
        order.push((mixed, place));
        for place in shape.places(mixed) {
            slots[place].keys -= 1;
            slots[place].xor ^= mixed;
            if slots[place].keys == 1 {
                alone.push(place);
            }
        }
    }
    if order.len() != keys.len() {
        return false;
    }
    fingerprints.clear();
    fingerprints.resize(count, 0);
    for (mixed, own) in order.iter().rev() {
        // The own place is still zero here, so it does not matter to the xor.
        let others = shape.places(*mixed).iter().fold(0, |xor, place| xor ^ fingerprints[*place]);
        fingerprints[*own] = fingerprint(*mixed) ^ others;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_held_and_few_others_whatever_the_size() {
        for count in (1..130).chain([303, 304, 1_009, 1_010, 2_300, 5_000, 40_000]) {
            let keys: Vec<u64> = (0..count).map(|key| mix(key + 1_000_000 * count)).collect();
            let mut scratch = Scratch::default();
            let (shape, fingerprints) = build(&keys, &mut scratch).unwrap();
            assert_eq!(shape.slots(), fingerprints.len() as u64);
            assert!(keys.iter().all(|key| shape.may_hold(fingerprints, *key)), "{count}");
            let strangers = (0..10_000).filter(|key| shape.may_hold(fingerprints, mix(key + (1 << 60)))).count();
            assert!(strangers < 80, "{strangers} of 10,000 strangers held with {count} keys");
            if count >= 1_000 {
                assert!(
                    fingerprints.len() as u64 * 100 <= count * 155,
                    "{} slots for {count} keys",
                    fingerprints.len()
                );
            }
        }
    }

    #[test]
    fn keys_that_cannot_be_told_apart_make_no_filter() {
        assert_eq!(build(&[7, 7], &mut Scratch::default()), None);
    }
}
