use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use loglake_api::ingest::v1::LogRecord;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The field `records` of the message `Batch`.
const RECORDS_TAG: u32 = 2;

/// Records on their way, encoded once: sending them again costs a copy of bytes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where the records came from, for reports.
    pub(crate) origin: Arc<str>,
    /// For each record its place there: a line number or a running number.
    pub(crate) places: Vec<u64>,
    /// The field `records` of the message `Batch`, encoded.
    pub(crate) payload: Bytes,
}

impl Batch {
    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.places.len() as u64
    }

    /// The field `records` of the message `Batch`, encoded.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Its length on the wire, in bytes, without the number.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.payload.len() as u64
    }
}

/// Gathers records into batches of bounded count and size.
#[derive(Debug)]
pub struct BatchBuilder {
    origin: Arc<str>,
    places: Vec<u64>,
    payload: BytesMut,
    max_records: usize,
    max_bytes: usize,
}

impl BatchBuilder {
    /// Starts with nothing. A batch is full at `max_records`, or before the record that would take it past `max_bytes`; a
    /// single larger record makes a batch of its own.
    #[must_use]
    pub fn new(origin: &str, max_records: usize, max_bytes: usize) -> Self {
        Self { origin: origin.into(), places: Vec::new(), payload: BytesMut::new(), max_records, max_bytes }
    }

    /// Adds a record that stands at `place` of the origin; returns the batch that it filled or no longer fitted into.
    pub fn push(&mut self, record: &LogRecord, place: u64) -> Option<Batch> {
        let length = record.encoded_len();
        let too_large = !self.places.is_empty() && self.payload.len() + length > self.max_bytes;
        let before = if too_large { self.take() } else { None };
        encode_key(RECORDS_TAG, WireType::LengthDelimited, &mut self.payload);
        encode_varint(length as u64, &mut self.payload);
        record.encode_raw(&mut self.payload);
        self.places.push(place);
        if before.is_none() && self.places.len() >= self.max_records { self.take() } else { before }
    }

    /// Whether nothing is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes what is waiting; `None` when nothing is.
    pub fn take(&mut self) -> Option<Batch> {
        if self.places.is_empty() {
            return None;
        }
        let places = std::mem::replace(&mut self.places, Vec::with_capacity(self.max_records.min(10_000)));
        Some(Batch { origin: Arc::clone(&self.origin), places, payload: self.payload.split().freeze() })
    }
}

/// Where sources put their records: gathers them and hands full batches on, waiting while too many are under way.
#[derive(Debug)]
pub struct Sink {
    batches: mpsc::Sender<Batch>,
    builder: BatchBuilder,
    flush_after: Duration,
    flush_at: Option<Instant>,
}

/// The delivery has given up: no more records are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Sink {
    /// Makes a sink that hands batches to `batches`, at the latest `flush_after` their first record came, as long as the
    /// source asks [`Sink::flush_at`].
    #[must_use]
    pub fn new(batches: mpsc::Sender<Batch>, max_records: usize, max_bytes: usize, flush_after: Duration) -> Self {
        Self { batches, builder: BatchBuilder::new("", max_records, max_bytes), flush_after, flush_at: None }
    }

    /// Says where the records that follow come from.
    ///
    /// # Errors
    /// `Closed` as for [`Sink::flush`].
    pub async fn begin(&mut self, origin: &str) -> Result<(), Closed> {
        self.flush().await?;
        self.builder.origin = origin.into();
        Ok(())
    }

    /// Adds a record.
    ///
    /// # Errors
    /// `Closed` when nobody takes batches any more.
    pub async fn push(&mut self, record: &LogRecord, place: u64) -> Result<(), Closed> {
        if let Some(batch) = self.builder.push(record, place) {
            self.flush_at = None;
            self.batches.send(batch).await.map_err(|_| Closed)?;
        }
        if self.flush_at.is_none() && !self.builder.is_empty() {
            self.flush_at = Some(Instant::now() + self.flush_after);
        }
        Ok(())
    }

    /// When what is waiting should be flushed; `None` when nothing is.
    #[must_use]
    pub fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Hands on what is waiting.
    ///
    /// # Errors
    /// `Closed` when nobody takes batches any more.
    pub async fn flush(&mut self) -> Result<(), Closed> {
        self.flush_at = None;
        match self.builder.take() {
            Some(batch) => self.batches.send(batch).await.map_err(|_| Closed),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use loglake_api::ingest::v1::Batch as WireBatch;

    use super::*;

    fn record(message: &str) -> LogRecord {
        LogRecord { service: "s".to_owned(), message: message.to_owned(), ..LogRecord::default() }
    }

    #[test]
    fn batches_are_cut_by_count_and_bytes_and_decode_to_what_was_pushed() {
        let mut builder = BatchBuilder::new("o", 3, 1_000);
        let messages: Vec<String> = [5, 5, 5, 900, 5, 2_000, 5, 5].iter().map(|length| "x".repeat(*length)).collect();
        let mut batches: Vec<Batch> =
            messages.iter().enumerate().filter_map(|(at, message)| builder.push(&record(message), at as u64)).collect();
        batches.extend(builder.take());
        assert!(builder.is_empty() && builder.take().is_none());
        let sizes: Vec<u64> = batches.iter().map(Batch::records).collect();
        assert_eq!(sizes, [3, 2, 1, 2]);
        let back: Vec<String> = batches
            .iter()
            .flat_map(|batch| WireBatch::decode(batch.payload.clone()).unwrap().records)
            .map(|record| record.message)
            .collect();
        assert_eq!(back, messages);
        let places: Vec<u64> = batches.iter().flat_map(|batch| batch.places.clone()).collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
