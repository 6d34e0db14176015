use bytes::Bytes;
use loglake_model::{ChunkMeta, LevelCounts};

use crate::directory::Directory;
use crate::encoder::Block;
use crate::head::is_sound;
use crate::locator::{LOCATOR_BYTES, Locator};
use crate::profile::TimeProfile;
use crate::text_filter::GramMap;
use crate::{
    BlockRow, ChunkHead, EncodedBlock, Encoder, Error, MAX_BLOCKS, MAX_FOOTER_BYTES, MAX_INPUT_BYTES, MAX_JOB_INPUTS,
    Source, Totals, filter, section,
};

/// Puts blocks together into a chunk.
#[derive(Debug)]
pub struct ChunkBuilder {
    head: ChunkHead,
    source: Source,
    /// The members so far, in one piece.
    bytes: Vec<u8>,
    checksum: u32,
    rows: Vec<BlockRow>,
    filters: Vec<u8>,
    filter_ends: Vec<usize>,
    grams: GramMap,
    traces: Vec<u64>,
    profile: TimeProfile,
    fault: Option<Error>,
}

impl ChunkBuilder {
    /// Begins a chunk.
    #[must_use]
    pub fn new(head: ChunkHead, source: Source) -> Self {
        let fault = check(&head, &source).err();
        let profile = TimeProfile::empty(head.window);
        Self {
            head,
            source,
            bytes: Vec::new(),
            checksum: 0,
            rows: Vec::new(),
            filters: Vec::new(),
            filter_ends: Vec::new(),
            grams: GramMap::default(),
            traces: Vec::new(),
            profile,
            fault,
        }
    }

    /// Adds the next block; blocks come in the order of their times. What is wrong with it, [`ChunkBuilder::finish`] says.
    pub fn push(&mut self, block: EncodedBlock) {
        self.add(&block.as_block());
    }

    /// Encodes `lines`, as [`crate::encode_block`] takes them, straight into the chunk: its next block.
    ///
    /// # Errors
    /// As [`crate::encode_block_with`]; nothing is added then. What else is wrong, [`ChunkBuilder::finish`] says.
    pub fn encode(&mut self, lines: &[u8], encoder: &mut Encoder) -> Result<(), Error> {
        self.add(&encoder.encode(lines, self.head.window)?);
        Ok(())
    }

    fn add(&mut self, block: &Block<'_>) {
        if self.fault.is_some() {
            return;
        }
        if block.window != self.head.window {
            self.fault = Some(Error::Window);
            return;
        }
        if self.rows.len() >= MAX_BLOCKS {
            self.fault = Some(Error::TooLarge {
                what: "blocks of a chunk",
                limit: MAX_BLOCKS as u64,
                actual: MAX_BLOCKS as u64 + 1,
            });
            return;
        }
        self.rows.push(BlockRow { offset: self.bytes.len() as u64, ..block.row });
        // Going over a block again is cheaper than putting two checksums together.
        self.checksum = crc32c::crc32c_append(self.checksum, block.member);
        self.bytes.extend_from_slice(block.member);
        self.filters.extend_from_slice(block.filter);
        self.filter_ends.push(self.filters.len());
        if self.rows.len() == 1 {
            self.grams.copy(block.grams);
        } else {
            self.grams.merge(block.grams);
        }
        self.traces.extend_from_slice(block.traces);
        self.profile.merge(block.profile);
    }

    /// How many blocks were pushed.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.rows.len()
    }

    /// Ends the chunk: the blocks in one piece, then filters, directory and locator.
    ///
    /// # Errors
    /// [`Error::Empty`] without a block, [`Error::Window`] for a window that is not one or differs between blocks,
    /// [`Error::TooLarge`] past a limit of the format.
    pub fn finish(mut self) -> Result<FinishedChunk, Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let totals = Totals::of(&self.rows).ok_or(Error::Empty)?;
        let mut chunk_filter = Vec::new();
        // A single block's filter says the same.
        if self.rows.len() > 1 {
            // The lists of the blocks are sorted runs, which the stable sort merges.
            self.traces.sort();
            self.traces.dedup();
            filter::encode(&self.grams, &self.traces, &mut filter::Scratch::default(), &mut chunk_filter);
        }
        let too_large = |actual: usize| Error::TooLarge {
            what: "bytes of a footer",
            limit: MAX_FOOTER_BYTES as u64,
            actual: actual as u64,
        };
        if self.filters.len() + chunk_filter.len() > MAX_FOOTER_BYTES {
            return Err(too_large(self.filters.len() + chunk_filter.len()));
        }
        let starts = std::iter::once(0).chain(self.filter_ends.iter().copied());
        // Under MAX_FOOTER_BYTES, so 32 bits are enough.
        let filters = starts.zip(&self.filter_ends).map(|(start, end)| start as u32..*end as u32).collect();
        let directory =
            Directory { head: self.head, source: self.source, totals, rows: self.rows, filters, profile: self.profile }
                .encode();

        let payloads = [self.filters, chunk_filter, directory];
        let mut bytes = self.bytes;
        let footer_offset = bytes.len();
        let footer: usize =
            payloads.iter().map(|payload| payload.len() + payload.len() / 1_000).sum::<usize>() + 4 * LOCATOR_BYTES;
        bytes.reserve_exact(footer);
        let mut sections = [crate::locator::Section::default(); 3];
        for ((section, id), payload) in sections.iter_mut().zip(section::IDS).zip(&payloads) {
            *section = section::write(&mut bytes, id, payload);
        }
        Locator { footer_offset: footer_offset as u64, sections }.write(&mut bytes);
        if bytes.len() - footer_offset > MAX_FOOTER_BYTES {
            return Err(too_large(bytes.len() - footer_offset));
        }
        let checksum = crc32c::crc32c_append(self.checksum, &bytes[footer_offset..]);
        Ok(FinishedChunk {
            bytes: bytes.into(),
            footer_offset: footer_offset as u64,
            checksum,
            min_ns: totals.min_ns,
            max_ns: totals.max_ns,
            records: totals.records,
            raw_bytes: totals.raw_bytes,
            levels: totals.levels,
        })
    }
}

fn check(head: &ChunkHead, source: &Source) -> Result<(), Error> {
    if !is_sound(head.window) {
        return Err(Error::Window);
    }
    if let Source::Job { inputs } = source {
        let longest = inputs.iter().map(String::len).max().unwrap_or(0);
        for (what, limit, actual) in
            [("inputs of a job", MAX_JOB_INPUTS, inputs.len()), ("bytes of an input's name", MAX_INPUT_BYTES, longest)]
        {
            if actual > limit {
                return Err(Error::TooLarge { what, limit: limit as u64, actual: actual as u64 });
            }
        }
    }
    Ok(())
}

/// A whole chunk, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedChunk {
    /// The object.
    pub bytes: Bytes,
    /// Where its footer begins.
    pub footer_offset: u64,
    /// CRC-32C of all its bytes.
    pub checksum: u32,
    /// The earliest record's timestamp, ns UTC.
    pub min_ns: i64,
    /// The latest record's timestamp, ns UTC (included).
    pub max_ns: i64,
    /// How many records.
    pub records: u64,
    /// The length of all lines, in bytes.
    pub raw_bytes: u64,
    /// Records by level: slot 0 is `unknown`.
    pub levels: LevelCounts,
}

impl FinishedChunk {
    /// What the chain and the index keep of the chunk, once it is stored under `key`. `head` is the one it was built with.
    #[must_use]
    pub fn meta(&self, key: String, head: &ChunkHead, lowest_offset: u64, highest_offset: u64) -> ChunkMeta {
        ChunkMeta {
            key,
            length: self.bytes.len() as u64,
            footer_offset: self.footer_offset,
            checksum: self.checksum,
            tenant: head.tenant.clone(),
            service: head.service.clone(),
            window: head.window,
            min_ns: self.min_ns,
            max_ns: self.max_ns,
            records: self.records,
            bytes: self.raw_bytes,
            levels: self.levels,
            lowest_offset,
            highest_offset,
        }
    }
}
