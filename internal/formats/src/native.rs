use loglake_api::ingest::v1::{Level, LogRecord};
use loglake_model::{Fault, FaultCode, InvalidTimestamp, Record};

use crate::json_record::{MAX_TEXT_BYTES, attributes};

/// Checks that a record of the native protocol is not too long to be decoded: what stands for it in memory may be many times as
/// large as it is (a tag of two bytes takes twenty-four).
///
/// # Errors
/// A [`Fault`] past eight times what a record may have.
pub fn native_fits(encoded: &[u8]) -> Result<(), Fault> {
    if encoded.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    let message = format!("a record has at most {MAX_TEXT_BYTES} bytes as sent");
    Err(Fault::new(FaultCode::TooLarge, "", message).with_limit(MAX_TEXT_BYTES as u64, encoded.len() as u64))
}

/// Turns a record of the native protocol into ours. Its timestamp is always in nanoseconds, 0 for none; a level whose
/// number is not known is kept as `level_text`.
///
/// # Errors
/// A [`Fault`] when the timestamp lies past 2262, or `attributes_json` is not one JSON object within the limits.
pub fn native(record: LogRecord) -> Result<Record, Fault> {
    let timestamp_ns = match i64::try_from(record.timestamp_ns) {
        Ok(0) => None,
        Ok(ns) if ns < i64::MAX => Some(ns),
        _ => return Err(Fault::new(FaultCode::Invalid, "timestamp_ns", InvalidTimestamp::Overflow.to_string())),
    };
    let (level, level_text) = match Level::try_from(record.level) {
        Ok(level) => (level.to_model(), None),
        Err(_) => (None, Some(record.level.to_string())),
    };
    let attributes = if record.attributes_json.is_empty() { Vec::new() } else { attributes(&record.attributes_json)? };
    Ok(Record {
        timestamp_ns,
        level,
        level_text,
        service: record.service,
        message: record.message,
        trace_id: record.trace_id,
        span_id: record.span_id,
        parent_span_id: record.parent_span_id,
        host: record.host,
        tags: record.tags,
        attributes,
    })
}
