use loglake_model::{RawRecord, Timestamp, limits, line};

use crate::{Measured, Pipeline, validate};

impl Pipeline {
    /// Validates a record that a decoder has left as slices, received at `received_at_ns`, its time by `measured`, and returns its time. `None` when
    /// something is wrong with it, or must be changed: then [`Pipeline::render_measured`] decides. The service is not looked at:
    /// whoever has seen it before need not check it again.
    #[must_use]
    pub fn time_of_raw(&self, raw: &RawRecord<'_>, received_at_ns: i64, measured: Measured) -> Option<i64> {
        // Escaped texts are at least as long as they mean.
        let is_short = raw.message.len() <= limits::MESSAGE_BYTES
            && raw.trace_id.len() <= limits::ID_BYTES
            && raw.span_id.len() <= limits::ID_BYTES
            && raw.parent_span_id.len() <= limits::ID_BYTES
            && raw.host.len() <= limits::HOST_BYTES;
        let may_change = may_be_lowered(raw.trace_id.as_bytes(), 32)
            || may_be_lowered(raw.span_id, 16)
            || may_be_lowered(raw.parent_span_id, 16);
        if raw.message.is_empty() || !is_short || may_change {
            return None;
        }
        validate::timestamp(&self.config, raw.timestamp_ns, received_at_ns, measured).ok()
    }

    /// Appends the rest of the line of a record that [`Pipeline::time_of_raw`] has passed: from the text of its message to the closing bracket.
    /// What comes out is a canonical line if the record's bytes are UTF-8 and the line is not too long, which is for the caller to see.
    pub fn rest_of_raw(&self, raw: &RawRecord<'_>, received_at_ns: i64, out: &mut Vec<u8>) {
        out.reserve(raw.message.len() + raw.attributes.len() + 256);
        text(out, raw.message, raw.is_escaped);
        let fields: [(&[u8], &[u8]); 4] = [
            (b"\",\"trace_id\":\"", raw.trace_id.as_bytes()),
            (b"\",\"span_id\":\"", raw.span_id),
            (b"\",\"parent_span_id\":\"", raw.parent_span_id),
            (b"\",\"host\":\"", raw.host),
        ];
        for (key, value) in fields {
            if !value.is_empty() {
                out.extend_from_slice(key);
                text(out, value, raw.is_escaped);
            }
        }
        out.push(b'"');
        if !raw.tags.is_empty() {
            out.extend_from_slice(b",\"tags\":[");
            out.extend_from_slice(raw.tags);
            out.push(b']');
        }
        if !raw.attributes.is_empty() {
            out.extend_from_slice(b",\"attributes\":{");
            out.extend_from_slice(raw.attributes);
            out.push(b'}');
        }
        if self.config.keep_received_at {
            out.extend_from_slice(b",\"received_at\":\"");
            out.extend_from_slice(&Timestamp(received_at_ns).to_text());
            out.push(b'"');
        }
        out.push(b'}');
    }
}

fn text(out: &mut Vec<u8>, bytes: &[u8], is_escaped: bool) {
    if is_escaped { out.extend_from_slice(bytes) } else { line::escape_bytes_into(out, bytes) }
}

/// Whether `id` may be one that is written in lower case and is not.
fn may_be_lowered(id: &[u8], digits: usize) -> bool {
    id.len() == digits && id.iter().fold(false, |found, byte| found | byte.is_ascii_uppercase())
}
