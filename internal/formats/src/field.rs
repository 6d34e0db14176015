use loglake_model::{Fault, FaultCode};

/// What a key of a JSON record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Timestamp,
    Level,
    Service,
    Message,
    TraceId,
    SpanId,
    ParentSpanId,
    Host,
    Tags,
    Attributes,
    TenantId,
}

/// The keys with a meaning, each with it.
const KEYS: [(&str, Field); 19] = [
    ("timestamp", Field::Timestamp),
    ("ts", Field::Timestamp),
    ("time", Field::Timestamp),
    ("@timestamp", Field::Timestamp),
    ("level", Field::Level),
    ("severity", Field::Level),
    ("service", Field::Service),
    ("message", Field::Message),
    ("msg", Field::Message),
    ("trace_id", Field::TraceId),
    ("span_id", Field::SpanId),
    ("parent_span_id", Field::ParentSpanId),
    ("parent_id", Field::ParentSpanId),
    ("host", Field::Host),
    ("tags", Field::Tags),
    ("attributes", Field::Attributes),
    ("attrs", Field::Attributes),
    ("metadata", Field::Attributes),
    ("tenant_id", Field::TenantId),
];

impl Field {
    /// What `key` means, with its number among the keys; `None` for one without a meaning, which is an attribute.
    pub(crate) fn of(key: &[u8]) -> Option<(usize, Self)> {
        // The length first: it leaves few to compare with.
        let at = match (key.len(), key) {
            (2, b"ts") => 1,
            (3, b"msg") => 8,
            (4, b"time") => 2,
            (4, b"host") => 13,
            (4, b"tags") => 14,
            (5, b"level") => 4,
            (5, b"attrs") => 16,
            (7, b"service") => 6,
            (7, b"message") => 7,
            (7, b"span_id") => 10,
            (8, b"trace_id") => 9,
            (8, b"severity") => 5,
            (8, b"metadata") => 17,
            (9, b"timestamp") => 0,
            (9, b"parent_id") => 12,
            (9, b"tenant_id") => 18,
            (10, b"attributes") => 15,
            (10, b"@timestamp") => 3,
            (14, b"parent_span_id") => 11,
            _ => return None,
        };
        Some((at, KEYS[at].1))
    }
}

/// Which fields a record has had so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    keys: [bool; KEYS.len()],
    /// The key that gave a field its value.
    given: [Option<usize>; KEYS.len()],
}

impl Seen {
    /// Notes that the key number `at` (from [`Field::of`]) was met. A fault when it was met before.
    pub(crate) fn key(&mut self, at: usize) -> Result<(), Fault> {
        if std::mem::replace(&mut self.keys[at], true) {
            return Err(duplicate(KEYS[at].0));
        }
        Ok(())
    }

    /// Notes that key number `at` gave `field` a value. A fault when another key did before; attributes are joined.
    pub(crate) fn value(&mut self, at: usize, field: Field) -> Result<(), Fault> {
        if field == Field::Attributes {
            return Ok(());
        }
        match self.given[field as usize].replace(at) {
            None => Ok(()),
            Some(before) => Err(Fault::new(
                FaultCode::DuplicateKey,
                KEYS[at].0,
                format!("{:?} and {:?} mean the same: send one of them", KEYS[before].0, KEYS[at].0),
            )),
        }
    }
}

/// The fault of a key that stands twice in one object.
pub(crate) fn duplicate(key: &str) -> Fault {
    Fault::new(FaultCode::DuplicateKey, shortened(key), "this key stands twice in one object: send it once")
}

/// A key as answers name it.
pub(crate) fn shortened(key: &str) -> String {
    match key.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_at_its_place() {
        for (at, (name, field)) in KEYS.into_iter().enumerate() {
            assert_eq!(Field::of(name.as_bytes()), Some((at, field)), "{name}");
        }
        for other in ["", "Timestamp", "tss", "hosts", "attribute"] {
            assert_eq!(Field::of(other.as_bytes()), None, "{other}");
        }
    }
}
