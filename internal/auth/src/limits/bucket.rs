use std::time::Duration;

/// A rate with room for a burst: the generic cell rate algorithm (ITU-T I.371), kept as a level that refills. Rate and burst
/// are arguments, as an operator may change them at any moment; so is the time.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// What is left, in units of one part in `span_ns`, so that no fraction is lost. Below 0 for what was taken ahead.
    level: i128,
    at_ns: i64,
    is_new: bool,
}

/// So much a span of time, and so much of it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// How much refills in `span_ns`; at least 1.
    pub(super) amount: u64,
    /// The span, ns; the same at each call of a bucket.
    pub(super) span_ns: u64,
    /// How much there may be at once.
    pub(super) burst: u64,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    /// It would fit after so long.
    Until(Duration),
    /// It is more than a burst: never.
    Never,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { level: 0, at_ns: 0, is_new: true }
    }
}

impl Bucket {
    /// Refills up to `now_ns`. A clock that was put back refills nothing.
    fn refill(&mut self, now_ns: i64, rate: Rate) {
        let full = i128::from(rate.burst) * i128::from(rate.span_ns);
        if self.is_new {
            *self = Self { level: full, at_ns: now_ns, is_new: false };
        }
        let passed_ns = i128::from(now_ns) - i128::from(self.at_ns);
        self.level = (self.level + passed_ns.max(0) * i128::from(rate.amount)).min(full);
        self.at_ns = now_ns;
    }

    /// How long until `amount` is there; zero when it is there now.
    pub(super) fn look(&mut self, amount: u64, now_ns: i64, rate: Rate) -> Result<Duration, Short> {
        self.refill(now_ns, rate);
        if amount > rate.burst {
            return Err(Short::Never);
        }
        let lacks = i128::from(amount) * i128::from(rate.span_ns) - self.level;
        if lacks <= 0 {
            return Ok(Duration::ZERO);
        }
        let each = i128::from(rate.amount.max(1));
        let wait_ns = (lacks + each - 1) / each;
        Ok(Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(u64::MAX)))
    }

    /// Takes `amount`, also where it is not there yet: after [`Bucket::look`].
    pub(super) fn take(&mut self, amount: u64, rate: Rate) {
        self.level -= i128::from(amount) * i128::from(rate.span_ns);
    }

    /// Takes `amount` if it is there by `patience`, and says how long it must be waited for.
    pub(super) fn take_within(
        &mut self,
        amount: u64,
        now_ns: i64,
        rate: Rate,
        patience: Duration,
    ) -> Result<Duration, Short> {
        let wait = self.look(amount, now_ns, rate)?;
        if wait > patience {
            return Err(Short::Until(wait));
        }
        self.take(amount, rate);
        Ok(wait)
    }

    /// Gives `amount` back.
    pub(super) fn give_back(&mut self, amount: u64, rate: Rate) {
        self.level += i128::from(amount) * i128::from(rate.span_ns);
    }

    /// Takes what others have taken of the same rate; the debt is never more than a burst.
    pub(super) fn drain(&mut self, amount: u64, now_ns: i64, rate: Rate) {
        self.refill(now_ns, rate);
        let full = i128::from(rate.burst) * i128::from(rate.span_ns);
        self.level = (self.level - i128::from(amount) * i128::from(rate.span_ns)).max(self.level.min(-full));
    }

    /// How much would have been taken of each span, over the last burst, if `amount` were too: more than the rate where it is not there.
    pub(super) fn pace(&self, amount: u64, rate: Rate) -> u64 {
        let span_ns = i128::from(rate.span_ns);
        let lacks = i128::from(rate.burst) * span_ns - self.level + i128::from(amount) * span_ns;
        let taken = u128::try_from(lacks).unwrap_or(0).div_ceil(u128::from(rate.span_ns.max(1)));
        let pace = (taken * u128::from(rate.amount)).div_ceil(u128::from(rate.burst.max(1)));
        u64::try_from(pace).unwrap_or(u64::MAX)
    }

    /// Whether nothing is owed and nothing would be lost by forgetting it.
    pub(super) fn is_full(&mut self, now_ns: i64, rate: Rate) -> bool {
        self.refill(now_ns, rate);
        self.level >= i128::from(rate.burst) * i128::from(rate.span_ns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: i64 = 1_700_000_000_000_000_000;

    fn rate(amount: u64, burst: u64) -> Rate {
        Rate { amount, span_ns: SECOND, burst }
    }

    #[test]
    fn a_burst_passes_then_the_rate_and_the_wait_is_exact() {
        let (mut bucket, rate) = (Bucket::default(), rate(10, 20));
        assert_eq!(bucket.take_within(20, NOW, rate, Duration::ZERO), Ok(Duration::ZERO));
        let wait = Duration::from_millis(300);
        assert_eq!(bucket.take_within(3, NOW, rate, Duration::ZERO), Err(Short::Until(wait)));
        assert_eq!(bucket.pace(3, rate), 12, "23 within two seconds");
        assert_eq!(
            bucket.take_within(3, NOW + 299_999_999, rate, Duration::ZERO),
            Err(Short::Until(Duration::from_nanos(1)))
        );
        assert_eq!(bucket.take_within(3, NOW + 300_000_000, rate, Duration::ZERO), Ok(Duration::ZERO));
        assert_eq!(bucket.take_within(21, NOW + 1_000_000_000_000, rate, Duration::MAX), Err(Short::Never));
    }

    #[test]
    fn who_waits_is_served_in_turn_and_other_rates_hold_from_then_on() {
        let (mut bucket, patient) = (Bucket::default(), Duration::from_secs(5));
        bucket.take_within(20, NOW, rate(10, 20), Duration::ZERO).unwrap();
        assert_eq!(bucket.take_within(20, NOW, rate(10, 20), patient), Ok(Duration::from_secs(2)));
        assert_eq!(bucket.take_within(20, NOW, rate(10, 20), patient), Ok(Duration::from_secs(4)));
        assert_eq!(bucket.take_within(20, NOW, rate(10, 20), patient), Err(Short::Until(Duration::from_secs(6))));
        bucket.give_back(20, rate(10, 20));
        assert_eq!(
            bucket.take_within(20, NOW, rate(100, 200), Duration::ZERO),
            Err(Short::Until(Duration::from_millis(400)))
        );
        let mut put_back = bucket;
        assert_eq!(put_back.look(1, NOW - 1_000_000_000_000, rate(100, 200)), bucket.look(1, NOW, rate(100, 200)));
    }

    #[test]
    fn what_others_took_is_missing_here_and_debts_are_bounded() {
        let (mut bucket, rate) = (Bucket::default(), rate(10, 20));
        bucket.drain(15, NOW, rate);
        assert_eq!(bucket.look(5, NOW, rate), Ok(Duration::ZERO));
        bucket.drain(1_000_000, NOW, rate);
        assert_eq!(bucket.look(20, NOW, rate), Ok(Duration::from_secs(4)));
        assert!(!bucket.is_full(NOW, rate) && bucket.is_full(NOW + 4_000_000_000, rate));
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_passes_than_burst_and_rate(
            amount in 1_u64..1_000, burst in 1_u64..5_000,
            steps in prop::collection::vec((0_u64..3_000_000_000, 0_u64..6_000), 1..60),
        ) {
            let (mut bucket, mut now_ns, mut passed) = (Bucket::default(), NOW, 0);
            for (pause_ns, wanted) in steps {
                now_ns += i64::try_from(pause_ns).unwrap();
                if bucket.take_within(wanted, now_ns, rate(amount, burst), Duration::ZERO).is_ok() {
                    passed += u128::from(wanted);
                }
                let elapsed = u128::try_from(now_ns - NOW).unwrap();
                prop_assert!(passed <= u128::from(burst) + elapsed * u128::from(amount) / u128::from(SECOND));
            }
        }
    }
}
