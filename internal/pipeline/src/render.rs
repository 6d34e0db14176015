use loglake_model::{Record, Service, Timestamp, line};

/// Appends the canonical line of a record that was validated.
pub(crate) fn line(
    out: &mut Vec<u8>,
    record: &Record,
    service: &Service,
    timestamp_ns: i64,
    received_at_ns: Option<i64>,
) {
    line::begin(out, timestamp_ns, record.level, service.as_str());
    line::text_field(out, "message", &record.message);
    for (key, value) in [
        ("trace_id", &record.trace_id),
        ("span_id", &record.span_id),
        ("parent_span_id", &record.parent_span_id),
        ("host", &record.host),
    ] {
        if !value.is_empty() {
            line::text_field(out, key, value);
        }
    }
    for (at, tag) in record.tags.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b",\"tags\":[\"" } else { b"\",\"" });
        line::escape_into(out, tag);
    }
    if !record.tags.is_empty() {
        out.extend_from_slice(b"\"]");
    }
    for (at, (key, value)) in record.attributes.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b",\"attributes\":{\"" } else { b",\"" });
        line::escape_into(out, key);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value.as_bytes());
    }
    if !record.attributes.is_empty() {
        out.push(b'}');
    }
    if let Some(received_at_ns) = received_at_ns {
        out.extend_from_slice(b",\"received_at\":\"");
        out.extend_from_slice(&Timestamp(received_at_ns).to_text());
        out.push(b'"');
    }
    out.push(b'}');
}
