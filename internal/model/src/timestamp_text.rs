use crate::Timestamp;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Writes moments one after another. They mostly share their second, or at least their day, with the one before: what is the same
/// is not written anew.
#[derive(Clone, Debug)]
pub struct TimestampText {
    /// The second that `text` shows.
    second: i64,
    text: [u8; Timestamp::TEXT_BYTES],
}

impl Default for TimestampText {
    fn default() -> Self {
        Self { second: 0, text: Timestamp(0).to_text() }
    }
}

impl TimestampText {
    /// The written form of `at`: always what [`Timestamp::to_text`] says.
    pub fn of(&mut self, at: Timestamp) -> &[u8; Timestamp::TEXT_BYTES] {
        let second = at.0.div_euclid(SECOND_NS);
        if second != self.second {
            if second.div_euclid(DAY_SECONDS) == self.second.div_euclid(DAY_SECONDS) {
                let within = second.rem_euclid(DAY_SECONDS).unsigned_abs();
                put_two(&mut self.text, 11, within / 3600);
                put_two(&mut self.text, 14, within / 60 % 60);
                put_two(&mut self.text, 17, within % 60);
            } else {
                self.text = Timestamp(second.saturating_mul(SECOND_NS)).to_text();
            }
            self.second = second;
        }
        let nanos = at.0.rem_euclid(SECOND_NS).unsigned_abs();
        put_two(&mut self.text, 20, nanos / 10_000_000);
        put_two(&mut self.text, 22, nanos / 100_000 % 100);
        put_two(&mut self.text, 24, nanos / 1_000 % 100);
        put_two(&mut self.text, 26, nanos / 10 % 100);
        self.text[28] = b'0' + (nanos % 10) as u8;
        &self.text
    }
}

/// Writes a number below 100.
fn put_two(text: &mut [u8; Timestamp::TEXT_BYTES], at: usize, number: u64) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_writes_what_a_moment_alone_writes(
            moments in proptest::collection::vec((any::<i64>(), 0..i64::MAX, -100_000_000_000_000_i64..100_000_000_000_000), 1..20)
        ) {
            let mut text = TimestampText::default();
            for (any, later, near) in moments {
                for ns in [any, later, later.saturating_add(near), later.saturating_add(near / 100_000)] {
                    prop_assert_eq!(*text.of(Timestamp(ns)), Timestamp(ns).to_text());
                }
            }
        }
    }
}
