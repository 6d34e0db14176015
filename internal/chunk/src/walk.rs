//! One walk over a canonical line: its level, and the values that the filters hold.

use loglake_model::{Level, line};

/// A value that a filter holds, as it stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// What stands between the quotes, or the whole of a number or word.
    pub(crate) raw: &'a [u8],
    /// Whether it holds a backslash, so that it must be unescaped first.
    pub(crate) is_escaped: bool,
}

/// Where a value stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The message, or a value within the attributes; counted from 0 within the line.
    Text(usize),
    /// The trace id.
    Trace,
}

/// Walks over `line` (without its line feed) from behind the timestamp, calls `visit` with what the filters hold, and
/// returns the level's slot. It checks the shape of the top level; what is inside the attributes it trusts, but survives.
pub(crate) fn walk<'a>(
    line: &'a [u8],
    mut visit: impl FnMut(Place, Value<'a>) -> Result<(), &'static str>,
) -> Result<usize, &'static str> {
    let (mut at, mut slot, mut texts) = (line::AFTER_TIMESTAMP, 0, 0);
    let mut has_message = false;
    while let Some(b',') = line.get(at) {
        let key_at = at;
        let (key, value_at) = key(line, at + 1)?;
        match key {
            Key::Message => {
                let (value, after) = string(line, value_at)?;
                visit(Place::Text(texts), value)?;
                (at, texts, has_message) = (after, texts + 1, true);
            }
            Key::Trace => {
                let (value, after) = string(line, value_at)?;
                visit(Place::Trace, value)?;
                at = after;
            }
            Key::Level => {
                let (value, after) = string(line, value_at)?;
                let level = Level::ALL.into_iter().find(|level| level.as_str().as_bytes() == value.raw);
                if key_at != line::AFTER_TIMESTAMP || level.is_none() {
                    return Err("has a level that is not one, or not in its place");
                }
                (at, slot) = (after, Level::slot(level));
            }
            Key::Attributes => {
                at = leaves(line, value_at, |value| {
                    visit(Place::Text(texts), value)?;
                    texts += 1;
                    Ok(())
                })?;
            }
            Key::Text => at = string(line, value_at)?.1,
            Key::Other => at = leaves(line, value_at, |_| Ok(()))?,
        }
    }
    if !has_message {
        return Err("has no message");
    }
    if line.get(at) == Some(&b'}') && at + 1 == line.len() { Ok(slot) } else { Err("does not end as an object does") }
}

/// What a key of the top level leads to.
enum Key {
    Message,
    Trace,
    Level,
    Attributes,
    /// A string that no filter holds.
    Text,
    /// Any value that no filter holds.
    Other,
}

/// The key whose opening quote is at `at`, and where its value begins. Those of every line are recognised without a search.
#[inline]
fn key(line: &[u8], at: usize) -> Result<(Key, usize), &'static str> {
    let rest = line.get(at..).unwrap_or_default();
    macro_rules! known {
        ($($text:literal => $key:ident),*) => {{
            $(if rest.starts_with($text) {
                return Ok((Key::$key, at + $text.len()));
            })*
        }};
    }
    match rest.get(1) {
        Some(b'm') => known!(b"\"message\":" => Message),
        Some(b't') => known!(b"\"trace_id\":" => Trace),
        Some(b'l') => known!(b"\"level\":" => Level),
        Some(b'a') => known!(b"\"attributes\":" => Attributes),
        Some(b's') => known!(b"\"service\":" => Text, b"\"span_id\":" => Text),
        Some(b'p') => known!(b"\"parent_span_id\":" => Text),
        Some(b'h') => known!(b"\"host\":" => Text),
        Some(b'i') => known!(b"\"id\":" => Text),
        _ => {}
    }
    let (key, after) = string(line, at)?;
    if line.get(after) != Some(&b':') {
        return Err("has a key without a value");
    }
    // One that an escape hides would be taken for another.
    if key.is_escaped { Err("has an escaped key") } else { Ok((Key::Other, after + 1)) }
}

/// Calls `visit` with every string (not the keys), number, `true`, `false` and `null` of the JSON value at `at`, and
/// returns where it ends.
fn leaves<'a>(
    line: &'a [u8],
    mut at: usize,
    mut visit: impl FnMut(Value<'a>) -> Result<(), &'static str>,
) -> Result<usize, &'static str> {
    let mut depth = 0_usize;
    loop {
        match *line.get(at).ok_or("is cut short")? {
            b'"' => {
                let (value, after) = string(line, at)?;
                at = after;
                while line.get(at).is_some_and(u8::is_ascii_whitespace) {
                    at += 1;
                }
                if line.get(at) != Some(&b':') || depth == 0 {
                    visit(value)?;
                }
            }
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' => (at, depth) = (at + 1, depth.checked_sub(1).ok_or("closes what is not open")?),
            b',' | b':' | b' ' | b'\t' | b'\r' if depth > 0 => {
                at += 1;
                continue;
            }
            _ => {
                let length = line[at..]
                    .iter()
                    .position(|byte| {
                        matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[' | b' ' | b'\t' | b'\r')
                    })
                    .ok_or("is cut short")?;
                if length == 0 {
                    return Err("has a key without a value");
                }
                visit(Value { raw: &line[at..at + length], is_escaped: false })?;
                at += length;
            }
        }
        if depth == 0 {
            return Ok(at);
        }
    }
}

/// The string whose opening quote is at `at`, and where what follows it begins.
#[inline]
fn string(line: &[u8], at: usize) -> Result<(Value<'_>, usize), &'static str> {
    if line.get(at) != Some(&b'"') {
        return Err("has something else where a string should be");
    }
    let from = at + 1;
    let (mut at, mut is_escaped) = (from, false);
    loop {
        at = quote_or_backslash(line, at).ok_or("has a string without an end")?;
        if line[at] == b'"' {
            return Ok((Value { raw: &line[from..at], is_escaped }, at + 1));
        }
        is_escaped = true;
        at += 2;
    }
}

/// Where the next `"` or `\` is. Most strings are short: the first bytes are looked at eight at a time, here.
#[inline]
fn quote_or_backslash(line: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut at = from;
    while at < from + 32 {
        let Some(word) = line.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let word = u64::from_le_bytes(*word);
        let (quote, backslash) = (word ^ (ONES * b'"' as u64), word ^ (ONES * b'\\' as u64));
        // The lowest set bit marks the first zero byte; only bytes above it may be marked wrongly.
        let zero = |x: u64| x.wrapping_sub(ONES) & !x & (ONES << 7);
        let found = zero(quote) | zero(backslash);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', line.get(at..)?).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(rest: &str) -> Result<(usize, Vec<String>), &'static str> {
        let line = format!("{{\"timestamp\":\"2023-11-14T22:13:20.000000000Z\"{rest}");
        let mut seen = Vec::new();
        let slot = walk(line.as_bytes(), |place, value| {
            seen.push(format!("{place:?} {} {}", String::from_utf8_lossy(value.raw), value.is_escaped));
            Ok(())
        })?;
        Ok((slot, seen))
    }

    #[test]
    fn values_are_found_keys_and_ids_are_not() {
        let (slot, seen) = walked(
            r#","level":"warn","service":"a","message":"m\"essage that is longer than thirty-two bytes \\","trace_id":"t","span_id":"s","tags":["x","y"],"attributes":{"k":"v","n":12345.5,"o":{"p":[true,null,"q\n"]},"e":{},"w" : "blank" },"id":"0-0-0-0"}"#,
        )
        .unwrap();
        assert_eq!(slot, 4);
        assert_eq!(
            seen,
            [
                r#"Text(0) m\"essage that is longer than thirty-two bytes \\ true"#,
                "Trace t false",
                "Text(1) v false",
                "Text(2) 12345.5 false",
                "Text(3) true false",
                "Text(4) null false",
                r"Text(5) q\n true",
                "Text(6) blank false",
            ]
        );
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for bad in [
            "",
            "}",
            r#","message":"m""#,
            r#","message":"m"}}"#,
            r#","message":"m}"#,
            r#","message":"m\"}"#,
            r#","message":17}"#,
            r#","message"}"#,
            r#","service":"s"}"#,
            r#","level":"loud","message":"m"}"#,
            r#","message":"m","level":"info"}"#,
            r#","message":"m","attributes":{"a":"#,
            r#","message":"m","attributes":}"#,
            r#","message":"m","attributes":]}"#,
        ] {
            assert!(walked(bad).is_err(), "{bad}");
        }
    }
}
