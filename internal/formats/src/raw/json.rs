use loglake_model::{Level, RawRecord, TenantName, Timestamp, limits};

use super::RawDecoder;
use super::moment::Moments;
use super::scan::{Scan, Text};
use crate::field::Field;
use crate::json_record::MAX_TEXT_BYTES;

/// Reads a line; see [`RawDecoder::json`].
pub(super) fn read<'a>(decoder: &'a mut RawDecoder, line: &'a [u8], tenant: &TenantName) -> Option<RawRecord<'a>> {
    if line.len() > MAX_TEXT_BYTES {
        return None;
    }
    // Nearly every line is ASCII, which is seen faster.
    if !line.is_ascii() {
        std::str::from_utf8(line).ok()?;
    }
    let RawDecoder { members, tags, moments } = decoder;
    members.gathered.clear();
    tags.clear();
    let mut record = RawRecord { is_escaped: true, ..RawRecord::default() };
    let mut scan = Scan::new(line, &mut members.keys);
    scan.skip_blanks();
    if !scan.take(b'{') {
        return None;
    }
    scan.skip_blanks();
    let mut is_over = scan.take(b'}');
    // Which keys there were, and which fields got a value.
    let (mut keys, mut given) = (0_u32, 0_u32);
    while !is_over {
        scan.skip_blanks();
        let start = scan.at;
        let key = scan.text()?;
        let key_end = scan.at;
        if key.has_escapes {
            return None;
        }
        scan.skip_blanks();
        if !scan.take(b':') {
            return None;
        }
        scan.skip_blanks();
        match Field::of(key.inside) {
            None => members.gathered.member(&mut scan, start..key_end)?,
            Some((at, field)) => {
                first_time(&mut keys, at)?;
                if scan.peek() == Some(b'n') {
                    scan.literal(b"null")?;
                } else if field == Field::Attributes {
                    members.gathered.object(&mut scan)?;
                } else {
                    first_time(&mut given, field as usize)?;
                    match field {
                        Field::Tags => read_tags(&mut scan, tags)?,
                        Field::Timestamp => record.timestamp_ns = timestamp(&mut scan, moments)?,
                        Field::Level => record.level = level(&mut scan)?,
                        Field::TenantId => {
                            let text = scan.text()?;
                            if text.has_escapes || text.inside != tenant.as_str().as_bytes() {
                                return None;
                            }
                        }
                        _ => put(&mut record, field, scan.text()?)?,
                    }
                }
            }
        }
        scan.skip_blanks();
        is_over = scan.take(b'}');
        if !is_over && !scan.take(b',') {
            return None;
        }
    }
    scan.skip_blanks();
    if scan.peek().is_some() {
        return None;
    }
    record.attributes = members.gathered.finish(line);
    record.tags = tags;
    Some(record)
}

/// Sets the bit `at`; `None` when it was set before.
fn first_time(bits: &mut u32, at: usize) -> Option<()> {
    let bit = 1 << at;
    let is_first = *bits & bit == 0;
    *bits |= bit;
    is_first.then_some(())
}

/// Puts a field that is a text; `None` for one that may hold no escape and does.
fn put<'a>(record: &mut RawRecord<'a>, field: Field, text: Text<'a>) -> Option<()> {
    let plain = || if text.has_escapes { None } else { std::str::from_utf8(text.inside).ok() };
    match field {
        Field::Service => record.service = plain()?,
        Field::TraceId => record.trace_id = plain()?,
        Field::Message => record.message = text.inside,
        Field::SpanId => record.span_id = text.inside,
        Field::ParentSpanId => record.parent_span_id = text.inside,
        Field::Host => record.host = text.inside,
        Field::Timestamp | Field::Level | Field::Tags | Field::Attributes | Field::TenantId => return None,
    }
    Some(())
}

fn timestamp(scan: &mut Scan<'_, '_>, moments: &mut Moments) -> Option<Option<i64>> {
    if scan.peek() == Some(b'"') {
        return moments.read(scan.text()?.inside).map(Some);
    }
    let moment = Timestamp::from_integer(scan.integer()?).ok()?;
    Some(Some(moment.0).filter(|ns| *ns != 0))
}

fn level(scan: &mut Scan<'_, '_>) -> Option<Option<Level>> {
    if scan.peek() != Some(b'"') {
        return Level::from_number(scan.integer()?).map(Some);
    }
    let text = scan.text()?;
    if text.inside.is_empty() {
        return Some(None);
    }
    let canonical = Level::ALL.into_iter().find(|level| level.as_str().as_bytes() == text.inside);
    let read = || if text.has_escapes { None } else { Level::from_text(std::str::from_utf8(text.inside).ok()?) };
    canonical.or_else(read).map(Some)
}

fn read_tags(scan: &mut Scan<'_, '_>, tags: &mut Vec<u8>) -> Option<()> {
    if !scan.take(b'[') {
        return None;
    }
    scan.skip_blanks();
    if scan.take(b']') {
        return Some(());
    }
    for _ in 0..limits::TAGS {
        scan.skip_blanks();
        let tag = scan.text().filter(|tag| tag.inside.len() <= limits::TAG_BYTES)?;
        tags.extend_from_slice(if tags.is_empty() { b"\"" } else { b",\"" });
        tags.extend_from_slice(tag.inside);
        tags.push(b'"');
        scan.skip_blanks();
        if scan.take(b']') {
            return Some(());
        }
        if !scan.take(b',') {
            return None;
        }
    }
    None
}
