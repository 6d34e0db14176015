/// A small seeded generator of numbers (SplitMix64). The same seed gives the same numbers in every version and on every
/// machine, which general-purpose generators do not promise. Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts a sequence.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The product's high half: a bias below 2^-32 for every `end` that is used here.
        ((u128::from(self.roll()) * u128::from(end)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// One of `items`; `None` when there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// An index drawn by weight, where `cumulative` holds the running sums of the weights; 0 when all are 0.
    pub fn weighted(&mut self, cumulative: &[u64]) -> usize {
        let drawn = self.below(cumulative.last().copied().unwrap_or(0));
        cumulative.partition_point(|sum| *sum <= drawn).min(cumulative.len().saturating_sub(1))
    }

    /// Appends `digits` lower-case hex digits to `out`.
    pub fn hex(&mut self, out: &mut String, digits: usize) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut bits = 0;
        for at in 0..digits {
            if at % 16 == 0 {
                bits = self.roll();
            }
            out.push(char::from(HEX[(bits & 15) as usize]));
            bits >>= 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_never_changes() {
        let mut dice = Dice::new(0);
        // The published first outputs of SplitMix64 for seed 0.
        assert_eq!([dice.roll(), dice.roll()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn draws_stay_within_their_bounds_and_follow_the_weights() {
        let mut dice = Dice::new(7);
        let mut seen = [0_u32; 3];
        for _ in 0..10_000 {
            assert!((3..=9).contains(&dice.between(3, 9)));
            seen[dice.weighted(&[1, 1, 10])] += 1;
        }
        assert_eq!(seen[1], 0, "a weight of nothing is never drawn");
        assert!((800..1200).contains(&seen[0]), "{seen:?}");
        assert_eq!((dice.below(0), dice.weighted(&[]), dice.pick::<u8>(&[])), (0, 0, None));
    }
}
