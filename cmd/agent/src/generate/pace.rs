use std::str::FromStr;
use std::time::Duration;

use crate::parse_duration;

/// Times at which the rate is higher: during the last `length` of every `every`, `factor` times as many records come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    factor: f64,
    every_ns: f64,
    length_ns: f64,
}

impl FromStr for Bursts {
    type Err = String;

    /// Reads `FACTOR:EVERY:LENGTH`, such as `10:60s:5s`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not FACTOR:EVERY:LENGTH, such as 10:60s:5s");
        let mut parts = text.split(':');
        let (Some(factor), Some(every), Some(length), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let factor: f64 = factor.parse().map_err(|_| wrong())?;
        let (every, length) = (parse_duration(every)?, parse_duration(length)?);
        if !(1.0..=10_000.0).contains(&factor) || length >= every {
            return Err(format!(
                "{}: the factor is between 1 and 10,000, and a burst shorter than its period",
                wrong()
            ));
        }
        Ok(Self { factor, every_ns: every.as_nanos() as f64, length_ns: length.as_nanos() as f64 })
    }
}

/// Says when each of a sequence of records comes.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Weight from one record to the next: time outside bursts, time by factor inside.
    step_ns: f64,
    bursts: Option<Bursts>,
    records: u64,
}

impl Pace {
    /// `rate` records a second (more than 0), more during bursts.
    #[must_use]
    pub fn new(rate: f64, bursts: Option<Bursts>) -> Self {
        Self { step_ns: 1e9 / rate, bursts, records: 0 }
    }

    /// `total` records spread over `span`, denser during bursts; the last comes before its end.
    #[must_use]
    pub fn over(span: Duration, total: u64, bursts: Option<Bursts>) -> Self {
        let span_ns = span.as_nanos() as f64;
        let weight_ns = match bursts {
            None => span_ns,
            Some(Bursts { factor, every_ns, length_ns }) => {
                let (periods, rest_ns) = ((span_ns / every_ns).floor(), span_ns % every_ns);
                let burst_ns = periods * length_ns + (rest_ns - (every_ns - length_ns)).max(0.0);
                span_ns + (factor - 1.0) * burst_ns
            }
        };
        Self { step_ns: weight_ns / total.max(1) as f64, bursts, records: 0 }
    }

    /// When the next record comes, ns after the first.
    pub fn next_ns(&mut self) -> i64 {
        let weight_ns = self.records as f64 * self.step_ns;
        self.records += 1;
        let at_ns = self.bursts.map_or(weight_ns, |Bursts { factor, every_ns, length_ns }| {
            let quiet_ns = every_ns - length_ns;
            let period_weight_ns = quiet_ns + factor * length_ns;
            let (periods, rest_ns) = ((weight_ns / period_weight_ns).floor(), weight_ns % period_weight_ns);
            periods * every_ns + rest_ns.min(quiet_ns) + (rest_ns - quiet_ns).max(0.0) / factor
        });
        at_ns as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_bursts_are_denser() {
        let mut even = Pace::new(1_000.0, None);
        assert_eq!([even.next_ns(), even.next_ns(), even.next_ns()], [0, 1_000_000, 2_000_000]);
        let mut pace = Pace::new(100.0, Some("10:10s:1s".parse().unwrap()));
        let mut by_second = [0_u32; 20];
        loop {
            let at = (pace.next_ns() / 1_000_000_000) as usize;
            let Some(count) = by_second.get_mut(at) else { break };
            *count += 1;
        }
        assert!((99..=101).contains(&by_second[3]) && (990..=1_010).contains(&by_second[9]), "{by_second:?}");
        assert!((990..=1_010).contains(&by_second[19]), "{by_second:?}");
    }

    #[test]
    fn a_span_holds_all_of_the_records() {
        for bursts in [None, Some("20:60s:7s".parse().unwrap())] {
            let span = Duration::from_secs(3_700);
            let mut pace = Pace::over(span, 10_000, bursts);
            let last_ns = (0..10_000).map(|_| pace.next_ns()).last().unwrap();
            let share = last_ns as f64 / span.as_nanos() as f64;
            assert!((0.98..1.0).contains(&share), "{share} {bursts:?}");
        }
    }

    #[test]
    fn bursts_are_read_and_checked() {
        for bad in ["", "10", "10:1s", "10:1s:1s", "0.5:10s:1s", "x:10s:1s", "2:10s:1s:1s", "NaN:10s:1s"] {
            assert!(bad.parse::<Bursts>().is_err(), "{bad}");
        }
    }
}
