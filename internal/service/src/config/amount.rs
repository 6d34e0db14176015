use std::fmt;

/// An amount of bytes, written as people write it: `64MiB`, `1GiB`, `500KB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

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

impl Bytes {
    /// Reads a whole number and a unit (`B`, `KiB`, `MiB`, `GiB`, `TiB`, or `KB` to `TB` for powers of ten), in any case.
    ///
    /// # Errors
    /// What would be right, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start().to_ascii_lowercase();
        let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
        match (number.parse::<u64>(), unit) {
            (Ok(number), Some(unit)) => {
                number.checked_mul(unit).map(Self).ok_or_else(|| format!("\"{text}\" is more than 64 bits hold"))
            }
            _ => Err(format!("\"{text}\" is not an amount of bytes; write it like \"64MiB\"")),
        }
    }

    /// The amount as a `usize`, or the greatest one where that is narrower.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["TiB", "GiB", "MiB", "KiB"];
        let whole = UNITS.iter().zip(names).find(|((_, unit), _)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        match whole {
            Some(((_, unit), name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("7", 7), ("7B", 7), ("4 KiB", 4096), ("64mib", 64 << 20), ("2GB", 2_000_000_000)]
        {
            assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5GiB", "1 MiBs", "0x10", "99999999999TiB", "１"] {
            assert!(Bytes::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1023, 1024, 1025, 64 << 20, 3 << 40, u64::MAX] {
            assert_eq!(Bytes::parse(&Bytes(bytes).to_string()), Ok(Bytes(bytes)));
        }
    }
}
