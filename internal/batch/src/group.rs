use std::ops::Range;

use loglake_model::{Level, Service};

use crate::Error;
use crate::layout::{MAX_TRACE_ID_BYTES, RECORD_HEAD_BYTES};
use crate::wire::Reader;

/// Where the records of one service stand in a message.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) service: Service,
    pub(crate) first_index: u32,
    pub(crate) records: u32,
    /// Where its records begin and end, in bytes of the payload.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The times of its earliest and its latest record, ns UTC.
    pub(crate) times_ns: (i64, i64),
}

/// The records of one service in a message.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    payload: &'a [u8],
    span: &'a Span,
}

impl<'a> Group<'a> {
    /// The service that wrote them.
    #[must_use]
    pub fn service(&self) -> &'a Service {
        &self.span.service
    }

    /// The place of its first record in the message.
    #[must_use]
    pub fn first_index(&self) -> u32 {
        self.span.first_index
    }

    /// How many records it has, at least 1.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.span.records
    }

    /// The times of its earliest and its latest record, ns UTC.
    #[must_use]
    pub fn times_ns(&self) -> (i64, i64) {
        self.span.times_ns
    }

    /// Where its records stand in the payload, in bytes: lines, and before each its time, level and trace.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.span.start..self.span.end
    }

    /// Where its records' lines stand, in the order of their places: for whoever needs no more of them.
    #[must_use]
    pub fn lines(&self) -> Lines<'a> {
        let bytes = &self.payload[..self.span.end];
        Lines { bytes, at: self.span.start, next: self.span.first_index, left: self.span.records }
    }

    /// Its records in the order of their places.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        let bytes = &self.payload[..self.span.end];
        Records { reader: Reader::new(bytes, self.span.start), next: self.span.first_index, left: self.span.records }
    }
}

/// The groups of a message, in its order.
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Groups<'a> {
    type Item = Group<'a>;

    fn next(&mut self) -> Option<Group<'a>> {
        self.spans.next().map(|span| Group { payload: self.payload, span })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Groups<'_> {}

/// One record of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRecord<'a> {
    /// Its place in the message, the last part of its id.
    pub index: u32,
    /// Event time, ns UTC since the epoch.
    pub timestamp_ns: i64,
    /// The level, where it has one.
    pub level: Option<Level>,
    /// The trace it belongs to; empty for none.
    pub trace_id: &'a str,
    /// The canonical line, without `id` and line feed.
    pub line: &'a [u8],
    line_start: u32,
}

impl<'a> BatchRecord<'a> {
    /// Where the line stands in the payload, in bytes: a reference that outlives this one.
    #[must_use]
    pub fn line_range(&self) -> Range<u32> {
        // A payload is shorter than 4 GiB by far, so both ends fit.
        self.line_start..self.line_start + self.line.len() as u32
    }

    /// Reads a record; that the line belongs to it is not checked here.
    pub(crate) fn read(reader: &mut Reader<'a>, index: u32) -> Result<Self, Error> {
        let timestamp_ns = reader.i64()?;
        let level = match reader.u8()? {
            0 => None,
            slot => match Level::from_slot(usize::from(slot)) {
                Some(level) => Some(level),
                None => return reader.corrupt("the level is not known"),
            },
        };
        let trace_len = usize::from(reader.u16()?);
        if trace_len > MAX_TRACE_ID_BYTES {
            return reader.corrupt("a trace id is too long");
        }
        let line_len = reader.u32()?;
        let Ok(trace_id) = std::str::from_utf8(reader.take(trace_len)?) else {
            return reader.corrupt("a trace id is not UTF-8");
        };
        let Ok(line_start) = u32::try_from(reader.at()) else {
            return reader.corrupt("the message is too long");
        };
        let line = reader.take(line_len as usize)?;
        Ok(Self { index, timestamp_ns, level, trace_id, line, line_start })
    }
}

/// The line of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The record's place in the message, the last part of its id.
    pub index: u32,
    /// Event time, ns UTC since the epoch.
    pub timestamp_ns: i64,
    /// Where the line stands in the payload, in bytes.
    pub range: Range<u32>,
}

/// The lines of a group, in the order of their records' places.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    next: u32,
    left: u32,
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        self.left = self.left.checked_sub(1)?;
        let read = "decoding the message has read this record before";
        let head = self.bytes[self.at..].first_chunk::<RECORD_HEAD_BYTES>().expect(read);
        let [time @ .., _level, trace_0, trace_1, line_0, line_1, line_2, line_3] = *head;
        let trace_bytes = u16::from_le_bytes([trace_0, trace_1]);
        let length = u32::from_le_bytes([line_0, line_1, line_2, line_3]);
        // A payload is shorter than 4 GiB by far.
        let start = (self.at + RECORD_HEAD_BYTES + usize::from(trace_bytes)) as u32;
        let line = Line { index: self.next, timestamp_ns: i64::from_le_bytes(time), range: start..start + length };
        self.at = line.range.end as usize;
        self.next += 1;
        Some(line)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Lines<'_> {}

/// The records of a group, in the order of their places.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    reader: Reader<'a>,
    next: u32,
    left: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = BatchRecord<'a>;

    fn next(&mut self) -> Option<BatchRecord<'a>> {
        self.left = self.left.checked_sub(1)?;
        let record =
            BatchRecord::read(&mut self.reader, self.next).expect("decoding the message has read this record before");
        self.next += 1;
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Records<'_> {}
