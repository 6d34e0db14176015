use std::borrow::Cow;

use loglake_model::line;
use memchr::memchr2;

/// The parts of a canonical line that most conditions look at, sliced and not parsed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The service, escaped.
    pub(crate) service: &'a [u8],
    /// The message, escaped.
    pub(crate) message: &'a [u8],
    /// What follows the message's closing quote.
    pub(crate) rest: &'a [u8],
}

const MESSAGE_KEY: &[u8] = b"\",\"message\":\"";
const TRACE_KEY: &[u8] = b",\"trace_id\":\"";

impl<'a> View<'a> {
    /// Slices `line`; `None` when it is not canonical.
    pub(crate) fn of(line: &'a [u8]) -> Option<Self> {
        let from_service = line::after_level(line)?;
        let (service, rest) = from_service.split_at_checked(string_end(from_service)?)?;
        let from_message = rest.strip_prefix(MESSAGE_KEY)?;
        let (message, rest) = from_message.split_at_checked(string_end(from_message)?)?;
        Some(Self { service, message, rest: rest.get(1..)? })
    }

    /// The message as text; `None` when it is not UTF-8 or holds a broken escape.
    pub(crate) fn message(&self) -> Option<Cow<'a, str>> {
        if memchr::memchr(b'\\', self.message).is_none() {
            return std::str::from_utf8(self.message).ok().map(Cow::Borrowed);
        }
        let mut quoted = Vec::with_capacity(self.message.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(self.message);
        quoted.push(b'"');
        serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
    }

    /// The trace id, escaped; `None` when there is none.
    pub(crate) fn trace_id(&self) -> Option<&'a [u8]> {
        let from_id = self.rest.strip_prefix(TRACE_KEY)?;
        from_id.get(..string_end(from_id)?)
    }
}

/// Where the closing quote of a JSON string stands, given what follows its opening quote.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        // A backslash hides whatever follows it.
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sliced_at_their_own_quotes() {
        let mut raw = Vec::new();
        line::begin(&mut raw, 7, None, "a\"b");
        line::text_field(&mut raw, "message", "say \"hi\"\\\n");
        line::text_field(&mut raw, "trace_id", "t-1");
        raw.push(b'}');
        let view = View::of(&raw).unwrap();
        assert_eq!(view.service, b"a\\\"b");
        assert_eq!(view.message().unwrap(), "say \"hi\"\\\n");
        assert_eq!(view.trace_id(), Some(b"t-1".as_slice()));
        for length in 0..raw.len() {
            // Whatever is cut off, nothing is read past the end.
            let _ = View::of(&raw[..length]);
        }
        assert!(View::of(b"{}").is_none());
    }
}
