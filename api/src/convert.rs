//! Conversions between the wire's types and the shared nouns.

use loglake_model::{Fault, Level};

use crate::ingest::v1;

impl From<Level> for v1::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
            Level::Fatal => Self::Fatal,
        }
    }
}

impl v1::Level {
    /// The level this stands for; `None` when it is unspecified.
    #[must_use]
    pub fn to_model(self) -> Option<Level> {
        Some(match self {
            Self::Unspecified => return None,
            Self::Trace => Level::Trace,
            Self::Debug => Level::Debug,
            Self::Info => Level::Info,
            Self::Warn => Level::Warn,
            Self::Error => Level::Error,
            Self::Fatal => Level::Fatal,
        })
    }
}

impl v1::RecordError {
    /// Says what is wrong with the record at `record_index` (from 0) of its batch.
    #[must_use]
    pub fn new(record_index: u64, fault: Fault) -> Self {
        Self { record_index, field: fault.field, code: fault.code.as_str().to_owned(), message: fault.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_back_and_their_numbers_are_the_slots() {
        assert_eq!(v1::Level::Unspecified.to_model(), None);
        for level in Level::ALL {
            assert_eq!(v1::Level::from(level).to_model(), Some(level));
            assert_eq!(v1::Level::from(level) as usize, Level::slot(Some(level)));
        }
    }
}
