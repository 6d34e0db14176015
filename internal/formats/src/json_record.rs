use std::borrow::Cow;

use loglake_model::{Fault, FaultCode, InvalidTimestamp, Level, Record, TenantName, Timestamp, limits};

use crate::field::{Field, Seen, duplicate, shortened};
use crate::json_text::{JsonText, check_key, first_repeated};
use crate::number;

/// The longest text of a record before it is read: with every character written as `\u0000`, blanks between, and then some.
/// Longer ones are refused unread.
pub(crate) const MAX_TEXT_BYTES: usize = 8 * limits::RECORD_BYTES;

/// Reads one record of `tenant` from the bytes of one JSON object.
///
/// # Errors
/// A [`Fault`] when it is not one, or a field is not what it should be.
pub fn json_record(bytes: &[u8], tenant: &TenantName) -> Result<Record, Fault> {
    if bytes.len() > MAX_TEXT_BYTES {
        let message = format!("a record has at most {MAX_TEXT_BYTES} bytes of JSON");
        return Err(Fault::new(FaultCode::TooLarge, "", message).with_limit(MAX_TEXT_BYTES as u64, bytes.len() as u64));
    }
    let text = utf8(bytes, "")?;
    let mut json = JsonText::new(text);
    let mut record = Record::default();
    let mut seen = Seen::default();
    json.skip_blanks();
    if json.peek() != Some(b'{') {
        return json.malformed("a record, which is a JSON object");
    }
    json.members(|json, key| match Field::of(key.as_bytes()) {
        Some((at, field)) => {
            seen.key(at)?;
            if json.null()? {
                return Ok(());
            }
            seen.value(at, field)?;
            read_field(json, field, &key, &mut record, tenant)
        }
        None => read_attribute(json, key, "", &mut record.attributes),
    })?;
    json.end()?;
    check_attributes(&record.attributes)?;
    Ok(record)
}

/// Reads one JSON object of attributes, for protocols that carry them so.
pub(crate) fn attributes(bytes: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let mut json = JsonText::new(utf8(bytes, "attributes")?);
    let mut attributes = Vec::new();
    json.skip_blanks();
    let read = json.members(|json, key| read_attribute(json, key, "attributes.", &mut attributes));
    read.and_then(|()| json.end()).map_err(|fault| named(fault, "attributes"))?;
    check_attributes(&attributes)?;
    Ok(attributes)
}

fn utf8<'a>(bytes: &'a [u8], field: &str) -> Result<&'a str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("the bytes from {} on are not UTF-8", error.valid_up_to() + 1);
        Fault::new(FaultCode::InvalidUtf8, field, message)
    })
}

fn read_field(
    json: &mut JsonText<'_>,
    field: Field,
    key: &str,
    record: &mut Record,
    tenant: &TenantName,
) -> Result<(), Fault> {
    match field {
        Field::Timestamp => record.timestamp_ns = timestamp(json, key)?,
        Field::Level => (record.level, record.level_text) = level(json, key)?,
        Field::Service => record.service = text(json, key)?.into_owned(),
        Field::Message => record.message = text(json, key)?.into_owned(),
        Field::TraceId => record.trace_id = text(json, key)?.into_owned(),
        Field::SpanId => record.span_id = text(json, key)?.into_owned(),
        Field::ParentSpanId => record.parent_span_id = text(json, key)?.into_owned(),
        Field::Host => record.host = text(json, key)?.into_owned(),
        Field::Tags => record.tags = tags(json, key)?,
        Field::Attributes => {
            if json.peek() != Some(b'{') {
                return Err(wrong(json, key, "an object"));
            }
            json.members(|json, key| read_attribute(json, key, "attributes.", &mut record.attributes))?;
        }
        Field::TenantId => {
            if text(json, key)? != tenant.as_str() {
                let message = "the credential belongs to another tenant: leave this out or repeat that one";
                return Err(Fault::new(FaultCode::Forbidden, key, message));
            }
        }
    }
    Ok(())
}

/// The fault of a value of the wrong kind. Where it is no value at all, that is the fault.
fn wrong(json: &mut JsonText<'_>, key: &str, right: &str) -> Fault {
    let found = match json.peek() {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    };
    match json.value_into(&mut Vec::new(), limits::DEPTH) {
        Err(fault) if fault.code == FaultCode::Malformed => fault,
        _ => Fault::new(FaultCode::Invalid, key, format!("this is {found}, it must be {right}")),
    }
}

fn text<'a>(json: &mut JsonText<'a>, key: &str) -> Result<Cow<'a, str>, Fault> {
    if json.peek() != Some(b'"') {
        return Err(wrong(json, key, "a text"));
    }
    json.string().map_err(|fault| named(fault, key))
}

fn timestamp(json: &mut JsonText<'_>, key: &str) -> Result<Option<i64>, Fault> {
    let invalid = |error: InvalidTimestamp| Fault::new(FaultCode::Invalid, key, error.to_string());
    match json.peek() {
        Some(b'"') => {
            let text = text(json, key)?;
            if text.is_empty() {
                return Ok(None);
            }
            // 1970 written out is 1970; a number 0 is no time at all.
            let looks_like_a_number =
                text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.')) && !text[1..].contains('-');
            if looks_like_a_number {
                number::moment(&text).map(nonzero)
            } else {
                Timestamp::parse(&text).map(|at| Some(at.0))
            }
            .map_err(invalid)
        }
        Some(b'-' | b'0'..=b'9') => number::moment(json.number()?).map(nonzero).map_err(invalid),
        _ => Err(wrong(json, key, "RFC 3339 text or a number of s, ms, us or ns since the epoch")),
    }
}

fn nonzero(moment: Timestamp) -> Option<i64> {
    Some(moment.0).filter(|ns| *ns != 0)
}

fn level(json: &mut JsonText<'_>, key: &str) -> Result<(Option<Level>, Option<String>), Fault> {
    match json.peek() {
        Some(b'"') => {
            let text = text(json, key)?;
            Ok(match Level::from_text(&text) {
                None if text.is_empty() => (None, None),
                None => (None, Some(text.into_owned())),
                level => (level, None),
            })
        }
        Some(b'-' | b'0'..=b'9') => {
            let number = json.number()?;
            Ok(match number.parse().ok().and_then(Level::from_number) {
                None => (None, Some(number.to_owned())),
                level => (level, None),
            })
        }
        _ => Err(wrong(json, key, "a text or a number")),
    }
}

fn tags(json: &mut JsonText<'_>, key: &str) -> Result<Vec<String>, Fault> {
    if json.peek() != Some(b'[') {
        return Err(wrong(json, key, "a list of texts"));
    }
    let mut tags = Vec::new();
    json.items(|json| {
        if tags.len() == limits::TAGS {
            let message = format!("a record has at most {} tags", limits::TAGS);
            return Err(
                Fault::new(FaultCode::TooMany, key, message).with_limit(limits::TAGS as u64, limits::TAGS as u64 + 1)
            );
        }
        tags.push(text(json, key)?.into_owned());
        Ok(())
    })?;
    Ok(tags)
}

/// Reads the value of an attribute. `prefix` is what faults put before its key.
fn read_attribute(
    json: &mut JsonText<'_>,
    key: Cow<'_, str>,
    prefix: &str,
    attributes: &mut Vec<(String, String)>,
) -> Result<(), Fault> {
    let field = || format!("{prefix}{}", shortened(&key));
    if attributes.len() == limits::ATTRIBUTES {
        let message = format!("a record has at most {} attributes", limits::ATTRIBUTES);
        let (limit, actual) = (limits::ATTRIBUTES as u64, limits::ATTRIBUTES as u64 + 1);
        return Err(Fault::new(FaultCode::TooMany, "attributes", message).with_limit(limit, actual));
    }
    check_key(&key).map_err(|fault| named(fault, &field()))?;
    let mut value = Vec::new();
    json.value_into(&mut value, limits::DEPTH).map_err(|fault| match fault.code {
        // A repeated key inside is named itself; say where.
        FaultCode::DuplicateKey => Fault { field: format!("{}.{}", field(), fault.field), ..fault },
        _ => named(fault, &field()),
    })?;
    let value = String::from_utf8(value).expect("a value is made of pieces of UTF-8 text");
    attributes.push((key.into_owned(), value));
    Ok(())
}

/// Puts the field's name on a fault that has none; broken JSON is a fault of the whole.
fn named(mut fault: Fault, field: &str) -> Fault {
    if fault.field.is_empty() && fault.code != FaultCode::Malformed {
        field.clone_into(&mut fault.field);
    }
    fault
}

/// Attributes come from several places: no key may come twice.
fn check_attributes(attributes: &[(String, String)]) -> Result<(), Fault> {
    let mut keys: Vec<&str> = attributes.iter().map(|(key, _)| key.as_str()).collect();
    match first_repeated(&mut keys) {
        Some(key) => {
            let mut fault = duplicate(key);
            fault.field = format!("attributes.{}", fault.field);
            Err(fault)
        }
        None => Ok(()),
    }
}
