//! The two halves of a footer: what most chunks are passed over by, and what is only read of those that are left.

use std::ops::Range;

use crate::contents::Contents;
use crate::filter::Filter;
use crate::{Error, Probe, section};

/// A chunk's footer but for the filters of its blocks, read and checked: what the chunk holds and where, and what it cannot hold
/// as a whole. It stands at the end of the object, and is small however many blocks there are.
#[derive(Clone, Debug)]
pub struct Summary {
    contents: Contents,
    chunk_section: Vec<u8>,
    /// None when there is one block only.
    pub(crate) chunk_filter: Option<Filter>,
}

/// The filters of a chunk's blocks, read and checked.
#[derive(Clone, Debug)]
pub struct BlockFilters {
    pub(crate) section: Vec<u8>,
    /// Each block's part of the section.
    pub(crate) filters: Vec<Filter>,
}

impl Summary {
    /// Reads it off `tail`, the last bytes of an object of `length` bytes whose footer begins at `footer_offset`. `None` when the
    /// tail is too short to hold all of it: then the whole footer is to be read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the place in the object for anything that a writer did not write; [`Error::Unsupported`] for a
    /// newer version.
    pub fn parse(tail: &[u8], footer_offset: u64, length: u64) -> Result<Option<Self>, Error> {
        let Some(contents) = Contents::parse(tail, footer_offset, length)? else { return Ok(None) };
        // Contents::parse refused a tail that is longer than the object.
        let tail_offset = length - tail.len() as u64;
        if contents.filter.offset < tail_offset {
            return Ok(None);
        }
        let section = section::read(tail, tail_offset, section::IDS[1], contents.filter)?;
        Self::of(contents, section).map(Some)
    }

    /// Makes it of its two parts: `stored` is [`Contents::chunk_filter_range`] of the object.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the place in the object for anything that a writer did not write.
    pub fn new(contents: Contents, stored: &[u8]) -> Result<Self, Error> {
        let section = section::read(stored, contents.filter.offset, section::IDS[1], contents.filter)?;
        Self::of(contents, section)
    }

    fn of(contents: Contents, chunk_section: Vec<u8>) -> Result<Self, Error> {
        let chunk_filter = match chunk_section.len() {
            0 => None,
            length => {
                let filter = Filter::read(&chunk_section, 0..length);
                Some(filter.map_err(|what| Error::Corrupt { offset: contents.filter.offset, what })?)
            }
        };
        Ok(Self { contents, chunk_section, chunk_filter })
    }

    /// The part of it without filters.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Whether any record of the chunk may be what `probe` looks for. `false` is certain; a chunk of one block is never ruled out,
    /// as that block's filter is the chunk's.
    #[must_use]
    pub fn may_match(&self, probe: &Probe) -> bool {
        self.chunk_filter.as_ref().is_none_or(|filter| filter.may_match(&self.chunk_section, probe))
    }

    /// Where in the object the filters of the blocks are: from the footer's beginning on.
    #[must_use]
    pub fn block_filters_range(&self) -> Range<u64> {
        self.contents.blocks.range()
    }

    /// Reads the filters of the blocks: `stored` is [`Summary::block_filters_range`] of the object.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the place in the object for anything that a writer did not write.
    pub fn block_filters(&self, stored: &[u8]) -> Result<BlockFilters, Error> {
        let section = section::read(stored, self.contents.blocks.offset, section::IDS[0], self.contents.blocks)?;
        let read = |range: &Range<u32>| Filter::read(&section, range.start as usize..range.end as usize);
        let filters: Result<Vec<_>, _> = self.contents.directory.filters.iter().map(read).collect();
        let filters = filters.map_err(|what| Error::Corrupt { offset: self.contents.blocks.offset, what })?;
        Ok(BlockFilters { section, filters })
    }

    /// The memory it holds, in bytes, for caches.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() - size_of::<Contents>() + self.contents.memory_bytes() + self.chunk_section.capacity()
    }
}

impl BlockFilters {
    /// Whether any record of block `block` (counted from 0) may be what `probe` looks for. `false` is certain.
    #[must_use]
    pub fn may_match(&self, block: usize, probe: &Probe) -> bool {
        self.filters.get(block).is_none_or(|filter| filter.may_match(&self.section, probe))
    }
}
