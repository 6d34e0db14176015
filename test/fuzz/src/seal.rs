//! The checksum at the end of the chain's objects, so that damage done to them is looked at behind a right one, too.

const BEFORE: &[u8] = b",\"crc32c\":\"";
const AFTER: &[u8] = b"\"}";
const DIGITS: usize = 8;

/// The same bytes with a right checksum in the place of the one at their end, or after what is left where there is none.
#[must_use]
pub fn reseal(bytes: &[u8]) -> Vec<u8> {
    let digits = bytes.strip_suffix(AFTER).and_then(|rest| rest.len().checked_sub(DIGITS).map(|at| &rest[..at]));
    let inside = digits.and_then(|rest| rest.strip_suffix(BEFORE)).or(bytes.strip_suffix(b"}")).unwrap_or(bytes);
    let checksum = format!("{:08x}", crc32c::crc32c(inside));
    [inside, BEFORE, checksum.as_bytes(), AFTER].concat()
}
