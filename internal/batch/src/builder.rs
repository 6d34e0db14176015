use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use loglake_model::{Level, Service, TenantName};

use crate::layout::{CHECKSUM_BYTES, GROUP_HEAD_BYTES, HEAD_BYTES, MAGIC, RECORD_HEAD_BYTES, check_line};
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
    /// That of the last record.
    last_minute: Option<(usize, i64)>,
    records: u32,
    encoded_len: usize,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct GroupBuffer {
    service: Service,
    records: u32,
    bytes: Vec<u8>,
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
            last_minute: None,
            records: 0,
            encoded_len,
            scratch: Vec::new(),
        }
    }

    /// Whether such a record still fits: neither the message's length nor the chunks that it may become would be too much. A
    /// record within the limits of the pipeline always fits into an empty message.
    #[must_use]
    pub fn fits(&self, service: &Service, trace_id: &str, line_len: usize) -> bool {
        self.minutes.len() < MAX_MINUTES && self.len_with(self.find(service), service, trace_id, line_len) <= MAX_BYTES
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
    ) -> Result<(), Error> {
        let found = self.find(service);
        let encoded_len = self.len_with(found, service, trace_id, line.len());
        if encoded_len > MAX_BYTES {
            return Err(Error::Full { limit: MAX_BYTES, actual: encoded_len });
        }
        let trace_len = u16::try_from(trace_id.len()).ok().filter(|len| usize::from(*len) <= MAX_TRACE_ID_BYTES);
        let trace_len = trace_len.ok_or(Error::Unfit("its trace id is too long"))?;
        let line_len = u32::try_from(line.len()).map_err(|_| Error::Unfit("its line is too long"))?;
        check_line(&mut self.scratch, line, timestamp_ns, level, service).map_err(Error::Unfit)?;

        let at = found.unwrap_or_else(|| {
            self.groups.push(GroupBuffer { service: service.clone(), records: 0, bytes: Vec::new() });
            self.by_service.insert(service.clone(), self.groups.len() - 1);
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        group.bytes.extend_from_slice(&timestamp_ns.to_le_bytes());
        group.bytes.push(level.map_or(0, |level| level as u8));
        group.bytes.extend_from_slice(&trace_len.to_le_bytes());
        group.bytes.extend_from_slice(&line_len.to_le_bytes());
        group.bytes.extend_from_slice(trace_id.as_bytes());
        group.bytes.extend_from_slice(line);
        group.records += 1;
        self.records += 1;
        self.last = at;
        // Windows are whole minutes. Records mostly come in order: the minute rarely changes.
        let minute = (at, timestamp_ns.div_euclid(MINUTE_NS));
        if self.last_minute != Some(minute) {
            self.last_minute = Some(minute);
            self.minutes.insert(minute);
        }
        self.encoded_len = encoded_len;
        Ok(())
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

    fn find(&self, service: &Service) -> Option<usize> {
        match self.groups.get(self.last) {
            Some(group) if group.service == *service => Some(self.last),
            _ => self.by_service.get(service).copied(),
        }
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
