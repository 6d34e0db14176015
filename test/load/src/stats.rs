//! Middles and percentiles.

use std::time::Duration;

use serde::Serialize;

/// The middle of `values`; NaN when there are none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => (values[length / 2 - 1] + values[length / 2]) / 2.0,
    }
}

/// How long many things of a kind took, milliseconds. NaN when there were none.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// How many there were.
    pub count: usize,
    /// Half of them took no longer.
    pub p50: f64,
    /// 95 of 100 took no longer.
    pub p95: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// Those of `times`, by nearest rank.
    #[must_use]
    pub fn of(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort_unstable();
        let rank = |percent: usize| {
            let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        Self { count: times.len(), p50: rank(50), p95: rank(95), p99: rank(99), max: rank(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_values() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn percentiles_are_of_nearest_rank() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let Percentiles { count, p50, p95, p99, max } = Percentiles::of(&times);
        assert_eq!((count, p50, p95, p99, max), (200, 100.0, 190.0, 198.0, 200.0));
        let one = Percentiles::of(&times[..1]);
        assert_eq!((one.p50, one.p99), (200.0, 200.0));
        assert!(Percentiles::of(&[]).p50.is_nan());
    }
}
