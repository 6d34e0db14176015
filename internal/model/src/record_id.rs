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

    /// Appends the written form to `out`: the same as `Display`, without its machinery, which costs a line of a chunk more than
    /// copying the line.
    pub fn append_to(self, out: &mut Vec<u8>) {
        let mut text = [b'-'; 1 + Self::MAX_TEXT_BYTES];
        let mut from = text.len();
        // Backwards: the last digit is the one that is known first.
        for mut number in [self.index.into(), self.offset, self.partition.into(), self.incarnation.into()] {
            loop {
                from -= 1;
                // One decimal digit.
                text[from] = b'0' + (number % 10) as u8;
                number /= 10;
                if number == 0 {
                    break;
                }
            }
            // What stands before a number is a dash already; the first one's is not part of the text.
            from -= 1;
        }
        out.extend_from_slice(&text[from + 1..]);
    }
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_appended_form_is_the_displayed_one(
            incarnation in any::<u32>(), partition in any::<u32>(), offset in any::<u64>(), index in any::<u32>(), cut in 0_u32..64,
        ) {
            let id = RecordId { incarnation, partition, offset: offset >> cut, index };
            for id in [id, RecordId::MIN, RecordId { offset: u64::MAX, incarnation: u32::MAX, partition: u32::MAX, index: u32::MAX }] {
                let mut out = b"x".to_vec();
                id.append_to(&mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), format!("x{id}"));
            }
        }
    }

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
