//! The names of keys in Redis. Those of one partition share a hash tag, so that one node of a cluster has them all and one
//! script may change them together.
//!
//! ```text
//! loglake:1:{<cluster>/<incarnation>/<partition>}:w          hash: seq, next, longest, chunks, sessions, gaps,
//!                                                             summed, tenants
//!                                                :c          sorted set, all scores 0: <place> 01 <entry as JSON>
//!                                                :s          hash: session → state
//!                                                :t          string: token of a rebuild
//!                                                :b          hash: tenant → bytes of its chunks' objects; right only
//!                                                             where the watermark's `summed` is its `seq`
//!                                                :c:<nonce>  the same as :c, :s and :b, of a rebuild that is not visible
//!                                                :s:<nonce>  yet; these alone have a time to live
//!                                                :b:<nonce>
//! loglake:1:{<cluster>/lease/<name>}:l                       hash with a time to live: holder, value, generation
//!                                   :g                       string: the last generation
//! loglake:1:{<cluster>/rate/<tenant>}:r                      hash with a time to live: b, r: what its tenant sent
//! ```
//! The number is the layout's version: another one sees an empty index and rebuilds it. Programs that know nothing of `:b` work on
//! the same version: they leave `summed` behind, and the sums are added up from the chunks when somebody asks.

use std::fmt::Write;

use loglake_model::TenantName;

/// The keys of a partition.
#[derive(Debug)]
pub(super) struct PartitionKeys {
    pub(super) mark: String,
    pub(super) chunks: String,
    pub(super) sessions: String,
    pub(super) token: String,
    pub(super) sums: String,
}

impl PartitionKeys {
    pub(super) fn new(cluster: &str, incarnation: u32, partition: u32) -> Self {
        let tag = format!("loglake:1:{{{}/{incarnation}/{partition}}}", escaped(cluster));
        Self {
            mark: format!("{tag}:w"),
            chunks: format!("{tag}:c"),
            sessions: format!("{tag}:s"),
            token: format!("{tag}:t"),
            sums: format!("{tag}:b"),
        }
    }

    /// All of them, in the order that scripts take them.
    pub(super) fn all(&self) -> [&str; 5] {
        [&self.mark, &self.chunks, &self.sessions, &self.token, &self.sums]
    }
}

/// The keys of a lease: itself, and its last generation.
pub(super) fn lease(cluster: &str, name: &str) -> [String; 2] {
    let tag = format!("loglake:1:{{{}/lease/{}}}", escaped(cluster), escaped(name));
    [format!("{tag}:l"), format!("{tag}:g")]
}

/// The key of what `tenant` sent.
pub(super) fn sums(cluster: &str, tenant: &TenantName) -> String {
    format!("loglake:1:{{{}/rate/{}}}:r", escaped(cluster), escaped(tenant.as_str()))
}

/// `name` with all but letters, digits, `-`, `_` and `.` as `%` and two hex digits.
fn escaped(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reads_as_another() {
        assert_eq!(PartitionKeys::new("c", 1, 2).mark, "loglake:1:{c/1/2}:w");
        let [lease_key, _] = lease("a}b", "owner:0:1/{x}%2F");
        assert_eq!(lease_key, "loglake:1:{a%7Db/lease/owner%3A0%3A1%2F%7Bx%7D%252F}:l");
        assert_ne!(PartitionKeys::new("c/1", 2, 3).mark, PartitionKeys::new("c", 1, 2).mark);
    }
}
