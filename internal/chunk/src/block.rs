use std::cell::{Cell, RefCell};

use libdeflater::Decompressor;
use loglake_model::{Level, Window};

use crate::encoder::{Block, Scratch};
use crate::profile::TimeProfile;
use crate::text_filter::GramMap;
use crate::{BLOCK_TARGET_BYTES, Codec, Error, Libdeflate, MAX_RAW_BLOCK_BYTES, member};

/// What the directory says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// Where in the object the block's member begins, in bytes.
    pub offset: u64,
    /// The member's length, in bytes.
    pub length: u32,
    /// The exact length of its lines, in bytes.
    pub raw_length: u32,
    /// How many records it holds.
    pub records: u32,
    /// The earliest record's timestamp, ns UTC.
    pub min_ns: i64,
    /// The latest record's timestamp, ns UTC (included).
    pub max_ns: i64,
    /// Records by level: slot 0 is `unknown`.
    pub levels: [u32; Level::COUNTED],
    /// CRC-32C of the member's stored bytes.
    pub checksum: u32,
}

impl BlockRow {
    /// Whether `member` are the bytes that the row was written for. What is not must not be kept anywhere.
    #[must_use]
    pub fn is_intact(&self, member: &[u8]) -> bool {
        member.len() == self.length as usize && crc32c::crc32c(member) == self.checksum
    }
}

/// A block, compressed and filtered, ready to be put into a chunk by [`crate::ChunkBuilder::push`].
#[derive(Clone, Debug)]
pub struct EncodedBlock {
    member: Vec<u8>,
    row: BlockRow,
    filter: Vec<u8>,
    grams: GramMap,
    traces: Vec<u64>,
    profile: TimeProfile,
    window: Window,
}

impl From<Block<'_>> for EncodedBlock {
    fn from(block: Block<'_>) -> Self {
        Self {
            member: block.member.to_vec(),
            row: block.row,
            filter: block.filter.to_vec(),
            grams: block.grams.clone(),
            traces: block.traces.to_vec(),
            profile: block.profile.clone(),
            window: block.window,
        }
    }
}

impl EncodedBlock {
    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.row.records
    }

    /// The length of its lines, in bytes.
    #[must_use]
    pub fn raw_bytes(&self) -> u32 {
        self.row.raw_length
    }

    pub(crate) fn as_block(&self) -> Block<'_> {
        Block {
            member: &self.member,
            row: self.row,
            filter: &self.filter,
            grams: &self.grams,
            traces: &self.traces,
            profile: &self.profile,
            window: self.window,
        }
    }

    /// The memory it holds, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.member.capacity()
            + self.filter.capacity()
            + self.grams.memory_bytes()
            + self.traces.capacity() * 8
            + self.profile.memory_bytes()
    }
}

#[expect(clippy::disallowed_methods, reason = "it writes into a buffer whose size was checked, and never past it")]
fn decompressor() -> Decompressor {
    Decompressor::new()
}

/// How many bytes of lines a thread keeps at the most: blocks of the usual size.
const MAX_KEPT_BYTES: usize = 2 * BLOCK_TARGET_BYTES;

thread_local! {
    static SCRATCH: RefCell<(Libdeflate, Scratch)> = RefCell::new((Libdeflate::hot(), Scratch::default()));
    static INFLATE: RefCell<Decompressor> = RefCell::new(decompressor());
    static LINES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Compresses (with libdeflate at level 1) and filters a block: whole canonical lines with their ids ([`loglake_model::line`]),
/// each ended by a line feed, sorted by (timestamp, id), all within `window`. At most [`MAX_RAW_BLOCK_BYTES`].
///
/// Pure; runs on any thread, without an allocation a record. Who builds many chunks takes [`crate::ChunkBuilder::encode`].
///
/// # Errors
/// [`Error::Empty`], [`Error::Window`], [`Error::TooLarge`]; [`Error::Line`] names the first line that is not canonical, not
/// in the window, or earlier than the one before (ids are not compared).
pub fn encode_block(lines: &[u8], window: Window) -> Result<EncodedBlock, Error> {
    SCRATCH.with_borrow_mut(|(codec, scratch)| scratch.encode(lines, window, codec).map(EncodedBlock::from))
}

/// The same with a `codec` of the caller's choice.
///
/// # Errors
/// As [`encode_block`], and those of the codec.
pub fn encode_block_with(lines: &[u8], window: Window, codec: &mut dyn Codec) -> Result<EncodedBlock, Error> {
    SCRATCH.with_borrow_mut(|(_, scratch)| scratch.encode(lines, window, codec).map(EncodedBlock::from))
}

/// Gives back the lines of a block: `member` is what the object holds at `[row.offset, row.offset + row.length)`.
///
/// Verifies the stored bytes against the row's CRC-32C, then length and CRC-32 of the lines. Allocates `row.raw_length`
/// bytes, at most [`MAX_RAW_BLOCK_BYTES`].
///
/// # Errors
/// [`Error::Corrupt`] with the block's offset for everything that is not exactly what was written.
pub fn decode_block(row: &BlockRow, member: &[u8]) -> Result<Vec<u8>, Error> {
    let deflated = check(row, member)?;
    let mut lines = vec![0_u8; row.raw_length as usize];
    inflate(row, deflated, &mut lines)?;
    Ok(lines)
}

/// Does `work` with the lines of a block, as [`decode_block`] gives them, in memory that the thread keeps for the next one: it
/// need not be asked for, and zeroed, a block.
///
/// # Errors
/// As [`decode_block`].
pub fn decode_block_with<T>(row: &BlockRow, member: &[u8], work: impl FnOnce(&[u8]) -> T) -> Result<T, Error> {
    let deflated = check(row, member)?;
    // Taken, so that `work` may do the same.
    let mut buffer = LINES.take();
    let length = row.raw_length as usize;
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let done = inflate(row, deflated, &mut buffer[..length]).map(|()| work(&buffer[..length]));
    if buffer.len() <= MAX_KEPT_BYTES {
        LINES.set(buffer);
    }
    done
}

/// What a member holds deflated, and what its lines must be.
struct Deflated<'a> {
    bytes: &'a [u8],
    crc32: u32,
}

/// Compares what is stored with what the directory says.
fn check<'a>(row: &BlockRow, member: &'a [u8]) -> Result<Deflated<'a>, Error> {
    let corrupt = |what| Error::Corrupt { offset: row.offset, what };
    if member.len() != row.length as usize {
        return Err(corrupt("a block has another length than the directory says"));
    }
    if crc32c::crc32c(member) != row.checksum {
        return Err(corrupt("a block does not match its checksum"));
    }
    if row.raw_length as usize > MAX_RAW_BLOCK_BYTES {
        return Err(corrupt("a block claims more lines than one may hold"));
    }
    let (bytes, crc32, length) = member::split_data(member).ok_or(corrupt("a block is not a gzip member"))?;
    if length != row.raw_length {
        return Err(corrupt("a block holds another length than the directory says"));
    }
    Ok(Deflated { bytes, crc32 })
}

fn inflate(row: &BlockRow, deflated: Deflated<'_>, lines: &mut [u8]) -> Result<(), Error> {
    match INFLATE.with_borrow_mut(|inflate| inflate.deflate_decompress(deflated.bytes, lines)) {
        Ok(written) if written == lines.len() && libdeflater::crc32(lines) == deflated.crc32 => Ok(()),
        _ => Err(Error::Corrupt { offset: row.offset, what: "a block does not inflate to its lines" }),
    }
}
