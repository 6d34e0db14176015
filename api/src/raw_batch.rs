use bytes::Bytes;

/// A [`crate::ingest::v1::Batch`] whose records are left as they came: the same bytes on the wire, read in one step less. Each of
/// `records` is a [`crate::ingest::v1::LogRecord`] that nobody has looked at yet, a slice of what was received.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RawBatch {
    /// As of the batch.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// Records, encoded.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub records: Vec<Bytes>,
    /// As of the batch.
    #[prost(uint64, tag = "3")]
    pub oldest_unacknowledged: u64,
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::ingest::v1::{Batch, LogRecord};

    #[test]
    fn it_is_the_same_on_the_wire() {
        let record = |message: &str| LogRecord { message: message.to_owned(), ..LogRecord::default() };
        let batch = Batch { number: 7, records: vec![record("a"), record("")], oldest_unacknowledged: 5 };
        let raw = RawBatch::decode(batch.encode_to_vec().as_slice()).unwrap();
        assert_eq!(raw.encode_to_vec(), batch.encode_to_vec());
        let records: Vec<LogRecord> =
            raw.records.iter().map(|record| LogRecord::decode(record.clone()).unwrap()).collect();
        assert_eq!((raw.number, raw.oldest_unacknowledged, records), (7, 5, batch.records));
    }
}
