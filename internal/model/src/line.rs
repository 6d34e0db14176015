//! The canonical line: how a record is written down, in a broker message and in a chunk.
//!
//! One JSON object without blanks, keys in this order, absent ones left out:
//! `{"timestamp","level","service","message","trace_id","span_id","parent_span_id","host","tags","attributes","received_at","id"}`.
//! So the timestamp is always the 30 bytes from [`TIMESTAMP_AT`], and the level, if any, follows at a fixed place.
//! Text is escaped in one form only ([`escape_into`]), so an escaped needle can be searched for in the raw bytes.
//!
//! A broker message holds the line without `id`; [`append_with_id`] adds it when the record's place is known.

use crate::{Level, RecordId, Timestamp};

/// How every line begins.
pub const HEAD: &[u8] = b"{\"timestamp\":\"";
/// Where the timestamp's 30 bytes stand.
pub const TIMESTAMP_AT: usize = HEAD.len();
/// Where the bytes after the timestamp's closing quote stand: `,"level":"` or `,"service":"`.
pub const AFTER_TIMESTAMP: usize = TIMESTAMP_AT + Timestamp::TEXT_BYTES + 1;

const LEVEL_KEY: &[u8] = b",\"level\":\"";
const SERVICE_KEY: &[u8] = b",\"service\":\"";
const ID_KEY: &[u8] = b",\"id\":\"";

/// How many bytes from the start of `bytes` stand for themselves inside a JSON string: all before the first `"`, `\`, or control
/// character below U+0020.
#[must_use]
#[inline]
pub fn plain_run(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<WORD>();
    for (at, word) in words.iter().enumerate() {
        let special = special_of(word);
        if special != 0 {
            return at * WORD + special.trailing_zeros() as usize / 8;
        }
    }
    // The last word once more, further back: what was seen before has nothing in it.
    if let Some(word) = bytes.last_chunk::<WORD>() {
        let special = special_of(word);
        return if special == 0 { bytes.len() } else { bytes.len() - WORD + special.trailing_zeros() as usize / 8 };
    }
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    rest.iter().position(is_special).unwrap_or(rest.len())
}

/// How many bytes are looked at together.
const WORD: usize = 8;

/// Looks for bytes that need an escape: the lowest bit that is set lies in the first of them. (A difference borrows from higher
/// bytes only, so what lies above the first may be wrong.)
#[inline]
fn special_of(word: &[u8; WORD]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*word);
    let is_zero = |word: u64| word.wrapping_sub(EACH) & !word;
    let is_control = word.wrapping_sub(0x20 * EACH) & !word;
    (is_control | is_zero(word ^ (0x22 * EACH)) | is_zero(word ^ (0x5c * EACH))) & (0x80 * EACH)
}

/// Appends `text` to `out` as the inside of a JSON string: `"` and `\` and the control characters below U+0020 are escaped
/// (`\b \t \n \f \r`, the rest `\u00xx` in lower case), everything else is kept as it is.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    escape_bytes_into(out, text.as_bytes());
}

/// [`escape_into`] of bytes that may turn out not to be UTF-8: these are kept as they are.
pub fn escape_bytes_into(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_run(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        rest = after;
    }
}

/// The escaped form of `text`, as it stands inside a line.
#[must_use]
pub fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    escape_into(&mut out, text);
    out
}

/// The timestamp of a line, ns UTC; `None` when it does not begin as a line does.
#[must_use]
pub fn timestamp_of(line: &[u8]) -> Option<i64> {
    let text = line.strip_prefix(HEAD)?.get(..Timestamp::TEXT_BYTES)?;
    Timestamp::from_text(text).map(|timestamp| timestamp.0)
}

/// The level of a line; `None` when it has none.
#[must_use]
pub fn level_of(line: &[u8]) -> Option<Level> {
    let rest = line.get(AFTER_TIMESTAMP..)?.strip_prefix(LEVEL_KEY)?;
    let end = rest.iter().take(8).position(|byte| *byte == b'"')?;
    Level::ALL.into_iter().find(|level| level.as_str().as_bytes() == &rest[..end])
}

/// The bytes of a line between the start of the service's value and its end: where `"service":"` leads. `None` when the
/// line is not canonical.
#[must_use]
pub fn after_level(line: &[u8]) -> Option<&[u8]> {
    let rest = line.get(AFTER_TIMESTAMP..)?;
    let rest = match rest.strip_prefix(LEVEL_KEY) {
        Some(level) => level.get(level.iter().take(8).position(|byte| *byte == b'"')? + 1..)?,
        None => rest,
    };
    rest.strip_prefix(SERVICE_KEY)
}

/// The id at the end of a chunk's line; `None` when there is none.
#[must_use]
pub fn id_of(line: &[u8]) -> Option<RecordId> {
    let body = line.strip_suffix(b"\"}")?;
    let tail_from = body.len().saturating_sub(RecordId::MAX_TEXT_BYTES + ID_KEY.len());
    let tail = &body[tail_from..];
    let at = tail.windows(ID_KEY.len()).rposition(|window| window == ID_KEY)?;
    std::str::from_utf8(&tail[at + ID_KEY.len()..]).ok()?.parse().ok()
}

/// Appends `line` (a canonical line without `id`) with its id, and no line feed.
pub fn append_with_id(out: &mut Vec<u8>, line: &[u8], id: RecordId) {
    out.extend_from_slice(line.strip_suffix(b"}").unwrap_or(line));
    out.extend_from_slice(ID_KEY);
    id.append_to(out);
    out.extend_from_slice(b"\"}");
}

/// Appends the beginning of a line: timestamp, level, service. The caller goes on with `,"message":"…"`.
pub fn begin(out: &mut Vec<u8>, timestamp_ns: i64, level: Option<Level>, service: &str) {
    out.extend_from_slice(HEAD);
    out.extend_from_slice(&Timestamp(timestamp_ns).to_text());
    out.extend_from_slice(level_part(level));
    service_part_into(out, service);
}

/// What stands between the timestamp's 30 bytes and the service's part: the closing quote, and the level if there is one.
#[must_use]
pub fn level_part(level: Option<Level>) -> &'static [u8] {
    match level {
        None => b"\"",
        Some(Level::Trace) => b"\",\"level\":\"trace\"",
        Some(Level::Debug) => b"\",\"level\":\"debug\"",
        Some(Level::Info) => b"\",\"level\":\"info\"",
        Some(Level::Warn) => b"\",\"level\":\"warn\"",
        Some(Level::Error) => b"\",\"level\":\"error\"",
        Some(Level::Fatal) => b"\",\"level\":\"fatal\"",
    }
}

/// Appends `,"service":"…"`.
pub fn service_part_into(out: &mut Vec<u8>, service: &str) {
    out.extend_from_slice(SERVICE_KEY);
    escape_into(out, service);
    out.push(b'"');
}

/// Appends `,"key":"value"` with the value escaped. `key` must need no escaping.
pub fn text_field(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":\"");
    escape_into(out, value);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(ns: i64, level: Option<Level>, message: &str) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out, ns, level, "sér\"vice");
        text_field(&mut out, "message", message);
        out.push(b'}');
        out
    }

    proptest! {
        #[test]
        fn what_was_written_is_sliced_back(ns in 0..i64::MAX, slot in 0_usize..7, message in any::<String>(),
                                           numbers in any::<(u32, u32, u64, u32)>()) {
            let level = Level::from_slot(slot);
            let raw = line(ns, level, &message);
            let id = RecordId { incarnation: numbers.0, partition: numbers.1, offset: numbers.2, index: numbers.3 };
            let mut whole = Vec::new();
            append_with_id(&mut whole, &raw, id);
            prop_assert_eq!(timestamp_of(&whole), Some(ns));
            prop_assert_eq!(level_of(&whole), level);
            prop_assert!(whole[TIMESTAMP_AT + Timestamp::TEXT_BYTES..].starts_with(level_part(level)));
            prop_assert_eq!(id_of(&whole), Some(id));
            prop_assert!(after_level(&whole).unwrap().starts_with("sér\\\"vice\"".as_bytes()));
            let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            prop_assert_eq!(value["message"].as_str(), Some(message.as_str()));
            prop_assert_eq!(serde_json::to_string(&message).unwrap().into_bytes(), [b"\"".as_slice(), &escaped(&message), b"\""].concat());
        }
    }

    proptest! {
        #[test]
        fn a_run_ends_at_the_first_byte_that_needs_an_escape(
            lead in 0_usize..80, bytes in proptest::collection::vec(any::<u8>(), 0..12)
        ) {
            let text = [vec![b'\x7f'; lead].as_slice(), &bytes].concat();
            let first = text.iter().position(|byte| matches!(byte, ..0x20 | b'"' | b'\\'));
            prop_assert_eq!(plain_run(&text), first.unwrap_or(text.len()));
        }
    }

    #[test]
    fn a_message_that_looks_like_an_id_is_not_one() {
        let raw = line(1, None, "x\",\"id\":\"1-2-3-4\"}");
        assert_eq!(id_of(&raw), None);
    }
}
