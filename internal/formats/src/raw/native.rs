//! A `LogRecord` of `proto/loglake/ingest/v1/ingest.proto`, field by field. Whatever an encoder does not usually write, such as a field
//! that comes twice or is not known, is left to the ordinary decoder.

use loglake_model::{Level, RawRecord, limits, line};

use super::RawDecoder;
use super::scan::Scan;

/// Reads a record; see [`RawDecoder::native`].
pub(super) fn read<'a>(decoder: &'a mut RawDecoder, bytes: &'a [u8]) -> Option<RawRecord<'a>> {
    let RawDecoder { members, tags, .. } = decoder;
    members.gathered.clear();
    tags.clear();
    let mut record = RawRecord::default();
    let (mut attributes, mut tag_count) = (&bytes[..0], 0);
    let (mut rest, mut seen) = (bytes, 0_u32);
    while let Some((&key, after)) = rest.split_first() {
        // A field's number and how it is written, in one byte: larger numbers are not known here.
        let (number, kind) = (key >> 3, key & 7);
        let bit = 1_u32.checked_shl(u32::from(number))?;
        if seen & bit != 0 && number != 9 {
            return None;
        }
        seen |= bit;
        match (number, kind) {
            (1, 1) => {
                let (value, after) = after.split_first_chunk::<8>()?;
                let ns = i64::try_from(u64::from_le_bytes(*value)).ok().filter(|ns| *ns < i64::MAX)?;
                record.timestamp_ns = Some(ns).filter(|ns| *ns != 0);
                rest = after;
            }
            (2, 0) => {
                let (&value, after) = after.split_first()?;
                record.level = if value == 0 { None } else { Some(Level::from_slot(usize::from(value))?) };
                rest = after;
            }
            (3..=10, 2) => {
                let (value, after) = delimited(after)?;
                match number {
                    3 => record.service = std::str::from_utf8(value).ok()?,
                    4 => record.message = value,
                    5 => record.trace_id = std::str::from_utf8(value).ok()?,
                    6 => record.span_id = value,
                    7 => record.parent_span_id = value,
                    8 => record.host = value,
                    9 => {
                        tag_count += 1;
                        tag(tags, value)?;
                    }
                    _ => attributes = value,
                }
                rest = after;
            }
            _ => return None,
        }
    }
    if tag_count > limits::TAGS {
        return None;
    }
    if !attributes.is_empty() {
        u32::try_from(attributes.len()).ok()?;
        let mut scan = Scan::new(attributes, &mut members.keys);
        scan.skip_blanks();
        members.gathered.object(&mut scan)?;
        scan.skip_blanks();
        if scan.peek().is_some() {
            return None;
        }
    }
    record.attributes = members.gathered.finish(attributes);
    record.tags = tags;
    Some(record)
}

/// Takes what follows its own length, which has at most four bytes.
fn delimited(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return bytes[at + 1..].split_at_checked(length);
        }
    }
    None
}

/// Appends a tag as it stands in a line.
fn tag(tags: &mut Vec<u8>, value: &[u8]) -> Option<()> {
    if value.len() > limits::TAG_BYTES {
        return None;
    }
    tags.extend_from_slice(if tags.is_empty() { b"\"" } else { b",\"" });
    line::escape_bytes_into(tags, value);
    tags.push(b'"');
    Some(())
}
