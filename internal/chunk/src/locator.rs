//! The locator: the last member of a chunk, of fixed size, which says where the sections are.

use std::ops::Range;

use crate::cursor::Cursor;
use crate::{Error, FORMAT_VERSION, member};

const ID: [u8; 2] = *b"LL";
const MAGIC: [u8; 8] = *b"loglake\0";
const SECTIONS: usize = 3;
const PAYLOAD_BYTES: usize = 8 + 2 + 2 + 8 + SECTIONS * 20 + 4;
/// The locator's length, in bytes.
pub(crate) const LOCATOR_BYTES: usize = member::EMPTY_BYTES + PAYLOAD_BYTES;

/// A run of members that together carry one part of the footer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// Where its first member begins, in bytes of the object.
    pub(crate) offset: u64,
    /// The length of its members, in bytes.
    pub(crate) stored: u32,
    /// The length of what they carry, in bytes.
    pub(crate) payload: u32,
    /// CRC-32C of its members.
    pub(crate) checksum: u32,
}

impl Section {
    /// Where it is in the object, in bytes.
    pub(crate) fn range(self) -> Range<u64> {
        // The locator was checked: it ends before the end of the object.
        self.offset..self.offset + u64::from(self.stored)
    }
}

/// Where the sections are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Locator {
    pub(crate) footer_offset: u64,
    /// Block filters, chunk filter, directory.
    pub(crate) sections: [Section; SECTIONS],
}

impl Locator {
    /// Appends the locator's member.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
        payload.extend_from_slice(&MAGIC);
        payload.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        payload.extend_from_slice(&[0, 0]);
        payload.extend_from_slice(&self.footer_offset.to_le_bytes());
        for section in self.sections {
            payload.extend_from_slice(&section.offset.to_le_bytes());
            payload.extend_from_slice(&section.stored.to_le_bytes());
            payload.extend_from_slice(&section.payload.to_le_bytes());
            payload.extend_from_slice(&section.checksum.to_le_bytes());
        }
        payload.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        member::write_empty(out, ID, &payload);
    }

    /// Reads the locator off the last [`LOCATOR_BYTES`] bytes of an object of `length` bytes, of which `tail` is some end.
    pub(crate) fn read(tail: &[u8], length: u64) -> Result<Self, Error> {
        let offset = length.saturating_sub(LOCATOR_BYTES as u64);
        let corrupt = |what| Error::Corrupt { offset, what };
        let stored = tail
            .len()
            .checked_sub(LOCATOR_BYTES)
            .map(|from| &tail[from..])
            .ok_or(corrupt("the locator is cut short"))?;
        let payload = member::read_empty(stored, ID, offset)?;
        let (rest, checksum) = payload.split_last_chunk::<4>().ok_or(corrupt("the locator is cut short"))?;
        if crc32c::crc32c(rest).to_le_bytes() != *checksum {
            return Err(corrupt("the locator does not match its checksum"));
        }
        let mut cursor = Cursor(rest);
        let broken = || corrupt("the locator is cut short");
        if cursor.array() != Some(MAGIC) {
            return Err(corrupt("this is no chunk"));
        }
        let version = cursor.u16().ok_or_else(broken)?;
        if version != FORMAT_VERSION {
            return Err(Error::Unsupported { version });
        }
        if cursor.u16() != Some(0) {
            return Err(corrupt("the locator has flags that version 1 does not know"));
        }
        let footer_offset = cursor.u64().ok_or_else(broken)?;
        let mut sections = [Section::default(); SECTIONS];
        let mut at = footer_offset;
        for section in &mut sections {
            let mut read = || {
                Some(Section {
                    offset: cursor.u64()?,
                    stored: cursor.u32()?,
                    payload: cursor.u32()?,
                    checksum: cursor.u32()?,
                })
            };
            *section = read().ok_or_else(broken)?;
            if section.offset != at {
                return Err(corrupt("the sections of the footer do not follow each other"));
            }
            at = at.checked_add(u64::from(section.stored)).ok_or_else(broken)?;
        }
        if at != offset || !cursor.0.is_empty() {
            return Err(corrupt("the sections do not fill the footer"));
        }
        Ok(Self { footer_offset, sections })
    }
}
