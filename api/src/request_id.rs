//! The id of a request: given by the caller or made here, on every answer and in the log.

/// The header that carries it, both ways; also the gRPC metadata key.
pub const HEADER: &str = "x-request-id";

/// The longest id that is taken from a caller, in bytes.
pub const MAX_BYTES: usize = 128;

/// Whether `text` is taken as a request's id: 1..=128 of `A-Z a-z 0-9 - _ . : / + =`. Anything else is replaced by one of
/// our own, so that no caller writes into logs or headers what it likes.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'='))
}

/// The id that a request came with in its `headers`; `None` when it has none, or none that is valid.
#[must_use]
pub fn given(headers: &http::HeaderMap) -> Option<&str> {
    headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_valid(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_forge_a_log_line_are_refused() {
        for good in ["a", "0af7651916cd43dd8448eb211c80319c", "req-1_2.3:4/5+6=", &"x".repeat(128)] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\nb", "a\"b", "ä", &"x".repeat(129)] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }
}
