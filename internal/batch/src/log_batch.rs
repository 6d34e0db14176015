use std::collections::HashSet;

use bytes::Bytes;
use loglake_model::{Service, TenantName, Timestamp, TimestampText};

use crate::group::Span;
use crate::layout::{CHECKSUM_BYTES, MAGIC, check_line, check_timestamp, service_part};
use crate::wire::Reader;
use crate::{BatchRecord, Error, Groups, MAX_BYTES, Origin, VERSION};

/// A message that was read and checked. Its lines are slices of the payload.
#[derive(Clone, Debug)]
pub struct LogBatch {
    payload: Bytes,
    tenant: TenantName,
    received_at_ns: i64,
    origin: Origin,
    record_count: u32,
    lines_bytes: usize,
    spans: Vec<Span>,
}

impl LogBatch {
    /// Reads a message and checks all of it once: checksum, lengths, counts, names, and that each line is one line of UTF-8 that
    /// begins with its record's timestamp, level and service in canonical form. Copies no line; what it allocates is bounded
    /// by the length of `payload`.
    ///
    /// # Errors
    /// `Corrupt`, with the place, for everything that a [`crate::BatchBuilder`] does not write, and for versions
    /// that are not known.
    pub fn decode(payload: Bytes) -> Result<Self, Error> {
        let mut whole = Reader::new(&payload, 0);
        if payload.len() > MAX_BYTES {
            return whole.corrupt("the message is too long");
        }
        if whole.array()? != MAGIC {
            return Reader::new(&payload, 0).corrupt("it is not a message of records");
        }
        let version = whole.u8()?;
        if version != VERSION {
            return Reader::new(&payload, MAGIC.len()).corrupt("its format version is not known");
        }
        let Some((body, checksum)) = payload.split_last_chunk::<CHECKSUM_BYTES>() else {
            return whole.corrupt("the message ends in the middle");
        };
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return whole.corrupt("the checksum differs");
        }

        let mut reader = Reader::new(body, whole.at());
        let origin_code = reader.u8()?;
        let tenant_len = usize::from(reader.u8()?);
        if reader.u8()? != 0 {
            return reader.corrupt("a reserved byte is not 0");
        }
        let received_at_ns = reader.i64()?;
        if received_at_ns < 0 {
            return reader.corrupt("the time of receipt is before 1970");
        }
        let record_count = reader.u32()?;
        let group_count = reader.u32()?;
        let tenant = std::str::from_utf8(reader.take(tenant_len)?).ok().and_then(|name| TenantName::parse(name).ok());
        let Some(tenant) = tenant else {
            return reader.corrupt("the tenant's name is not one");
        };
        let origin = Origin::decode(origin_code, &mut reader)?;

        let mut spans = Vec::new();
        let mut services = HashSet::new();
        let (mut next_index, mut lines_bytes) = (0, 0);
        let mut text = TimestampText::default();
        for _ in 0..group_count {
            let span = read_group(&mut reader, next_index, &mut lines_bytes, &mut text)?;
            if !services.insert(span.service.clone()) {
                return reader.corrupt("a service has two groups");
            }
            next_index = span.first_index + span.records;
            spans.push(span);
        }
        if reader.remaining() != 0 {
            return reader.corrupt("bytes follow the last group");
        }
        if next_index != record_count || record_count == 0 {
            return reader.corrupt("the number of records differs");
        }
        Ok(Self { tenant, received_at_ns, origin, record_count, lines_bytes, spans, payload })
    }

    /// Whose records these are.
    #[must_use]
    pub fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// When the ingestor received them, ns UTC.
    #[must_use]
    pub fn received_at_ns(&self) -> i64 {
        self.received_at_ns
    }

    /// What tells repeats of it apart.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many records it has, at least 1.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// The message's bytes; [`BatchRecord::line_range`] points into them.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// How long the message is, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// The sum of its lines' lengths, in bytes, without line feeds.
    #[must_use]
    pub fn lines_bytes(&self) -> usize {
        self.lines_bytes
    }

    /// Its groups in the order of their records' places.
    #[must_use]
    pub fn groups(&self) -> Groups<'_> {
        Groups { payload: &self.payload, spans: self.spans.iter() }
    }
}

/// Reads and checks the next group, adding the lengths of its lines to `lines_bytes`.
fn read_group(
    reader: &mut Reader<'_>,
    first_index: u32,
    lines_bytes: &mut usize,
    text: &mut TimestampText,
) -> Result<Span, Error> {
    let service_len = usize::from(reader.u8()?);
    let records = reader.u32()?;
    let length = reader.u32()? as usize;
    let service = std::str::from_utf8(reader.take(service_len)?).ok().and_then(|name| Service::parse(name).ok());
    let Some(service) = service else {
        return reader.corrupt("a service's name is not one");
    };
    if records == 0 {
        return reader.corrupt("a group has no records");
    }
    if length > reader.remaining() {
        return reader.corrupt("a group is longer than the message");
    }
    let service_part = service_part(&service);
    let start = reader.at();
    let end = start + length;
    let mut times_ns = (i64::MAX, i64::MIN);
    for count in 0..records {
        let at = reader.at();
        // Every record takes bytes, so a count that lies ends at the message's end, long before it overflows.
        let record = BatchRecord::read(reader, first_index + count)?;
        let checked = check_timestamp(record.timestamp_ns).and_then(|()| {
            check_line(record.line, text.of(Timestamp(record.timestamp_ns)), record.level, &service_part)
        });
        if let Err(what) = checked {
            return Err(Error::Corrupt { offset_bytes: at, what });
        }
        *lines_bytes += record.line.len();
        times_ns = (times_ns.0.min(record.timestamp_ns), times_ns.1.max(record.timestamp_ns));
    }
    if reader.at() != end {
        return reader.corrupt("a group's length differs from that of its records");
    }
    Ok(Span { service, first_index, records, start, end, times_ns })
}
