//! The rule that keys follow, so that the same key is good for a folder, for S3 and in a URL.

use std::ops::Range;

use crate::Error;

/// The longest key, in bytes: S3's limit.
pub const MAX_BYTES: usize = 1024;
/// The longest part of a key, in bytes: what file systems take as a name.
pub const MAX_PART_BYTES: usize = 255;

/// Whether `part` may stand between two slashes.
pub(crate) fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= MAX_PART_BYTES
        && !part.starts_with('.')
        && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
}

/// Whether `key` is a key: 1..=1,024 bytes of visible ASCII, parts divided by `/`, each of 1..=255 bytes and not beginning
/// with a dot (so neither `.` nor `..`, and hidden files are never objects).
#[must_use]
pub fn is_valid(key: &str) -> bool {
    key.len() <= MAX_BYTES && key.split('/').all(is_part)
}

/// Checks that `key` is a key, see [`is_valid`].
///
/// # Errors
/// `Invalid` when it is not.
pub fn check(key: &str) -> Result<(), Error> {
    if is_valid(key) { Ok(()) } else { Err(Error::InvalidKey { key: shown(key) }) }
}

/// Checks that keys may begin with `prefix`: empty, or a key that may end anywhere, also after a slash.
///
/// # Errors
/// `Invalid` when none can.
pub fn check_prefix(prefix: &str) -> Result<(), Error> {
    let (folders, name) = split_prefix(prefix);
    let good = prefix.len() <= MAX_BYTES
        && (name.is_empty() || is_part(name))
        && (folders.is_empty() || folders.trim_end_matches('/').split('/').all(is_part) && !folders.ends_with("//"));
    if good { Ok(()) } else { Err(Error::InvalidKey { key: shown(prefix) }) }
}

/// Divides `prefix` after its last slash: whole folders, and what a name in them begins with.
pub(crate) fn split_prefix(prefix: &str) -> (&str, &str) {
    prefix.split_at(prefix.rfind('/').map_or(0, |at| at + 1))
}

/// Whether `range` of the object at `key` is empty.
///
/// # Errors
/// `Invalid` when it ends before it starts.
pub(crate) fn check_range(key: &str, range: &Range<u64>) -> Result<bool, Error> {
    if range.end < range.start {
        return Err(Error::InvalidRange { key: shown(key), start: range.start, end: range.end });
    }
    Ok(range.is_empty())
}

/// What an error shows of a text that may be anything.
fn shown(text: &str) -> String {
    text.chars().take(MAX_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_leave_their_folder() {
        for bad in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", ".tmp/x", "a b", "a\0", "ä", "a\n", "a\\\u{7f}"]
        {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(check(&"a/".repeat(600)).is_err());
        assert!(check(&"a".repeat(256)).is_err());
        for good in
            ["a", "a/b.json", "data/tenant=t/service=a%2Fb/date=2026-11-20/hour=01/0-1-2-x.ndjson.gz", "a..b", "a/b-~_"]
        {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn prefixes_may_end_anywhere() {
        for good in ["", "a", "a/", "a/b", "a/b/", "commits/c/0/00000/checkpoint-"] {
            assert!(check_prefix(good).is_ok(), "{good:?}");
        }
        for bad in ["/", "//", "a//", "a//b", "../", "a/../b", ".", "a/.", " "] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
    }
}
