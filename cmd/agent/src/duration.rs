use std::time::Duration;

/// Reads a length of time: a number, with a fraction if wanted, and a unit (`ns us ms s m h d`), such as `1.5s` or `6h`.
///
/// # Errors
/// A sentence that says what would be right.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(loglake_agent::parse_duration("1.5ms"), Ok(Duration::from_micros(1_500)));
/// assert!(loglake_agent::parse_duration("5").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a length of time: write a number and a unit, such as 1ms, 20s, 1.5h");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ns: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(wrong()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let fraction_ns = u128::from(fraction.parse::<u64>().map_err(|_| wrong())?) * u128::from(unit_ns)
        / 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?);
    let ns = u128::from(whole) * u128::from(unit_ns) + fraction_ns;
    // Past 292 years no event time could hold it.
    u64::try_from(ns).ok().filter(|ns| i64::try_from(*ns).is_ok()).map(Duration::from_nanos).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        assert_eq!(parse_duration("6h"), Ok(Duration::from_secs(21_600)));
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("0.000000001s"), Ok(Duration::from_nanos(1)));
        for bad in ["", "h", "1", "-1s", "1x", "1.s", ".5s", "1s2", "1e3s", "99999999999d", "1.0000000001s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
