use bytes::Bytes;

use crate::contents::Contents;
use crate::directory::Directory;
use crate::filter::Filter;
use crate::locator::{LOCATOR_BYTES, Locator};
use crate::profile::TimeProfile;
use crate::{BlockRow, ChunkHead, Error, MAX_FOOTER_BYTES, Probe, Source, Totals, section};

/// A chunk's footer, read and checked: what the chunk holds, where, and what it cannot hold.
#[derive(Clone, Debug)]
pub struct Footer {
    contents: Contents,
    /// The section of block filters, and each block's part of it.
    block_section: Vec<u8>,
    block_filters: Vec<Filter>,
    chunk_section: Vec<u8>,
    /// None when there is one block only.
    chunk_filter: Option<Filter>,
}

impl Footer {
    /// How many bytes at an object's end [`Footer::offset_of`] needs.
    pub const LOCATOR_BYTES: usize = LOCATOR_BYTES;

    /// Where the footer of an object of `length` bytes begins, from the last bytes of it (at least
    /// [`Footer::LOCATOR_BYTES`]): for those who have no index entry that says so.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if this is not the end of a chunk, [`Error::Unsupported`] for a newer version.
    pub fn offset_of(tail: &[u8], length: u64) -> Result<u64, Error> {
        Locator::read(tail, length).map(|locator| locator.footer_offset)
    }

    /// Reads the footer of a chunk that is in memory as a whole.
    ///
    /// # Errors
    /// As [`Footer::parse`].
    pub fn of_chunk(chunk: &Bytes) -> Result<Self, Error> {
        let length = chunk.len() as u64;
        let offset = Self::offset_of(chunk, length)?;
        // The locator's sections begin at its footer's offset and end inside the object.
        Self::parse(chunk.slice(offset as usize..), offset, length)
    }

    /// Reads a footer: the bytes `[footer_offset, length)` of the object. Everything is checked here, once.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the place in the object for anything that a writer did not write; [`Error::Unsupported`] for a
    /// newer version.
    pub fn parse(footer: Bytes, footer_offset: u64, length: u64) -> Result<Self, Error> {
        let corrupt = |what| Error::Corrupt { offset: footer_offset, what };
        if footer_offset.checked_add(footer.len() as u64) != Some(length) || footer.len() > MAX_FOOTER_BYTES {
            return Err(corrupt("the footer has another length than it should"));
        }
        let locator = Locator::read(&footer, length)?;
        if locator.footer_offset != footer_offset {
            return Err(corrupt("the footer begins elsewhere"));
        }
        let read = |at: usize| section::read(&footer, footer_offset, section::IDS[at], locator.sections[at]);
        let (block_section, chunk_section, directory) = (read(0)?, read(1)?, read(2)?);
        let directory = Directory::decode(&directory, footer_offset)
            .map_err(|what| Error::Corrupt { offset: locator.sections[2].offset, what })?;
        let block_filters = directory
            .filters
            .iter()
            .map(|range| Filter::read(&block_section, range.start as usize..range.end as usize))
            .collect::<Result<_, _>>()
            .map_err(|what| Error::Corrupt { offset: locator.sections[0].offset, what })?;
        let chunk_filter = match chunk_section.len() {
            0 => None,
            length => {
                let filter = Filter::read(&chunk_section, 0..length);
                Some(filter.map_err(|what| Error::Corrupt { offset: locator.sections[1].offset, what })?)
            }
        };
        Ok(Self { contents: Contents { directory }, block_section, block_filters, chunk_section, chunk_filter })
    }

    /// The part of it without filters.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Whose records the chunk holds, and from when.
    #[must_use]
    pub fn head(&self) -> &ChunkHead {
        self.contents.head()
    }

    /// Where they came from.
    #[must_use]
    pub fn source(&self) -> &Source {
        self.contents.source()
    }

    /// The blocks, in the order of their offsets.
    #[must_use]
    pub fn blocks(&self) -> &[BlockRow] {
        self.contents.blocks()
    }

    /// What all blocks hold together.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        self.contents.totals()
    }

    /// Records by level in sixtieths of the window.
    #[must_use]
    pub fn profile(&self) -> &TimeProfile {
        self.contents.profile()
    }

    /// Whether any record of the chunk may be what `probe` looks for. `false` is certain.
    #[must_use]
    pub fn may_match(&self, probe: &Probe) -> bool {
        match &self.chunk_filter {
            Some(filter) => filter.may_match(&self.chunk_section, probe),
            None => (0..self.block_filters.len()).any(|block| self.block_may_match(block, probe)),
        }
    }

    /// Whether any record of block `block` (counted from 0) may be what `probe` looks for. `false` is certain.
    #[must_use]
    pub fn block_may_match(&self, block: usize, probe: &Probe) -> bool {
        self.block_filters.get(block).is_none_or(|filter| filter.may_match(&self.block_section, probe))
    }

    /// The memory it holds, in bytes, for caches.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() - size_of::<Contents>()
            + self.contents.memory_bytes()
            + self.block_section.capacity()
            + self.block_filters.capacity() * size_of::<Filter>()
            + self.chunk_section.capacity()
    }
}
