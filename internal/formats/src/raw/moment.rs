use loglake_model::Timestamp;

const SECOND_NS: i64 = 1_000_000_000;

/// Reads moments one after another: mostly they are of the same day.
#[derive(Debug)]
pub(super) struct Moments {
    /// The last day as it was written.
    day: [u8; 10],
    day_ns: i64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { day: *b"1970-01-01", day_ns: 0 }
    }
}

impl Moments {
    /// Reads RFC 3339 in UTC with `Z`, and at most nine fractional digits; `None` for any other form, years that cannot be kept, and
    /// days and times that are none.
    pub(super) fn read(&mut self, text: &[u8]) -> Option<i64> {
        let (day, rest) = text.split_first_chunk::<10>()?;
        let (time, fraction) = rest.strip_suffix(b"Z")?.split_first_chunk::<9>()?;
        let [b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *time else { return None };
        if *day != self.day {
            self.turn_to(day)?;
        }
        let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let ns = (hour * 3600 + minute * 60 + second) * SECOND_NS + nanos(fraction)?;
        self.day_ns.checked_add(ns).filter(|ns| *ns < i64::MAX)
    }

    fn turn_to(&mut self, day: &[u8; 10]) -> Option<()> {
        let mut midnight = *b"0000-00-00T00:00:00.000000000Z";
        midnight[..day.len()].copy_from_slice(day);
        let day_ns = Timestamp::from_text(&midnight)?.0;
        if day_ns < 0 {
            return None;
        }
        (self.day, self.day_ns) = (*day, day_ns);
        Some(())
    }
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let digits = [tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0')];
    digits.iter().all(|digit| *digit < 10).then(|| i64::from(digits[0]) * 10 + i64::from(digits[1]))
}

/// Reads nothing, or a point and one to nine digits.
fn nanos(fraction: &[u8]) -> Option<i64> {
    let Some((point, digits)) = fraction.split_first() else { return Some(0) };
    if *point != b'.' || !(1..=9).contains(&digits.len()) {
        return None;
    }
    let number =
        digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))?;
    Some((digits.len()..9).fold(number, |number, _| number * 10))
}
