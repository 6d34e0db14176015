//! The bytes of format version 1 (drawn in the parent's documentation): bytes in, bytes out, no I/O.

use bytes::Bytes;

/// The format this code writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// The most partitions.
pub(super) const MAX_PARTITIONS: u32 = 1_024;
/// The largest payload of a record, in bytes.
pub(super) const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// The most bytes of records in a group.
pub(super) const MAX_GROUP_BYTES: usize = 8 << 20;

pub(super) const TOPIC_BYTES: usize = 48;
pub(super) const GROUP_HEADER_BYTES: usize = 32;
pub(super) const RECORD_HEADER_BYTES: usize = 28;
pub(super) const MARK_BYTES: usize = 8;
/// The longest segment header.
pub(super) const MAX_SEGMENT_HEADER_BYTES: usize = segment_header_bytes(MAX_PARTITIONS);

const TOPIC_MAGIC: &[u8; 8] = b"LLTOPIC\n";
const SEGMENT_MAGIC: &[u8; 8] = b"LLSEGMT\n";
const SEGMENT_FIXED_BYTES: usize = 64;
const CRC_BYTES: usize = 4;

/// Tells the segment files of one log from another's, and this life of the topic from another.
pub(super) type TopicId = [u8; 16];
/// The random bytes at the start of every group of one segment.
pub(super) type Mark = [u8; MARK_BYTES];

/// What is wrong with stored bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Written by a newer version of this program.
    Newer(u32),
    /// Incomplete, or a checksum does not match.
    Damaged(&'static str),
    /// Checksums match, the content cannot be.
    Impossible(&'static str),
}

/// How long the header of a segment with `partitions` is.
pub(super) const fn segment_header_bytes(partitions: u32) -> usize {
    SEGMENT_FIXED_BYTES + 16 * partitions as usize + CRC_BYTES
}

/// Makes `random` bytes a mark: no record begins like one, since no payload is that long.
pub(super) fn mark_from(mut random: Mark) -> Mark {
    random[3] |= 0x80;
    random
}

/// Whether a group begins here, rather than a record.
pub(super) fn is_group(bytes: &[u8]) -> bool {
    bytes.get(3).is_some_and(|byte| byte & 0x80 != 0)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Flaw> {
    let end = at.checked_add(N).ok_or(Flaw::Damaged("cut short"))?;
    bytes.get(at..end).and_then(|part| part.try_into().ok()).ok_or(Flaw::Damaged("cut short"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Flaw> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Flaw> {
    array(bytes, at).map(u64::from_le_bytes)
}

fn i64_at(bytes: &[u8], at: usize) -> Result<i64, Flaw> {
    array(bytes, at).map(i64::from_le_bytes)
}

fn size(value: u32) -> Result<usize, Flaw> {
    usize::try_from(value).map_err(|_| Flaw::Impossible("a length does not fit this machine"))
}

/// Checks the checksum that stands at `at`, over everything before it.
fn check_crc(bytes: &[u8], at: usize, what: &'static str) -> Result<(), Flaw> {
    let head = bytes.get(..at).ok_or(Flaw::Damaged("cut short"))?;
    if u32_at(bytes, at)? == crc32c::crc32c(head) { Ok(()) } else { Err(Flaw::Damaged(what)) }
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicFile {
    pub(super) id: TopicId,
    pub(super) partitions: u32,
    pub(super) made_at_ns: i64,
}

impl TopicFile {
    pub(super) fn id_text(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn topic(&self) -> crate::Topic {
        crate::Topic { id: self.id_text(), partitions: self.partitions }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TOPIC_BYTES);
        out.extend_from_slice(TOPIC_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.partitions.to_le_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.made_at_ns.to_le_bytes());
        out.extend_from_slice(&0_u32.to_le_bytes());
        seal(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        check_version(bytes, TOPIC_MAGIC)?;
        check_crc(bytes, TOPIC_BYTES - CRC_BYTES, "the checksum of the topic file does not match")?;
        let topic = Self { id: array(bytes, 16)?, partitions: u32_at(bytes, 12)?, made_at_ns: i64_at(bytes, 32)? };
        if bytes.len() != TOPIC_BYTES || !(1..=MAX_PARTITIONS).contains(&topic.partitions) {
            return Err(Flaw::Impossible("a length or a number of partitions cannot be"));
        }
        Ok(topic)
    }
}

/// The version stands before anything that a newer one may have changed, so it is looked at first.
fn check_version(bytes: &[u8], magic: &[u8; 8]) -> Result<(), Flaw> {
    if array::<8>(bytes, 0)? != *magic {
        return Err(Flaw::Damaged("the file does not begin as it should"));
    }
    match u32_at(bytes, 8)? {
        VERSION => Ok(()),
        newer if newer > VERSION => Err(Flaw::Newer(newer)),
        _ => Err(Flaw::Impossible("there is no such format version")),
    }
}

/// Where a partition stood when a segment was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// The next offset.
    pub(super) next: u64,
    /// The append time of the last record before, ns UTC.
    pub(super) last_time_ns: i64,
}

/// The first bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) sequence: u64,
    pub(super) topic: TopicId,
    pub(super) mark: Mark,
    pub(super) first_group: u64,
    /// One a partition.
    pub(super) starts: Vec<Start>,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let partitions = u32::try_from(self.starts.len()).expect("partitions are at most MAX_PARTITIONS");
        let mut out = Vec::with_capacity(segment_header_bytes(partitions));
        out.extend_from_slice(SEGMENT_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&partitions.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.topic);
        out.extend_from_slice(&self.mark);
        out.extend_from_slice(&self.first_group.to_le_bytes());
        out.extend_from_slice(&0_u64.to_le_bytes());
        for start in &self.starts {
            out.extend_from_slice(&start.next.to_le_bytes());
            out.extend_from_slice(&start.last_time_ns.to_le_bytes());
        }
        seal(out)
    }

    /// Reads a header from the first bytes of a segment file (all of them, or [`MAX_SEGMENT_HEADER_BYTES`]).
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        check_version(bytes, SEGMENT_MAGIC)?;
        let partitions = u32_at(bytes, 12)?;
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(Flaw::Damaged("the segment header's number of partitions cannot be"));
        }
        let end = segment_header_bytes(partitions) - CRC_BYTES;
        check_crc(bytes, end, "the checksum of the segment header does not match")?;
        let starts = (0..size(partitions)?)
            .map(|at| {
                let at = SEGMENT_FIXED_BYTES + 16 * at;
                Ok(Start { next: u64_at(bytes, at)?, last_time_ns: i64_at(bytes, at + 8)? })
            })
            .collect::<Result<_, Flaw>>()?;
        Ok(Self {
            sequence: u64_at(bytes, 16)?,
            topic: array(bytes, 24)?,
            mark: array(bytes, 40)?,
            first_group: u64_at(bytes, 48)?,
            starts,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        SEGMENT_FIXED_BYTES + 16 * self.starts.len() + CRC_BYTES
    }
}

/// The first bytes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub(super) number: u64,
    /// Length of the records, in bytes.
    pub(super) bytes: usize,
    pub(super) records: u32,
}

impl GroupHeader {
    /// Reads the header of a group of the segment that has `mark`.
    pub(super) fn decode(bytes: &[u8], mark: Mark) -> Result<Self, Flaw> {
        if array::<MARK_BYTES>(bytes, 0)? != mark {
            return Err(Flaw::Damaged("a group does not begin with the segment's mark"));
        }
        check_crc(bytes, GROUP_HEADER_BYTES - CRC_BYTES, "the checksum of a group header does not match")?;
        let header = Self { number: u64_at(bytes, 8)?, bytes: size(u32_at(bytes, 16)?)?, records: u32_at(bytes, 20)? };
        if header.bytes > MAX_GROUP_BYTES || u32_at(bytes, 24)? != 0 {
            return Err(Flaw::Impossible("a group header's values cannot be"));
        }
        Ok(header)
    }
}

/// Begins a group at the end of `out`: leaves room for its header.
pub(super) fn begin_group(out: &mut Vec<u8>) {
    out.resize(out.len() + GROUP_HEADER_BYTES, 0);
}

/// Appends a record to the group in `out`.
pub(super) fn push_record(out: &mut Vec<u8>, partition: u32, offset: u64, append_time_ns: i64, payload: &[u8]) {
    let start = out.len();
    let length = u32::try_from(payload.len()).expect("payloads are at most MAX_PAYLOAD_BYTES");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&partition.to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&append_time_ns.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[start..]), payload);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Writes the header of the group that is `out`.
pub(super) fn finish_group(out: &mut [u8], mark: Mark, number: u64, records: u32) {
    let length = u32::try_from(out.len() - GROUP_HEADER_BYTES).expect("groups are at most MAX_GROUP_BYTES");
    out[..8].copy_from_slice(&mark);
    out[8..16].copy_from_slice(&number.to_le_bytes());
    out[16..20].copy_from_slice(&length.to_le_bytes());
    out[20..24].copy_from_slice(&records.to_le_bytes());
    out[24..28].fill(0);
    let crc = crc32c::crc32c(&out[..GROUP_HEADER_BYTES - CRC_BYTES]);
    out[28..32].copy_from_slice(&crc.to_le_bytes());
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// Length of the payload, in bytes.
    pub(super) bytes: usize,
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) append_time_ns: i64,
    crc: u32,
}

impl RecordHeader {
    /// Reads a record's header. Its checksum covers the payload too: see [`RecordHeader::payload`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let header = Self {
            bytes: size(u32_at(bytes, 0)?)?,
            partition: u32_at(bytes, 4)?,
            offset: u64_at(bytes, 8)?,
            append_time_ns: i64_at(bytes, 16)?,
            crc: u32_at(bytes, 24)?,
        };
        if header.bytes > MAX_PAYLOAD_BYTES {
            return Err(Flaw::Damaged("a record's length cannot be"));
        }
        Ok(header)
    }

    /// Header and payload together, in bytes.
    pub(super) fn total_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.bytes
    }

    /// Checks the record that begins at `at` of `bytes` and returns its payload, sharing the memory.
    pub(super) fn payload(&self, bytes: &Bytes, at: usize) -> Result<Bytes, Flaw> {
        let end = at.checked_add(self.total_bytes()).filter(|end| *end <= bytes.len());
        let payload = bytes.slice(at + RECORD_HEADER_BYTES..end.ok_or(Flaw::Damaged("a record is cut short"))?);
        let head = &bytes[at..at + RECORD_HEADER_BYTES - CRC_BYTES];
        if crc32c::crc32c_append(crc32c::crc32c(head), &payload) != self.crc {
            return Err(Flaw::Damaged("the checksum of a record does not match"));
        }
        Ok(payload)
    }
}
