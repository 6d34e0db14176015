use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{self, DecodeContext, WireType};

const NUMBER: u32 = 1;
const RECORDS: u32 = 2;
const OLDEST_UNACKNOWLEDGED: u32 = 3;

/// A [`crate::ingest::v1::Batch`] whose records are left as they came: the same bytes on the wire, read in one step less. Each of
/// `records` is a [`crate::ingest::v1::LogRecord`] that nobody has looked at yet, a slice of what was received.
///
/// A record of two bytes takes thirty-two here: past [`RawBatch::MAX_RECORDS`] they are counted and left out, or a few KB that
/// decompress to a message of the longest would take sixteen times as much.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawBatch {
    /// As of the batch.
    pub number: u64,
    /// Records, encoded.
    pub records: Vec<Bytes>,
    /// As of the batch.
    pub oldest_unacknowledged: u64,
    /// How many records there were past the most that there may be. Not on the wire.
    pub surplus: u64,
}

impl RawBatch {
    /// The most records of a batch.
    pub const MAX_RECORDS: usize = 1_000_000;
}

impl prost::Message for RawBatch {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if self.number != 0 {
            encoding::uint64::encode(NUMBER, &self.number, buf);
        }
        encoding::bytes::encode_repeated(RECORDS, &self.records, buf);
        if self.oldest_unacknowledged != 0 {
            encoding::uint64::encode(OLDEST_UNACKNOWLEDGED, &self.oldest_unacknowledged, buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let of_field = |name| {
            move |mut error: DecodeError| {
                error.push("RawBatch", name);
                error
            }
        };
        match tag {
            NUMBER => encoding::uint64::merge(wire_type, &mut self.number, buf, ctx).map_err(of_field("number")),
            RECORDS if self.records.len() < Self::MAX_RECORDS => {
                encoding::bytes::merge_repeated(wire_type, &mut self.records, buf, ctx).map_err(of_field("records"))
            }
            RECORDS => {
                self.surplus = self.surplus.saturating_add(1);
                encoding::check_wire_type(WireType::LengthDelimited, wire_type)?;
                encoding::skip_field(wire_type, tag, buf, ctx)
            }
            OLDEST_UNACKNOWLEDGED => encoding::uint64::merge(wire_type, &mut self.oldest_unacknowledged, buf, ctx)
                .map_err(of_field("oldest_unacknowledged")),
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        let number = |tag, number: &u64| if *number == 0 { 0 } else { encoding::uint64::encoded_len(tag, number) };
        number(NUMBER, &self.number)
            + encoding::bytes::encoded_len_repeated(RECORDS, &self.records)
            + number(OLDEST_UNACKNOWLEDGED, &self.oldest_unacknowledged)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::ingest::v1::{Batch, LogRecord};

    #[test]
    fn it_is_the_same_on_the_wire() {
        let record = |message: &str| LogRecord { message: message.to_owned(), ..LogRecord::default() };
        for (number, oldest_unacknowledged) in [(7, 5), (0, 0), (u64::MAX, 1)] {
            let batch = Batch { number, records: vec![record("a"), record("")], oldest_unacknowledged };
            let raw = RawBatch::decode(batch.encode_to_vec().as_slice()).unwrap();
            assert_eq!(raw.encode_to_vec(), batch.encode_to_vec());
            assert_eq!(raw.encoded_len(), batch.encoded_len());
            let records: Vec<LogRecord> =
                raw.records.iter().map(|record| LogRecord::decode(record.clone()).unwrap()).collect();
            assert_eq!(
                (raw.number, raw.oldest_unacknowledged, records),
                (number, oldest_unacknowledged, batch.records)
            );
        }
        let unknown = RawBatch::decode(&b"\x12\x01x\x22\x02no\x08\x03"[..]).unwrap();
        assert_eq!((unknown.number, unknown.records.len(), unknown.surplus), (3, 1, 0));
        for broken in [&b"\x12\x05x"[..], b"\x08", b"\x10\x01", b"\x12"] {
            assert!(RawBatch::decode(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn records_past_the_most_are_counted_and_take_no_memory() {
        let many = RawBatch::decode(b"\x12\x00".repeat(RawBatch::MAX_RECORDS + 3).as_slice()).unwrap();
        assert_eq!((many.records.len(), many.surplus), (RawBatch::MAX_RECORDS, 3));
    }
}
