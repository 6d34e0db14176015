//! From the lines of a block to its member, its filters and its row of the directory.

use loglake_model::Window;

use crate::head::is_sound;
use crate::profile::TimeProfile;
use crate::survey::{Memory, Survey};
use crate::text_filter::GramMap;
use crate::{BlockRow, Codec, Error, MAX_RAW_BLOCK_BYTES, MAX_STORED_BLOCK_BYTES, filter, member};

/// What encodes the blocks of chunks, see [`crate::ChunkBuilder::encode`]: a compressor, and memory that serves block after
/// block (about twice a block's lines). One for each thread that encodes.
pub struct Encoder {
    codec: Box<dyn Codec + Send>,
    scratch: Scratch,
}

impl Encoder {
    /// With the fastest compressor that was built in: ISA-L (feature `isal`), else libdeflate at level 1.
    #[must_use]
    pub fn hot() -> Self {
        #[cfg(feature = "isal")]
        let codec = Box::new(crate::Isal);
        #[cfg(not(feature = "isal"))]
        let codec = Box::new(crate::Libdeflate::hot());
        Self::new(codec)
    }

    /// With a compressor of the caller's choice.
    #[must_use]
    pub fn new(codec: Box<dyn Codec + Send>) -> Self {
        Self { codec, scratch: Scratch::default() }
    }

    /// As [`crate::encode_block`]; what comes back is overwritten by the next block.
    pub(crate) fn encode(&mut self, lines: &[u8], window: Window) -> Result<Block<'_>, Error> {
        self.scratch.encode(lines, window, self.codec.as_mut())
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// An encoded block, as it lies in the memory of who encoded it.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) member: &'a [u8],
    /// The row, with an offset of 0.
    pub(crate) row: BlockRow,
    pub(crate) filter: &'a [u8],
    pub(crate) grams: &'a GramMap,
    /// Keys of the trace ids, sorted, distinct.
    pub(crate) traces: &'a [u64],
    pub(crate) profile: &'a TimeProfile,
    pub(crate) window: Window,
}

/// What one block leaves to the next: memory, never content.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    memory: Memory,
    output: Vec<u8>,
    filter: Vec<u8>,
    filters: filter::Scratch,
}

impl Scratch {
    /// Looks at each line, compresses all, and makes the filters.
    pub(crate) fn encode(&mut self, lines: &[u8], window: Window, codec: &mut dyn Codec) -> Result<Block<'_>, Error> {
        if !is_sound(window) {
            return Err(Error::Window);
        }
        if lines.is_empty() {
            return Err(Error::Empty);
        }
        let raw_length = length("bytes of lines in a block", lines.len(), MAX_RAW_BLOCK_BYTES)?;
        let mut survey = Survey::new(lines, window, &mut self.memory);
        let mut from = 0;
        while from < lines.len() {
            let fault = |what| Error::Line { at: from, what };
            let end = memchr::memchr(b'\n', &lines[from..]).ok_or(fault("does not end with a line feed"))? + from;
            survey.line(&lines[from..end]).map_err(fault)?;
            from = end + 1;
        }
        let counts = survey.finish();

        let stored = member::write_data(&mut self.output, lines, codec)?;
        let member = &self.output[..stored];
        let row = BlockRow {
            offset: 0,
            length: length("stored bytes of a block", stored, MAX_STORED_BLOCK_BYTES)?,
            raw_length,
            records: counts.records,
            min_ns: counts.min_ns,
            max_ns: counts.max_ns,
            levels: counts.levels,
            checksum: crc32c::crc32c(member),
        };
        let Memory { grams, traces, profile, .. } = &self.memory;
        self.filter.clear();
        filter::encode(grams, traces, &mut self.filters, &mut self.filter);
        Ok(Block { member, row, filter: &self.filter, grams, traces, profile, window })
    }
}

/// `actual` as a number of 32 bits, if it does not pass `limit`, which is one.
fn length(what: &'static str, actual: usize, limit: usize) -> Result<u32, Error> {
    u32::try_from(actual).ok().filter(|_| actual <= limit).ok_or(Error::TooLarge {
        what,
        limit: limit as u64,
        actual: actual as u64,
    })
}
