use serde::Serialize;

/// What could not be read: named in the answer, never silently left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Missing {
    /// Offsets of a partition that no one could answer for.
    Offsets { partition: u32, from_offset: u64, to_offset: u64, reason: &'static str },
    /// An object, or a part of it, that is damaged.
    Object { key: String, reason: String },
}

/// The index of the partition waits for its rebuild.
pub(crate) const NO_INDEX: &str = "the index of this partition is being rebuilt";
/// The chain names the object, and the bucket does not have it.
pub(crate) const LOST: &str = "the object is not in the bucket";
/// No processor answered and the broker holds more than a query reads.
pub(crate) const TOO_MUCH: &str = "no processor serves this range, and it is longer than a query reads from the broker";
/// No processor answered and the broker has no such records any more.
pub(crate) const GONE: &str = "the broker no longer has this range";
/// No processor answered, and neither did the broker.
pub(crate) const UNREADABLE: &str = "no processor serves this range, and the broker could not be read";
