//! Writing and reading the sections of the footer.

use crate::locator::Section;
use crate::{Error, member};

/// The subfield ids of the sections, in their order: block filters, chunk filter, directory.
pub(crate) const IDS: [[u8; 2]; 3] = [*b"LB", *b"LC", *b"LD"];

/// Appends a section to `out`, the chunk so far.
pub(crate) fn write(out: &mut Vec<u8>, id: [u8; 2], payload: &[u8]) -> Section {
    let from = out.len();
    member::write_empty(out, id, payload);
    // The caller checked the footer's length: it fits 32 bits.
    let (stored, payload) = ((out.len() - from) as u32, payload.len() as u32);
    Section { offset: from as u64, stored, payload, checksum: crc32c::crc32c(&out[from..]) }
}

/// Reads a section out of the footer, which begins at `footer_offset`.
pub(crate) fn read(footer: &[u8], footer_offset: u64, id: [u8; 2], section: Section) -> Result<Vec<u8>, Error> {
    let corrupt = |what| Error::Corrupt { offset: section.offset, what };
    let from = section.offset.checked_sub(footer_offset).and_then(|from| usize::try_from(from).ok());
    let stored = from
        .and_then(|from| footer.get(from..)?.get(..section.stored as usize))
        .ok_or(corrupt("a section lies outside the footer"))?;
    if crc32c::crc32c(stored) != section.checksum {
        return Err(corrupt("a section of the footer does not match its checksum"));
    }
    let payload = member::read_empty(stored, id, section.offset)?;
    if payload.len() == section.payload as usize {
        Ok(payload)
    } else {
        Err(corrupt("a section has another length than the locator says"))
    }
}
