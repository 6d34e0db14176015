use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What somebody did, or was refused: an entry of a process's hash chain, kept as a record of the tenant [`AuditEntry::TENANT`].
///
/// Each names the hash of the one before it, so that none can be altered, left out or slipped in unseen. A chain begins with number
/// 1 and an empty `previous`, and belongs to one run of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// The run of a process whose chain this is: 16 hexadecimal digits.
    pub process: String,
    /// Its number in the chain, from 1.
    pub number: u64,
    /// The hash of the entry before it; empty for the first.
    pub previous: String,
    /// When it happened, RFC 3339 with nanoseconds.
    pub at: String,
    /// What was done, such as `token.revoke` or `access`.
    pub action: String,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// Who did it, such as `token k3v9d0 of acme`; empty for strangers.
    pub caller: String,
    /// The tenant whose matter it is; empty where there is none.
    pub tenant: String,
    /// What it was done to: a token's id, a call.
    pub target: String,
    /// Why it was refused, or failed.
    pub reason: String,
    /// The request it happened in; for a change of the registry, its entry there: `registry-7`.
    pub request_id: String,
    /// How many before it are in no entry: there were too many at a time.
    pub unaudited: u64,
}

impl AuditEntry {
    /// The tenant that the entries belong to. Nobody but Loglake itself sends records for it.
    pub const TENANT: &'static str = "loglake-audit";
    /// The service that they are kept under.
    pub const SERVICE: &'static str = "audit";
    /// The attribute that holds [`AuditEntry::hash`].
    pub const HASH: &'static str = "hash";
    /// The attributes of an entry's record beside its hash, in the order in which they are hashed.
    pub const FIELDS: [&'static str; 12] = [
        "process",
        "number",
        "previous",
        "at",
        "action",
        "outcome",
        "caller",
        "tenant",
        "target",
        "reason",
        "request_id",
        "unaudited",
    ];

    /// The values of [`AuditEntry::FIELDS`].
    #[must_use]
    pub fn values(&self) -> [String; 12] {
        let Self {
            process,
            number,
            previous,
            at,
            action,
            outcome,
            caller,
            tenant,
            target,
            reason,
            request_id,
            unaudited,
        } = self.clone();
        let (number, unaudited) = (number.to_string(), unaudited.to_string());
        [process, number, previous, at, action, outcome, caller, tenant, target, reason, request_id, unaudited]
    }

    /// The entry whose attributes `get` finds by their names; what is not there counts as empty. `None` when a number is none.
    pub fn from_values(mut get: impl FnMut(&str) -> Option<String>) -> Option<Self> {
        let mut text = |name: &str| get(name).unwrap_or_default();
        Some(Self {
            process: text("process"),
            number: text("number").parse().ok()?,
            previous: text("previous"),
            at: text("at"),
            action: text("action"),
            outcome: text("outcome"),
            caller: text("caller"),
            tenant: text("tenant"),
            target: text("target"),
            reason: text("reason"),
            request_id: text("request_id"),
            unaudited: text("unaudited").parse().ok()?,
        })
    }

    /// SHA-256 of all its values, 64 hexadecimal digits: of each its length in bytes in decimal, a colon, and the value.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for value in self.values() {
            hasher.update(format!("{}:", value.len()));
            hasher.update(value);
        }
        hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a text never fails.
            let _written = write!(text, "{byte:02x}");
            text
        })
    }

    /// What happened, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let who = if self.caller.is_empty() { "a stranger" } else { &self.caller };
        let mut text = format!("{who}: {} {}", self.action, self.outcome);
        for (word, value) in [("", &self.target), (" of tenant", &self.tenant)] {
            if !value.is_empty() {
                text.push_str(word);
                text.push(' ');
                text.push_str(value);
            }
        }
        if !self.reason.is_empty() {
            text.push_str(": ");
            text.push_str(&self.reason);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            process: "00000000000000aa".to_owned(),
            number: 2,
            previous: "ff".repeat(32),
            at: "2026-03-01T00:00:00.000000000Z".to_owned(),
            action: "token.revoke".to_owned(),
            outcome: "done".to_owned(),
            caller: "token a of ops".to_owned(),
            tenant: "acme".to_owned(),
            target: "k3v9d0".to_owned(),
            ..AuditEntry::default()
        }
    }

    #[test]
    fn it_comes_back_from_its_attributes_and_every_change_shows() {
        let entry = entry();
        let values: HashMap<_, _> = AuditEntry::FIELDS.into_iter().zip(entry.values()).collect();
        let read = |values: &HashMap<&str, String>| AuditEntry::from_values(|name| values.get(name).cloned());
        assert_eq!(read(&values), Some(entry.clone()));
        for field in AuditEntry::FIELDS {
            let mut altered = values.clone();
            altered.entry(field).and_modify(|value| value.push('1'));
            assert_ne!(read(&altered).unwrap().hash(), entry.hash(), "{field}");
        }
        // Nothing moves from one field to the next.
        let moved = AuditEntry { tenant: "acm".to_owned(), target: "ek3v9d0".to_owned(), ..entry.clone() };
        assert_ne!(moved.hash(), entry.hash());
        assert_eq!(entry.sentence(), "token a of ops: token.revoke done k3v9d0 of tenant acme");
        assert_eq!(read(&HashMap::new()), None);
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(entry().hash(), "7ddb65969d6049bcb2840ebd01abe211dbc01d498460df34f527b26bb177964c");
    }
}
