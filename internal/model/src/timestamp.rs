use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment: nanoseconds UTC since the epoch. Written RFC 3339 with nine fractional digits and `Z`, always 30 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Why a value is not a moment that Loglake keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    /// Neither RFC 3339 nor an integer.
    #[error("a timestamp is RFC 3339 text or an integer of s, ms, us or ns since the epoch")]
    Malformed,
    /// Before 1970.
    #[error("a timestamp is not before 1970")]
    Negative,
    /// Past the last nanosecond that 64 bits hold, in 2262.
    #[error("a timestamp is not past 2262-04-11T23:47:16Z")]
    Overflow,
}

const DAY_NS: i64 = 86_400_000_000_000;

impl Timestamp {
    /// How long the written form is, in bytes.
    pub const TEXT_BYTES: usize = 30;

    /// Reads an integer of a unit told by its size: |n| < 1e11 seconds, < 1e14 milliseconds, < 1e17 microseconds, else
    /// nanoseconds.
    ///
    /// # Errors
    /// `Negative` below 0; no integer overflows, as nanoseconds are taken as they are.
    pub fn from_integer(n: i64) -> Result<Self, InvalidTimestamp> {
        let unit_ns = match n {
            ..0 => return Err(InvalidTimestamp::Negative),
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        n.checked_mul(unit_ns).filter(|ns| *ns < i64::MAX).map(Self).ok_or(InvalidTimestamp::Overflow)
    }

    /// Reads RFC 3339 with any offset, or an integer written as text (see [`Timestamp::from_integer`]).
    ///
    /// # Errors
    /// [`InvalidTimestamp`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(n) => Self::from_integer(n),
                Err(_) if text.starts_with('-') => Err(InvalidTimestamp::Negative),
                Err(_) => Err(InvalidTimestamp::Overflow),
            };
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp::Malformed)?;
        let ns = moment.unix_timestamp_nanos();
        match i64::try_from(ns) {
            Ok(ns) if (0..i64::MAX).contains(&ns) => Ok(Self(ns)),
            _ if ns < 0 => Err(InvalidTimestamp::Negative),
            _ => Err(InvalidTimestamp::Overflow),
        }
    }

    /// The written form.
    #[must_use]
    pub fn to_text(self) -> [u8; Self::TEXT_BYTES] {
        let (days, within) = (self.0.div_euclid(DAY_NS), self.0.rem_euclid(DAY_NS));
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let mut put = |at: usize, width: usize, mut value: u64| {
            for slot in text[at..at + width].iter_mut().rev() {
                *slot = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        let seconds = within.unsigned_abs() / 1_000_000_000;
        put(0, 4, year.unsigned_abs());
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, seconds / 3600);
        put(14, 2, seconds / 60 % 60);
        put(17, 2, seconds % 60);
        put(20, 9, within.unsigned_abs() % 1_000_000_000);
        text
    }

    /// Reads exactly the written form (30 bytes); `None` for anything else. The fast way back from a chunk's line.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let text: &[u8; Self::TEXT_BYTES] = text.try_into().ok()?;
        let shape = text[4] == b'-' && text[7] == b'-' && text[10] == b'T' && text[13] == b':' && text[16] == b':';
        if !shape || text[19] != b'.' || text[29] != b'Z' {
            return None;
        }
        let number = |from: usize, to: usize| {
            text[from..to]
                .iter()
                .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second, nanos) = (number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 29)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        let moment = Self(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?);
        (moment.to_text() == *text).then_some(moment)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_text().iter().try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

/// Days since 1970-01-01 to year, month and day of the proleptic Gregorian calendar (eras of 400 years that begin in March).
fn civil_from_days(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097).unsigned_abs());
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era.cast_signed() + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(
            Timestamp::parse("2024-02-29T12:00:00.5+02:00").unwrap().to_string(),
            "2024-02-29T10:00:00.500000000Z"
        );
        assert_eq!(Timestamp::parse("1700000000000"), Ok(Timestamp(1_700_000_000_000_000_000)));
        assert_eq!(Timestamp::from_integer(1_700_000_000), Ok(Timestamp(1_700_000_000_000_000_000)));
        assert_eq!(Timestamp::from_integer(-1), Err(InvalidTimestamp::Negative));
        assert_eq!(Timestamp::parse("99999999999999999999"), Err(InvalidTimestamp::Overflow));
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59Z"), Err(InvalidTimestamp::Negative));
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59Z"), Err(InvalidTimestamp::Overflow));
        assert_eq!(Timestamp::parse("yesterday"), Err(InvalidTimestamp::Malformed));
        assert_eq!(Timestamp::from_text(b"2023-02-30T00:00:00.000000000Z"), None);
    }

    proptest! {
        #[test]
        fn the_written_form_comes_back_and_is_what_the_library_reads(ns in 0..i64::MAX) {
            let text = Timestamp(ns).to_string();
            prop_assert_eq!(text.len(), Timestamp::TEXT_BYTES);
            prop_assert_eq!(Timestamp::from_text(text.as_bytes()), Some(Timestamp(ns)));
            prop_assert_eq!(Timestamp::parse(&text), Ok(Timestamp(ns)));
        }
    }
}
