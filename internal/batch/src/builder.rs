use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use loglake_model::{Level, Service, TenantName, Timestamp, TimestampText, limits};

use crate::group_buffer::GroupBuffer;
use crate::layout::{
    CHECKSUM_BYTES, GROUP_HEAD_BYTES, HEAD_BYTES, MAGIC, NOT_ITS_LINE, RECORD_HEAD_BYTES, check_rest, check_timestamp,
};
use crate::{Error, MAX_BYTES, MAX_MINUTES, MAX_TRACE_ID_BYTES, Origin, VERSION};

const MINUTE_NS: i64 = 60_000_000_000;

/// Gathers records of one tenant and one partition into a message.
///
/// Records of a service stay in the order pushed; services stand in the order of their first record.
#[derive(Debug)]
pub struct BatchBuilder {
    tenant: TenantName,
    received_at_ns: i64,
    origin: Origin,
    groups: Vec<GroupBuffer>,
    by_service: HashMap<Service, usize>,
    /// The group of the last record: the next one mostly goes there too.
    last: usize,
    /// Each minute of each service: what it may become a chunk of.
    minutes: HashSet<(usize, i64)>,
    records: u32,
    encoded_len: usize,
    text: TimestampText,
}

/// What [`BatchBuilder::write`] has added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Which of the message's groups holds it: for the next record of this service.
    pub group: usize,
    /// How long its line is, in bytes.
    pub line_bytes: usize,
}

/// What a record is beside the rest of its line.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The service that wrote it.
    pub service: &'a Service,
    /// Event time, ns UTC since the epoch.
    pub timestamp_ns: i64,
    /// The level, where it has one.
    pub level: Option<Level>,
    /// The trace it belongs to; empty for none.
    pub trace_id: &'a str,
}

impl BatchBuilder {
    /// Begins a message of `tenant`, received at `received_at_ns` (UTC, not negative).
    #[must_use]
    pub fn new(tenant: &TenantName, received_at_ns: i64, origin: Origin) -> Self {
        let encoded_len = HEAD_BYTES + tenant.as_str().len() + origin.encoded_len() + CHECKSUM_BYTES;
        Self {
            tenant: tenant.clone(),
            received_at_ns,
            origin,
            groups: Vec::new(),
            by_service: HashMap::new(),
            last: 0,
            minutes: HashSet::new(),
            records: 0,
            encoded_len,
            text: TimestampText::default(),
        }
    }

    /// Whether such a record still fits: neither the message's length nor the chunks that it may become would be too much. A
    /// record within the limits of the pipeline always fits into an empty message.
    #[must_use]
    pub fn fits(&self, service: &Service, trace_id: &str, line_len: usize) -> bool {
        self.has_minutes() && self.len_with(self.find(service, None), service, trace_id, line_len) <= MAX_BYTES
    }

    /// Whether a record of any minute still fits, as far as the chunks are concerned that the message may become.
    #[must_use]
    pub fn has_minutes(&self) -> bool {
        self.minutes.len() < MAX_MINUTES
    }

    /// Adds a record with its canonical line (without `id` and line feed).
    ///
    /// # Errors
    /// [`Error::Full`] when it does not fit; [`Error::Unfit`] when the line is not the one of such a record, is not UTF-8 or
    /// the trace id is longer than [`MAX_TRACE_ID_BYTES`]: readers would call the whole message damaged. Nothing is added then.
    pub fn push(
        &mut self,
        service: &Service,
        timestamp_ns: i64,
        level: Option<Level>,
        trace_id: &str,
        line: &[u8],
    ) -> Result<Written, Error> {
        let found = self.find(service, None);
        self.check_len(found, service, trace_id, line.len())?;
        let rest = |out: &mut Vec<u8>, line_from: usize| {
            let rest = line.strip_prefix(&out[line_from..]).ok_or(NOT_ITS_LINE)?;
            out.extend_from_slice(rest);
            Ok(())
        };
        self.add(found, Head { service, timestamp_ns, level, trace_id }, usize::MAX, rest)
    }

    /// Adds a record whose line it begins itself, up to and with `,"message":"`; `rest` appends the other bytes of the line,
    /// from the text of the message to the closing bracket, without line feed. `group` is where the last record of this service
    /// went to ([`Written::group`]), if that is known; a wrong one does no harm.
    ///
    /// # Errors
    /// [`Error::Full`] when it does not fit; [`Error::Unfit`] when `rest` has not written the end of a canonical line in UTF-8, the
    /// line is longer than a record may be, the time lies outside of the years that can be written, or the trace id is longer
    /// than [`MAX_TRACE_ID_BYTES`]. Nothing is added then, and what `rest` wrote is gone.
    pub fn write(
        &mut self,
        head: Head<'_>,
        group: Option<usize>,
        rest: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Written, Error> {
        let found = self.find(head.service, group);
        self.add(found, head, limits::RECORD_BYTES, |out, _| {
            rest(out);
            Ok(())
        })
    }

    /// Says which of how many messages this is, where a client's batch became several in one partition: often known only when
    /// the last of them is full. Without effect on [`Origin::None`].
    pub fn set_part(&mut self, part: u32, parts: u32) {
        self.origin.set_part(part, parts);
    }

    /// How many records it has.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records as usize
    }

    /// Whether it has no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How long the message is now, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`Error::Unfit`] when it has no record, or receipt time or origin break the format (a negative time, `part` not below
    /// `parts`, no partitions, an oldest unacknowledged number past the batch's own).
    pub fn finish(self) -> Result<Bytes, Error> {
        if self.is_empty() {
            return Err(Error::Unfit("there is no record at all"));
        }
        if self.received_at_ns < 0 {
            return Err(Error::Unfit("the time of receipt is before 1970"));
        }
        self.origin.check().map_err(Error::Unfit)?;
        let tenant = self.tenant.as_str();
        let mut out = Vec::with_capacity(self.encoded_len);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.origin.code(), short(tenant.len()), 0]);
        out.extend_from_slice(&self.received_at_ns.to_le_bytes());
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&long(self.groups.len()).to_le_bytes());
        out.extend_from_slice(tenant.as_bytes());
        self.origin.encode_into(&mut out);
        for group in &self.groups {
            out.push(short(group.service.as_str().len()));
            out.extend_from_slice(&group.records.to_le_bytes());
            out.extend_from_slice(&long(group.bytes.len()).to_le_bytes());
            out.extend_from_slice(group.service.as_str().as_bytes());
            out.extend_from_slice(&group.bytes);
        }
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(Bytes::from(out))
    }

    /// Adds a record to the group `found`, or to a new one; `rest` gets the buffer and where the line begins in it, or says what is
    /// wrong.
    fn add(
        &mut self,
        found: Option<usize>,
        head: Head<'_>,
        max_line_bytes: usize,
        rest: impl FnOnce(&mut Vec<u8>, usize) -> Result<(), &'static str>,
    ) -> Result<Written, Error> {
        let Head { service, timestamp_ns, trace_id, .. } = head;
        check_timestamp(timestamp_ns).map_err(Error::Unfit)?;
        let trace_len = u16::try_from(trace_id.len()).ok().filter(|len| usize::from(*len) <= MAX_TRACE_ID_BYTES);
        let trace_len = trace_len.ok_or(Error::Unfit("its trace id is too long"))?;
        let group = match found {
            Some(group) => group,
            None => {
                self.groups.push(GroupBuffer::new(service.clone()));
                self.groups.len() - 1
            }
        };
        let buffer = &mut self.groups[group];
        let start = buffer.bytes.len();
        let line_from = buffer.begin(self.text.of(Timestamp(timestamp_ns)), head, trace_len);
        let rest_from = buffer.bytes.len();
        let written = rest(&mut buffer.bytes, line_from);
        let line_bytes = buffer.bytes.len() - line_from;
        let is_short = line_bytes <= max_line_bytes;
        let checked = written
            .and_then(|()| if is_short { check_rest(&buffer.bytes[rest_from..]) } else { Err("its line is too long") })
            .map_err(Error::Unfit)
            .and_then(|()| self.check_len(found, service, trace_id, line_bytes));
        let buffer = &mut self.groups[group];
        let encoded_len = match checked {
            Ok(encoded_len) => encoded_len,
            Err(error) => {
                buffer.bytes.truncate(start);
                if found.is_none() {
                    self.groups.pop();
                }
                return Err(error);
            }
        };
        buffer.end(start, line_bytes);
        // Windows are whole minutes. Records mostly come in order: a service's minute rarely changes.
        let minute = timestamp_ns.div_euclid(MINUTE_NS);
        if buffer.last_minute.replace(minute) != Some(minute) {
            self.minutes.insert((group, minute));
        }
        if found.is_none() {
            self.by_service.insert(service.clone(), group);
        }
        self.records += 1;
        self.last = group;
        self.encoded_len = encoded_len;
        Ok(Written { group, line_bytes })
    }

    /// The group of `service`, which may be `hint`.
    fn find(&self, service: &Service, hint: Option<usize>) -> Option<usize> {
        let is_its = |group: &usize| self.groups.get(*group).is_some_and(|buffer| buffer.service == *service);
        let near = hint.filter(is_its).or_else(|| Some(self.last).filter(is_its));
        near.or_else(|| self.by_service.get(service).copied())
    }

    /// How long the message would be with such a record, if that is not too long.
    fn check_len(
        &self,
        found: Option<usize>,
        service: &Service,
        trace_id: &str,
        line_len: usize,
    ) -> Result<usize, Error> {
        let encoded_len = self.len_with(found, service, trace_id, line_len);
        if encoded_len > MAX_BYTES {
            return Err(Error::Full { limit: MAX_BYTES, actual: encoded_len });
        }
        Ok(encoded_len)
    }

    fn len_with(&self, found: Option<usize>, service: &Service, trace_id: &str, line_len: usize) -> usize {
        let group = if found.is_some() { 0 } else { GROUP_HEAD_BYTES + service.as_str().len() };
        self.encoded_len
            .saturating_add(group + RECORD_HEAD_BYTES)
            .saturating_add(trace_id.len())
            .saturating_add(line_len)
    }
}

fn short(length: usize) -> u8 {
    u8::try_from(length).expect("names of tenants and services have at most 128 bytes")
}

fn long(length: usize) -> u32 {
    u32::try_from(length).expect("a message has at most MAX_BYTES")
}
