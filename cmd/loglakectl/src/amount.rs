//! Amounts as people write them, and as they are shown.

use crate::span;

const UNITS: [(&str, u64); 10] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
    ("", 1),
];

/// Reads `10MiB`, `500KB`, `4096`, or `none` for 0.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    if text == "none" {
        return Ok(0);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, unit)| *unit);
    let amount = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    amount.ok_or_else(|| format!("{text:?} is no amount; write it like 10MiB, 4096 or none"))
}

/// The same with `/s` behind it, or without.
pub(crate) fn a_second(text: &str) -> Result<u64, String> {
    count(text.strip_suffix("/s").unwrap_or(text))
}

/// Reads a length of time, or `none` for 0, as milliseconds.
pub(crate) fn ms(text: &str) -> Result<u64, String> {
    if text == "none" {
        return Ok(0);
    }
    span::parse(text).map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// Writes the value of the limit `name`.
pub(crate) fn show(name: &str, value: u64) -> String {
    let whole = |unit: &(&str, u64)| value >= unit.1 && value.is_multiple_of(unit.1);
    match name {
        _ if value == 0 => "none".to_owned(),
        "ingest_bytes" | "query_bytes" | "stored_bytes" => {
            let names = ["TiB", "GiB", "MiB", "KiB"];
            let found = UNITS.iter().zip(names).find(|(unit, _)| whole(unit));
            let text = found.map_or_else(|| format!("{value}B"), |((_, unit), name)| format!("{}{name}", value / unit));
            if name == "ingest_bytes" { format!("{text}/s") } else { text }
        }
        "ingest_records" => format!("{value}/s"),
        _ if name.ends_with("_ms") && value.is_multiple_of(1_000) => format!("{}s", value / 1_000),
        _ if name.ends_with("_ms") => format!("{value}ms"),
        _ => value.to_string(),
    }
}

/// Writes so many bytes with three digits or a few more.
pub(crate) fn about(bytes: u64) -> String {
    let names = ["TiB", "GiB", "MiB", "KiB"];
    match UNITS.iter().zip(names).find(|(unit, _)| bytes >= unit.1) {
        Some(((_, unit), name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{}{name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them_and_shown_so() {
        assert_eq!((a_second("10MiB/s"), a_second("1000/s"), a_second("none")), (Ok(10 << 20), Ok(1_000), Ok(0)));
        assert_eq!((count("2GB"), ms("10s"), ms("none")), (Ok(2_000_000_000), Ok(10_000), Ok(0)));
        for bad in ["", "MiB", "-1", "1.5GiB", "10MiB/h", "99999999999TiB", "nothing"] {
            assert!(a_second(bad).is_err(), "{bad}");
        }
        let shown = [("ingest_bytes", 10 << 20), ("ingest_records", 7), ("query_bytes", 1_500), ("query_time_ms", 0)];
        assert_eq!(shown.map(|(name, value)| show(name, value)), ["10MiB/s", "7/s", "1500B", "none"]);
        assert_eq!(
            (show("ingest_burst_ms", 10_000), show("query_time_ms", 250)),
            ("10s".to_owned(), "250ms".to_owned())
        );
        assert_eq!(show("stored_bytes", 5 << 40), "5TiB");
        assert_eq!([0, 1_023, 1_536, (5 << 40) - 1].map(about), ["0B", "1023B", "1.5KiB", "4.9TiB"]);
        assert_eq!(about(u64::MAX), "16777215.9TiB");
    }
}
