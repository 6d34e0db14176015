use loglake_model::{InvalidTimestamp, Timestamp};

/// How far a number's point is moved by its exponent before it is refused.
const MAX_EXPONENT: i64 = 40;

/// Reads the text of a number, with or without fraction and exponent, as a moment of a unit told by the size of its whole
/// part ([`Timestamp::from_integer`]). Decimal all the way: no rounding; what is finer than a nanosecond is cut off.
pub(crate) fn moment(text: &str) -> Result<Timestamp, InvalidTimestamp> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| InvalidTimestamp::Malformed)?),
        None => (text, 0),
    };
    let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    if whole.is_empty() || digits.len() > 64 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidTimestamp::Malformed);
    }
    if !(-MAX_EXPONENT..=MAX_EXPONENT).contains(&exponent) {
        return Err(InvalidTimestamp::Malformed);
    }
    if digits.bytes().all(|byte| byte == b'0') {
        return Ok(Timestamp(0));
    }
    if is_negative {
        return Err(InvalidTimestamp::Negative);
    }
    // Where the point stands among the digits, after the exponent has moved it.
    let point = whole.len() as i64 + exponent;
    let digit = |at: i64| {
        let found = usize::try_from(at).ok().and_then(|at| digits.as_bytes().get(at));
        found.map_or(0, |digit| i64::from(digit - b'0'))
    };
    let whole = (0..point).try_fold(0_i64, |sum, at| sum.checked_mul(10)?.checked_add(digit(at)));
    let whole = whole.ok_or(InvalidTimestamp::Overflow)?;
    let start = Timestamp::from_integer(whole)?;
    let fraction_digits = match whole {
        0..100_000_000_000 => 9,
        100_000_000_000..100_000_000_000_000 => 6,
        100_000_000_000_000..100_000_000_000_000_000 => 3,
        _ => 0,
    };
    let fraction = (point..point + fraction_digits).fold(0, |sum, at| sum * 10 + digit(at));
    match start.0.checked_add(fraction) {
        Some(ns) if ns < i64::MAX => Ok(Timestamp(ns)),
        _ => Err(InvalidTimestamp::Overflow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_digit_by_digit() {
        let second = 1_700_000_000_000_000_000;
        for (text, ns) in [
            ("1700000000", second),
            ("1700000000.5", second + 500_000_000),
            ("1700000000.123456789", second + 123_456_789),
            ("1700000000.1234567899", second + 123_456_789),
            ("1700000000000.25", second + 250_000),
            ("1700000000000000.5", second + 500),
            ("1700000000000000000", second),
            ("1700000000000000000.9", second),
            ("1.7e9", second),
            ("1.7E+9", second),
            ("17000000005e-1", second + 500_000_000),
            ("0.5", 500_000_000),
            ("5e-1", 500_000_000),
            ("0", 0),
            ("-0", 0),
            ("0.000", 0),
        ] {
            assert_eq!(moment(text), Ok(Timestamp(ns)), "{text}");
        }
        for (text, error) in [
            ("-1", InvalidTimestamp::Negative),
            ("-0.5", InvalidTimestamp::Negative),
            ("1e30", InvalidTimestamp::Overflow),
            ("99999999999999999999", InvalidTimestamp::Overflow),
            ("9223372036854775807", InvalidTimestamp::Overflow),
            ("1e999999999999999999999", InvalidTimestamp::Malformed),
            ("1e-99", InvalidTimestamp::Malformed),
            ("", InvalidTimestamp::Malformed),
            (".5", InvalidTimestamp::Malformed),
            ("1 2", InvalidTimestamp::Malformed),
            ("ü", InvalidTimestamp::Malformed),
        ] {
            assert_eq!(moment(text), Err(error), "{text}");
        }
    }
}
