use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What makes a record itself: where it stands in the log. Never its content.
///
/// Written `incarnation-partition-offset-index`; compared as numbers in that order; unique in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId {
    /// Which life of the topic (small, from 0).
    pub incarnation: u32,
    /// The topic's partition.
    pub partition: u32,
    /// The message's offset in the partition.
    pub offset: u64,
    /// The record's place in the message, from 0.
    pub index: u32,
}

impl RecordId {
    /// The smallest id there is.
    pub const MIN: Self = Self { incarnation: 0, partition: 0, offset: 0, index: 0 };
    /// The longest written form, in bytes.
    pub const MAX_TEXT_BYTES: usize = 10 + 1 + 10 + 1 + 20 + 1 + 10;
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.incarnation, self.partition, self.offset, self.index)
    }
}

/// A text that is not a record's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record's id is four numbers: incarnation-partition-offset-index")]
pub struct InvalidRecordId;

impl FromStr for RecordId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, InvalidRecordId> {
        fn number<T: FromStr>(part: Option<&str>) -> Result<T, InvalidRecordId> {
            let part = part.ok_or(InvalidRecordId)?;
            let canonical = part == "0" || (!part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit()));
            if !canonical {
                return Err(InvalidRecordId);
            }
            part.parse().map_err(|_| InvalidRecordId)
        }
        let mut parts = text.split('-');
        let id = Self {
            incarnation: number(parts.next())?,
            partition: number(parts.next())?,
            offset: number(parts.next())?,
            index: number(parts.next())?,
        };
        if parts.next().is_some() { Err(InvalidRecordId) } else { Ok(id) }
    }
}

impl TryFrom<String> for RecordId {
    type Error = InvalidRecordId;

    fn try_from(text: String) -> Result<Self, InvalidRecordId> {
        text.parse()
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_and_compare_as_numbers() {
        let nine: RecordId = "0-3-9-1".parse().unwrap();
        let ten: RecordId = "0-3-10-0".parse().unwrap();
        assert!(nine < ten);
        assert_eq!(ten.to_string(), "0-3-10-0");
        for bad in ["", "1-2-3", "1-2-3-4-5", "1-2-3-x", "01-2-3-4", "1-2--3-4", "+1-2-3-4", "99999999999-0-0-0"] {
            assert!(bad.parse::<RecordId>().is_err(), "{bad}");
        }
    }
}
