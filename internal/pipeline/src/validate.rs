use std::time::Duration;

use loglake_model::{Fault, FaultCode, InvalidService, InvalidTimestamp, Record, Service, limits, line};

use crate::{Config, Measured};

/// The attribute that keeps a level's unknown spelling.
const LEVEL_TEXT: &str = "level_text";

pub(crate) fn service(name: &str) -> Result<Service, Fault> {
    Service::parse(name).map_err(|error| {
        let message = error.to_string();
        match error {
            InvalidService::Missing => Fault::new(FaultCode::Missing, "service", message),
            InvalidService::TooLong(actual) => {
                // Which of the two limits was passed follows from the length as sent.
                let limit =
                    if name.len() > Service::MAX_BYTES { Service::MAX_BYTES } else { Service::MAX_ENCODED_BYTES };
                Fault::new(FaultCode::TooLong, "service", message).with_limit(limit as u64, actual as u64)
            }
            InvalidService::Control => Fault::new(FaultCode::Invalid, "service", message),
        }
    })
}

/// Checks the lengths of the record's own texts.
pub(crate) fn texts(record: &Record) -> Result<(), Fault> {
    if record.message.is_empty() {
        return Err(Fault::new(FaultCode::Missing, "message", "the message is missing or empty"));
    }
    length("message", &record.message, limits::MESSAGE_BYTES)?;
    length("trace_id", &record.trace_id, limits::ID_BYTES)?;
    length("span_id", &record.span_id, limits::ID_BYTES)?;
    length("parent_span_id", &record.parent_span_id, limits::ID_BYTES)?;
    length("host", &record.host, limits::HOST_BYTES)?;
    length("level", record.level_text.as_deref().unwrap_or_default(), limits::LEVEL_TEXT_BYTES)
}

/// Checks tags and attributes, and moves the level's unknown spelling to these.
pub(crate) fn lists(record: &mut Record) -> Result<(), Fault> {
    if let Some(text) = record.level_text.take() {
        if record.attributes.iter().any(|(key, _)| key == LEVEL_TEXT) {
            let message = "the level's spelling is not known and would be kept as this attribute: send one of them";
            return Err(Fault::new(FaultCode::DuplicateKey, format!("attributes.{LEVEL_TEXT}"), message));
        }
        let value = format!("\"{}\"", String::from_utf8_lossy(&line::escaped(&text)));
        record.attributes.push((LEVEL_TEXT.to_owned(), value));
    }
    count("tags", record.tags.len(), limits::TAGS)?;
    for tag in &record.tags {
        length("tags", tag, limits::TAG_BYTES)?;
    }
    count("attributes", record.attributes.len(), limits::ATTRIBUTES)?;
    for (key, _) in &record.attributes {
        length("attributes", key, limits::KEY_BYTES)?;
    }
    Ok(())
}

fn length(field: &str, text: &str, limit: usize) -> Result<(), Fault> {
    if text.len() <= limit {
        return Ok(());
    }
    let what = match field {
        "tags" => "a tag",
        "attributes" => "the key of an attribute",
        _ => "this field",
    };
    let message = format!("{what} has at most {limit} bytes, this one has {}", text.len());
    Err(Fault::new(FaultCode::TooLong, field, message).with_limit(limit as u64, text.len() as u64))
}

fn count(field: &str, actual: usize, limit: usize) -> Result<(), Fault> {
    if actual <= limit {
        return Ok(());
    }
    let message = format!("a record has at most {limit} {field}, this one has {actual}");
    Err(Fault::new(FaultCode::TooMany, field, message).with_limit(limit as u64, actual as u64))
}

/// The record's time: its own, or that of its receipt.
pub(crate) fn timestamp(
    config: &Config,
    own_ns: Option<i64>,
    received_at_ns: i64,
    measured: Measured,
) -> Result<i64, Fault> {
    let fault = |code, message: String| Err(Fault::new(code, "timestamp", message));
    let Some(ns) = own_ns else {
        // A machine whose clock stands outside the years that can be written still gets its records stored.
        return Ok(received_at_ns.clamp(0, i64::MAX - 1));
    };
    if ns < 0 {
        return fault(FaultCode::Invalid, InvalidTimestamp::Negative.to_string());
    }
    if ns == i64::MAX {
        return fault(FaultCode::Invalid, InvalidTimestamp::Overflow.to_string());
    }
    if ns > measured.latest_ns.saturating_add(nanos(config.max_future)) {
        return fault(
            FaultCode::TooFarAhead,
            format!(
                "it lies more than {} s after the time of receipt: check the clock and the unit",
                config.max_future.as_secs()
            ),
        );
    }
    match config.max_age {
        Some(max_age) if ns < measured.earliest_ns.saturating_sub(nanos(max_age)) => {
            fault(FaultCode::TooOld, format!("it lies more than {} s before the time of receipt", max_age.as_secs()))
        }
        _ => Ok(ns),
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Lower-cases `id` when it is exactly `digits` hexadecimal digits; anything else is kept byte for byte.
pub(crate) fn lower_hex(id: &mut str, digits: usize) {
    if id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        id.make_ascii_lowercase();
    }
}
