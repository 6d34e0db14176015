use std::time::Duration;

const UNITS: [(&str, u64); 10] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("m", 60_000),
    ("sec", 1_000),
    ("s", 1_000),
    ("ms", 1),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("hours", 3_600_000),
];

/// The longest span that can be set: ten thousand days.
const LONGEST_MS: u64 = 10_000 * 86_400_000;

/// Reads a span of time: numbers with units, greatest first: `30s`, `5m`, `1h30m`, `250ms`, `7d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a span of time; write it like \"30s\", \"5m\" or \"1h30m\"");
    let mut rest = text;
    let mut total_ms = 0_u64;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit_ms = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        if unit_ms >= last_unit {
            return Err(wrong());
        }
        last_unit = unit_ms;
        total_ms = number.checked_mul(unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(wrong)?;
        rest = after.trim_start();
    }
    match total_ms {
        _ if text.is_empty() => Err(wrong()),
        LONGEST_MS.. => Err(format!("\"{text}\" is longer than ten thousand days")),
        ms => Ok(Duration::from_millis(ms)),
    }
}

/// Writes a span so that [`parse`] reads it back (to the millisecond).
pub(super) fn show(span: Duration) -> String {
    let mut rest = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= unit_ms {
            text.push_str(&format!("{}{name}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, ms) in
            [("0s", 0), ("30s", 30_000), ("5m", 300_000), ("5min", 300_000), ("1h30m", 5_400_000), ("250ms", 250)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "5", "m", "5 minutes", "30m1h", "1s1s", "-5m", "1.5h", "99999999999999999999d", "20000d", "5é"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for ms in [0, 1, 999, 1_000, 61_001, 86_400_000, 90_061_001] {
            let span = Duration::from_millis(ms);
            assert_eq!(parse(&show(span)), Ok(span));
        }
    }
}
