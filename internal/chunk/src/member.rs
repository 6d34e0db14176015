//! RFC 1952 members: those that hold lines, and the empty ones that carry the footer in their FEXTRA fields.

use crate::{Codec, Error, MAX_EXTRA_BYTES};

/// Header of a member that holds lines: no flags, no time, no hint of level, unknown system; so the same lines make the
/// same bytes everywhere.
const DATA_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const CHECK_BYTES: usize = 8;
/// Header of an empty member, up to the length of its FEXTRA.
const EMPTY_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255];
/// An empty deflate block, the CRC-32 and the length of nothing.
const EMPTY_TAIL: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const SUBFIELD_BYTES: usize = 4;
/// The most payload of one empty member.
const MAX_PAYLOAD_BYTES: usize = MAX_EXTRA_BYTES - SUBFIELD_BYTES;
/// Where the payload of an empty member begins.
pub(crate) const PAYLOAD_AT: usize = EMPTY_HEADER.len() + 2 + SUBFIELD_BYTES;
/// What an empty member costs beside its payload, in bytes.
pub(crate) const EMPTY_BYTES: usize = PAYLOAD_AT + EMPTY_TAIL.len();

/// Writes `lines` as one member to the beginning of `out`, which grows as needed, and returns the member's length. What `out`
/// held is of no use afterwards; it keeps its length, so that it is not zeroed for every block.
pub(crate) fn write_data(out: &mut Vec<u8>, lines: &[u8], codec: &mut dyn Codec) -> Result<usize, Error> {
    let bound = codec.bound(lines.len());
    let needed = DATA_HEADER.len() + bound + CHECK_BYTES;
    if out.len() < needed {
        out.resize(needed, 0);
    }
    out[..DATA_HEADER.len()].copy_from_slice(&DATA_HEADER);
    let end = DATA_HEADER.len() + codec.deflate(lines, &mut out[DATA_HEADER.len()..DATA_HEADER.len() + bound])?;
    out[end..end + 4].copy_from_slice(&libdeflater::crc32(lines).to_le_bytes());
    out[end + 4..end + CHECK_BYTES].copy_from_slice(&(lines.len() as u32).to_le_bytes());
    Ok(end + CHECK_BYTES)
}

/// The deflated bytes of a member that holds lines, and the CRC-32 and length that it states.
pub(crate) fn split_data(member: &[u8]) -> Option<(&[u8], u32, u32)> {
    let (deflated, check) = member.strip_prefix(&DATA_HEADER)?.split_last_chunk::<CHECK_BYTES>()?;
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *check;
    Some((deflated, u32::from_le_bytes([c0, c1, c2, c3]), u32::from_le_bytes([l0, l1, l2, l3])))
}

/// Appends `payload` as empty members whose subfield is called `id`; none if it is empty.
pub(crate) fn write_empty(out: &mut Vec<u8>, id: [u8; 2], payload: &[u8]) {
    for part in payload.chunks(MAX_PAYLOAD_BYTES) {
        out.extend_from_slice(&EMPTY_HEADER);
        out.extend_from_slice(&((part.len() + SUBFIELD_BYTES) as u16).to_le_bytes());
        out.extend_from_slice(&id);
        out.extend_from_slice(&(part.len() as u16).to_le_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(&EMPTY_TAIL);
    }
}

/// The payload of the empty members that fill `stored`, all called `id`. `at` is where in the object `stored` begins.
pub(crate) fn read_empty(stored: &[u8], id: [u8; 2], at: u64) -> Result<Vec<u8>, Error> {
    // Exactly what members as long as can be would carry: bounded by bytes that are here, and nothing to give back.
    let members = stored.len().div_ceil(MAX_PAYLOAD_BYTES + EMPTY_BYTES);
    let mut payload = Vec::with_capacity(stored.len().saturating_sub(members * EMPTY_BYTES));
    let mut rest = stored;
    while !rest.is_empty() {
        let (part, after) = read_one(rest, id).ok_or(Error::Corrupt {
            offset: at + (stored.len() - rest.len()) as u64,
            what: "a member of the footer is broken",
        })?;
        payload.extend_from_slice(part);
        rest = after;
    }
    payload.shrink_to_fit();
    Ok(payload)
}

/// The payload of the empty member that `stored` begins with, and what follows the member.
fn read_one(stored: &[u8], id: [u8; 2]) -> Option<(&[u8], &[u8])> {
    let (lengths, _) = stored.strip_prefix(&EMPTY_HEADER)?.split_first_chunk::<6>()?;
    let [x0, x1, i0, i1, l0, l1] = *lengths;
    let (extra, length) = (usize::from(u16::from_le_bytes([x0, x1])), usize::from(u16::from_le_bytes([l0, l1])));
    if [i0, i1] != id || extra != length + SUBFIELD_BYTES || extra > MAX_EXTRA_BYTES || length == 0 {
        return None;
    }
    let (payload, rest) = stored[PAYLOAD_AT..].split_at_checked(length)?;
    Some((payload, rest.strip_prefix(&EMPTY_TAIL)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_of_any_length_come_back_and_no_extra_field_is_too_long() {
        for length in [0, 1, MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1, 100_000] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut stored = Vec::new();
            write_empty(&mut stored, *b"XY", &payload);
            assert_eq!(stored.len(), length + length.div_ceil(MAX_PAYLOAD_BYTES) * EMPTY_BYTES);
            assert_eq!(read_empty(&stored, *b"XY", 0).unwrap(), payload);
            if length > 0 {
                assert!(read_empty(&stored, *b"XZ", 0).is_err());
                assert!(read_empty(&stored[..stored.len() - 1], *b"XY", 0).is_err());
                assert!(u16::from_le_bytes([stored[10], stored[11]]) <= 32_000);
            }
        }
    }
}
