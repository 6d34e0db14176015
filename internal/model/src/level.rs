use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How severe a record is. A record without one has no level at all: see [`Level::COUNTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Level {
    /// Finest detail.
    Trace = 1,
    /// For developers.
    Debug = 2,
    /// Normal operation; syslog's notice too.
    Info = 3,
    /// Something to look at.
    Warn = 4,
    /// Something failed.
    Error = 5,
    /// The program or system cannot go on; syslog's critical, alert and emergency.
    Fatal = 6,
}

impl Level {
    /// All levels, least severe first.
    pub const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// How many counters a count by level has: index 0 for `unknown` (no level), then [`Level::ALL`].
    pub const COUNTED: usize = 7;

    /// The canonical, lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The index of `level` in a count by level (0 is `unknown`).
    #[must_use]
    pub fn slot(level: Option<Self>) -> usize {
        level.map_or(0, |level| level as usize)
    }

    /// The level in a count's `slot`; `None` for slot 0 and past the end.
    #[must_use]
    pub fn from_slot(slot: usize) -> Option<Self> {
        slot.checked_sub(1).and_then(|at| Self::ALL.get(at)).copied()
    }

    /// Reads any common spelling, whatever its case; `None` when it is not one.
    ///
    /// ```
    /// use loglake_model::Level;
    /// assert_eq!(Level::from_text("WARNING"), Some(Level::Warn));
    /// assert_eq!(Level::from_text("notice"), Some(Level::Info));
    /// assert_eq!(Level::from_text("chatty"), None);
    /// ```
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '[' || c == ']');
        let mut lower = [0_u8; 16];
        let lower = lower.get_mut(..text.len())?;
        lower.copy_from_slice(text.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"trc" | b"finest" | b"finer" | b"verbose" | b"v" | b"t" | b"trace2" | b"trace3" | b"trace4" => {
                Self::Trace
            }
            b"debug" | b"dbg" | b"d" | b"fine" | b"config" | b"debug2" | b"debug3" | b"debug4" => Self::Debug,
            b"info" | b"inf" | b"i" | b"information" | b"informational" | b"notice" | b"note" | b"n" | b"default"
            | b"info2" | b"info3" | b"info4" | b"ok" | b"success" => Self::Info,
            b"warn" | b"warning" | b"wrn" | b"w" | b"warn2" | b"warn3" | b"warn4" => Self::Warn,
            b"error" | b"err" | b"e" | b"eror" | b"severe" | b"failure" | b"fail" | b"error2" | b"error3"
            | b"error4" => Self::Error,
            b"fatal" | b"ftl" | b"f" | b"critical" | b"crit" | b"c" | b"alert" | b"emergency" | b"emerg" | b"panic"
            | b"fatal2" | b"fatal3" | b"fatal4" => Self::Fatal,
            _ => return text.parse::<i64>().ok().and_then(Self::from_number),
        })
    }

    /// Reads a number: 0..=7 are syslog severities (RFC 5424, section 6.2.1), 8..=24 OpenTelemetry severity numbers (logs
    /// data model, "SeverityNumber"), 30, 40, 50 and 60 those of bunyan and pino.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0..=2 => Self::Fatal,
            3 => Self::Error,
            4 => Self::Warn,
            5 | 6 => Self::Info,
            7 | 8 => Self::Debug,
            9..=12 | 30 => Self::Info,
            13..=16 | 40 => Self::Warn,
            17..=20 | 50 => Self::Error,
            21..=24 | 60 => Self::Fatal,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::from_text(text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_levels_agree() {
        assert_eq!(Level::slot(None), 0);
        assert_eq!(Level::from_slot(0), None);
        for level in Level::ALL {
            assert_eq!(Level::from_slot(Level::slot(Some(level))), Some(level));
            assert_eq!(Level::from_text(level.as_str()), Some(level));
        }
        assert_eq!(Level::from_slot(7), None);
    }

    #[test]
    fn spellings_longer_than_any_level_are_none() {
        assert_eq!(Level::from_text("a spelling of no level whatsoever"), None);
        assert_eq!(Level::from_text(""), None);
        assert_eq!(Level::from_text("17"), Some(Level::Error));
        assert_eq!(Level::from_text("99"), None);
    }
}
