use std::ops::Range;

use crate::directory::Directory;
use crate::locator::{Locator, Section};
use crate::profile::TimeProfile;
use crate::{BlockRow, ChunkHead, Error, Source, Totals, section};

/// A chunk's directory, read and checked: what the chunk holds and where, without the filters. It stands near the end of the
/// object, so that who needs no filter reads some KiB only.
#[derive(Clone, Debug)]
pub struct Contents {
    pub(crate) directory: Directory,
    /// Where the filters of the blocks are.
    pub(crate) blocks: Section,
    /// Where the chunk's own filter is.
    pub(crate) filter: Section,
}

impl Contents {
    /// Reads it off `tail`, the last bytes of an object of `length` bytes whose footer begins at `footer_offset`. `None` when the
    /// tail is too short to hold all of it: then the whole footer is to be read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the place in the object for anything that a writer did not write; [`Error::Unsupported`] for a
    /// newer version.
    pub fn parse(tail: &[u8], footer_offset: u64, length: u64) -> Result<Option<Self>, Error> {
        let corrupt = |what| Error::Corrupt { offset: footer_offset, what };
        let tail_offset = length.checked_sub(tail.len() as u64).ok_or(corrupt("the object is shorter than its end"))?;
        let locator = Locator::read(tail, length)?;
        if locator.footer_offset != footer_offset {
            return Err(corrupt("the footer begins elsewhere"));
        }
        let [blocks, filter, place] = locator.sections;
        if place.offset < tail_offset {
            return Ok(None);
        }
        let bytes = section::read(tail, tail_offset, section::IDS[2], place)?;
        let directory =
            Directory::decode(&bytes, footer_offset).map_err(|what| Error::Corrupt { offset: place.offset, what })?;
        Ok(Some(Self { directory, blocks, filter }))
    }

    /// Whose records the chunk holds, and from when.
    #[must_use]
    pub fn head(&self) -> &ChunkHead {
        &self.directory.head
    }

    /// Where they came from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.directory.source
    }

    /// The blocks, in the order of their offsets.
    #[must_use]
    pub fn blocks(&self) -> &[BlockRow] {
        &self.directory.rows
    }

    /// What all blocks hold together.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.directory.totals
    }

    /// Records by level in sixtieths of the window.
    #[must_use]
    pub fn profile(&self) -> &TimeProfile {
        &self.directory.profile
    }

    /// Where in the object the chunk's own filter is: what [`crate::Summary::new`] wants.
    #[must_use]
    pub fn chunk_filter_range(&self) -> Range<u64> {
        self.filter.range()
    }

    /// The memory it holds, in bytes, for caches.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let directory = &self.directory;
        let inputs = match &directory.source {
            Source::Log { .. } => 0,
            Source::Job { inputs } => inputs.iter().map(|input| input.capacity() + size_of::<String>()).sum(),
        };
        size_of::<Self>()
            + inputs
            + directory.head.tenant.as_str().len()
            + directory.head.service.as_str().len()
            + directory.rows.capacity() * size_of::<BlockRow>()
            + directory.filters.capacity() * size_of::<Range<u32>>()
            + directory.profile.memory_bytes()
    }
}
