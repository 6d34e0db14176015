use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What the name of a service keeps as it is in an object's key.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The service that wrote a record: 1..=128 bytes of UTF-8 without control characters, at most 200 bytes when
/// percent-encoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Service(Arc<str>);

/// Why a text is not the name of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidService {
    /// It is empty.
    #[error("the service is missing")]
    Missing,
    /// It is longer than a service may be.
    #[error("a service has at most 128 bytes, and 200 when percent-encoded; this one has {0}")]
    TooLong(usize),
    /// It has a control character.
    #[error("a service has no control characters")]
    Control,
}

impl Service {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;
    /// The longest name in its percent-encoded form, in bytes.
    pub const MAX_ENCODED_BYTES: usize = 200;

    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidService`] says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidService> {
        if text.is_empty() {
            return Err(InvalidService::Missing);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidService::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidService::Control);
        }
        let encoded: usize = utf8_percent_encode(text, KEY).map(str::len).sum();
        if encoded > Self::MAX_ENCODED_BYTES {
            return Err(InvalidService::TooLong(encoded));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it stands in an object's key: all but `A-Z a-z 0-9 - _ . ~` percent-encoded. `.` and `..` are
    /// encoded whole, so that no part of a key means a folder.
    #[must_use]
    pub fn encoded(&self) -> String {
        match &*self.0 {
            "." => "%2E".to_owned(),
            ".." => "%2E%2E".to_owned(),
            name => utf8_percent_encode(name, KEY).to_string(),
        }
    }

    /// Reads the form that [`Service::encoded`] writes; `None` for anything else.
    #[must_use]
    pub fn from_encoded(text: &str) -> Option<Self> {
        let service = Self::parse(&percent_decode_str(text).decode_utf8().ok()?).ok()?;
        (service.encoded() == text).then_some(service)
    }
}

impl Borrow<str> for Service {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Service {
    type Error = InvalidService;

    fn try_from(text: String) -> Result<Self, InvalidService> {
        Self::parse(&text)
    }
}

impl From<Service> for String {
    fn from(service: Service) -> Self {
        service.0.as_ref().to_owned()
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_names_are_one_plain_path_segment_and_come_back() {
        for name in ["api", "a/b", "..", ".", "a=b", "ü x", "%2e%2e", "100%"] {
            let service = Service::parse(name).unwrap();
            let encoded = service.encoded();
            assert!(!encoded.contains('/') && encoded != "." && encoded != "..", "{encoded}");
            assert_eq!(Service::from_encoded(&encoded), Some(service));
        }
        assert_eq!(Service::parse(&"ü".repeat(60)), Err(InvalidService::TooLong(360)));
        assert_eq!(Service::parse("a\u{7f}"), Err(InvalidService::Control));
    }
}
