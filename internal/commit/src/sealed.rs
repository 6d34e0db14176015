//! The checksum at the end of the chain's JSON objects.
//!
//! Stores and networks are trusted to bring whole objects, not to bring the right ones: a flipped bit in a digit leaves JSON that reads
//! well and says another offset. So the last member of the object is `"crc32c"`: CRC-32C, in eight hexadecimal digits, of all bytes
//! before the comma that it follows.

use std::borrow::Cow;

const BEFORE: &[u8] = b",\"crc32c\":\"";
const AFTER: &[u8] = b"\"}";
const DIGITS: usize = 8;

/// Adds the checksum to `json`, an object with at least one member.
pub(crate) fn seal(mut json: Vec<u8>) -> Vec<u8> {
    debug_assert!(json.ends_with(b"}"), "an object");
    json.pop();
    let checksum = crc32c::crc32c(&json);
    json.extend_from_slice(BEFORE);
    json.extend_from_slice(format!("{checksum:08x}").as_bytes());
    json.extend_from_slice(AFTER);
    json
}

/// What stood before it was sealed, and whether it was: objects of version 1 are not.
///
/// # Errors
/// What is wrong, when it is sealed and the checksum is not that of its bytes.
pub(crate) fn open(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, bool), String> {
    let sealed = bytes.strip_suffix(AFTER).and_then(|rest| rest.split_last_chunk::<DIGITS>());
    let Some((inside, digits)) = sealed.and_then(|(rest, digits)| Some((rest.strip_suffix(BEFORE)?, digits))) else {
        return Ok((Cow::Borrowed(bytes), false));
    };
    let checksum = crc32c::crc32c(inside);
    if format!("{checksum:08x}").as_bytes() != digits {
        return Err("its checksum is not that of its bytes".to_owned());
    }
    Ok((Cow::Owned([inside, b"}"].concat()), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_seen_or_leaves_an_object_that_is_not_sealed() {
        let json = br#"{"version":2,"next":5001,"nonce":"a"}"#;
        let sealed = seal(json.to_vec());
        assert_eq!(open(&sealed).unwrap(), (Cow::Owned(json.to_vec()), true));
        assert_eq!(open(json).unwrap(), (Cow::Borrowed(&json[..]), false));
        for at in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(!matches!(open(&flipped), Ok((_, true))), "bit {at}");
        }
    }
}
