//! One record that the load sends, and how it is known again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use serde_json::Value;

/// A record as a writer sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, which no other record of the ledger has.
    pub number: u64,
    /// Its service.
    pub service: String,
    /// Event time, ns UTC.
    pub timestamp_ns: i64,
    /// Canonical level, if any.
    pub level: Option<&'static str>,
    /// Its message: tenant, number and then text.
    pub message: String,
}

/// What the ledger keeps of a record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Place of its tenant in the ledger.
    pub tenant: usize,
    /// Of everything that must come back as it was sent.
    pub hash: u64,
    /// Attempts whose outcome is success or unknown.
    pub attempts: u32,
    /// When the first acknowledgement came.
    pub acknowledged: Option<Instant>,
    /// Whether the server promises to drop repetitions (a session, an idempotency key).
    pub is_deduplicated: bool,
}

impl Entry {
    /// How often it may come back at most.
    pub fn most(&self) -> u32 {
        if self.is_deduplicated { self.attempts.min(1) } else { self.attempts }
    }
}

/// The beginning of every message of tenant `tenant`.
pub fn canary(tenant: &str) -> String {
    format!("canary-{tenant} number ")
}

/// Hash of what must come back intact. `timestamp` as answers write it.
pub fn hash(tenant: &str, timestamp: &str, service: &str, level: Option<&str>, message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tenant, timestamp, service, level, message).hash(&mut hasher);
    hasher.finish()
}

/// A record as an answer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// `(timestamp, id)`: the order of answers. RFC 3339 with nine digits sorts as text.
    pub place: (String, [u64; 4]),
    /// The number that its message claims.
    pub number: u64,
    /// Of what came back.
    pub hash: u64,
}

impl Returned {
    /// Reads an item of an answer to `tenant`. `None`: it is not a record of that tenant.
    pub fn read(tenant: &str, item: &Value) -> Option<Self> {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        let message = text("message");
        let rest = message.strip_prefix(&canary(tenant))?;
        let number = rest.split(' ').next()?.parse().ok()?;
        let mut id = text("id").split('-').map(|part| part.parse::<u64>());
        let mut next = || id.next().and_then(Result::ok);
        let id = [next()?, next()?, next()?, next()?];
        let timestamp = text("timestamp");
        let hash = hash(tenant, timestamp, text("service"), item["level"].as_str(), message);
        Some(Self { place: (timestamp.to_owned(), id), number, hash })
    }
}
