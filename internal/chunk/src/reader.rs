use crate::contents::Contents;
use crate::filter::Filter;
use crate::locator::{LOCATOR_BYTES, Locator};
use crate::profile::TimeProfile;
use crate::summary::{BlockFilters, Summary};
use crate::{BlockRow, ChunkHead, Error, MAX_FOOTER_BYTES, Probe, Source, Totals};

/// A chunk's footer, read and checked: what the chunk holds, where, and what it cannot hold.
#[derive(Clone, Debug)]
pub struct Footer {
    summary: Summary,
    block_filters: BlockFilters,
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
    pub fn of_chunk(chunk: &[u8]) -> Result<Self, Error> {
        let length = chunk.len() as u64;
        let offset = Self::offset_of(chunk, length)?;
        // The locator's sections begin at its footer's offset and end inside the object.
        Self::parse(&chunk[offset as usize..], offset, length)
    }

    /// Reads a footer: the bytes `[footer_offset, length)` of the object. Everything is checked here, once.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the place in the object for anything that a writer did not write; [`Error::Unsupported`] for a
    /// newer version.
    pub fn parse(footer: &[u8], footer_offset: u64, length: u64) -> Result<Self, Error> {
        let corrupt = |what| Error::Corrupt { offset: footer_offset, what };
        if footer_offset.checked_add(footer.len() as u64) != Some(length) || footer.len() > MAX_FOOTER_BYTES {
            return Err(corrupt("the footer has another length than it should"));
        }
        let summary = Summary::parse(footer, footer_offset, length)?.ok_or(corrupt("the footer is cut short"))?;
        let range = summary.block_filters_range();
        // The section begins where the footer does, and ends before the other sections, which were found in it.
        let block_filters = summary.block_filters(&footer[..(range.end - range.start) as usize])?;
        Ok(Self { summary, block_filters })
    }

    /// Puts a footer together of its two halves.
    #[must_use]
    pub fn new(summary: Summary, block_filters: BlockFilters) -> Self {
        Self { summary, block_filters }
    }

    /// All of it but the filters of the blocks.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The part of it without filters.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        self.summary.contents()
    }

    /// Whose records the chunk holds, and from when.
    #[must_use]
    pub fn head(&self) -> &ChunkHead {
        self.contents().head()
    }

    /// Where they came from.
    #[must_use]
    pub fn source(&self) -> &Source {
        self.contents().source()
    }

    /// The blocks, in the order of their offsets.
    #[must_use]
    pub fn blocks(&self) -> &[BlockRow] {
        self.contents().blocks()
    }

    /// What all blocks hold together.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        self.contents().totals()
    }

    /// Records by level in sixtieths of the window.
    #[must_use]
    pub fn profile(&self) -> &TimeProfile {
        self.contents().profile()
    }

    /// Whether any record of the chunk may be what `probe` looks for. `false` is certain.
    #[must_use]
    pub fn may_match(&self, probe: &Probe) -> bool {
        if self.summary.chunk_filter.is_some() {
            self.summary.may_match(probe)
        } else {
            (0..self.block_filters.filters.len()).any(|block| self.block_may_match(block, probe))
        }
    }

    /// Whether any record of block `block` (counted from 0) may be what `probe` looks for. `false` is certain.
    #[must_use]
    pub fn block_may_match(&self, block: usize, probe: &Probe) -> bool {
        self.block_filters.may_match(block, probe)
    }

    /// The memory it holds, in bytes, for caches.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.summary.memory_bytes()
            + size_of::<BlockFilters>()
            + self.block_filters.section.capacity()
            + self.block_filters.filters.capacity() * size_of::<Filter>()
    }
}
