use std::cell::RefCell;

use libdeflater::Decompressor;
use loglake_model::{Level, Timestamp, Window, line};

use crate::head::is_sound;
use crate::profile::TimeProfile;
use crate::text_filter::GramMap;
use crate::unescape::unescape_into;
use crate::walk::{Place, Value, walk};
use crate::{Codec, Error, Libdeflate, MAX_RAW_BLOCK_BYTES, MAX_STORED_BLOCK_BYTES, filter, hash, member};

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

/// A block, compressed and filtered, ready to be put into a chunk by [`crate::ChunkBuilder::push`].
#[derive(Clone, Debug)]
pub struct EncodedBlock {
    pub(crate) member: Vec<u8>,
    /// The row, with an offset of 0.
    pub(crate) row: BlockRow,
    pub(crate) filter: Vec<u8>,
    pub(crate) grams: GramMap,
    /// Keys of the trace ids, sorted, distinct.
    pub(crate) traces: Vec<u64>,
    pub(crate) profile: TimeProfile,
    pub(crate) window: Window,
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

/// What a thread keeps from block to block.
struct Scratch {
    codec: Libdeflate,
    output: Vec<u8>,
    plain: Vec<u8>,
    known: Vec<(u32, u32)>,
}

/// How many earlier values are remembered, by length and place within the line.
const KNOWN: usize = 1 << 10;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        codec: Libdeflate::hot(), output: Vec::new(), plain: Vec::new(), known: Vec::new(),
    });
    static INFLATE: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

/// Compresses and filters a block: whole canonical lines with their ids ([`loglake_model::line`]), each ended by a line
/// feed, sorted by (timestamp, id), all within `window`. At most [`MAX_RAW_BLOCK_BYTES`].
///
/// Pure; runs on any thread, without an allocation a record.
///
/// # Errors
/// [`Error::Empty`], [`Error::Window`], [`Error::TooLarge`]; [`Error::Line`] names the first line that is not canonical, not
/// in the window, or earlier than the one before (ids are not compared).
pub fn encode_block(lines: &[u8], window: Window) -> Result<EncodedBlock, Error> {
    SCRATCH.with_borrow_mut(|scratch| {
        let Scratch { codec, output, plain, known } = scratch;
        encode(lines, window, codec, output, plain, known)
    })
}

/// The same with a `codec` of the caller's choice.
///
/// # Errors
/// As [`encode_block`], and those of the codec.
pub fn encode_block_with(lines: &[u8], window: Window, codec: &mut dyn Codec) -> Result<EncodedBlock, Error> {
    SCRATCH.with_borrow_mut(|Scratch { output, plain, known, .. }| encode(lines, window, codec, output, plain, known))
}

fn encode(
    lines: &[u8],
    window: Window,
    codec: &mut dyn Codec,
    output: &mut Vec<u8>,
    plain: &mut Vec<u8>,
    known: &mut Vec<(u32, u32)>,
) -> Result<EncodedBlock, Error> {
    if !is_sound(window) {
        return Err(Error::Window);
    }
    if lines.is_empty() {
        return Err(Error::Empty);
    }
    let raw_length = u32::try_from(lines.len()).ok().filter(|length| *length as usize <= MAX_RAW_BLOCK_BYTES).ok_or(
        Error::TooLarge {
            what: "bytes of lines in a block",
            limit: MAX_RAW_BLOCK_BYTES as u64,
            actual: lines.len() as u64,
        },
    )?;
    let mut survey = Survey::new(lines, window, plain, known);
    let mut from = 0;
    while from < lines.len() {
        let fault = |what| Error::Line { at: from, what };
        let end = memchr::memchr(b'\n', &lines[from..]).ok_or(fault("does not end with a line feed"))? + from;
        survey.line(&lines[from..end]).map_err(fault)?;
        from = end + 1;
    }
    let Survey { grams, mut traces, profile, records, min_ns, max_ns, levels, .. } = survey;
    traces.sort_unstable();
    traces.dedup();
    traces.shrink_to_fit();

    let length = member::write_data(output, lines, codec)?;
    let member = output[..length].to_vec();
    let length = u32::try_from(length).ok().filter(|length| *length as usize <= MAX_STORED_BLOCK_BYTES).ok_or(
        Error::TooLarge {
            what: "stored bytes of a block",
            limit: MAX_STORED_BLOCK_BYTES as u64,
            actual: length as u64,
        },
    )?;
    let mut filter = Vec::new();
    filter::encode(&grams, &traces, &mut filter);
    let checksum = crc32c::crc32c(&member);
    let row = BlockRow { offset: 0, length, raw_length, records, min_ns, max_ns, levels, checksum };
    Ok(EncodedBlock { member, row, filter, grams, traces, profile, window })
}

/// Looks at each line of a block once.
struct Survey<'a> {
    lines: &'a [u8],
    window: Window,
    plain: &'a mut Vec<u8>,
    /// For a hash of length and place: where in `lines` an earlier value of that length begins, and its length.
    known: &'a mut Vec<(u32, u32)>,
    grams: GramMap,
    traces: Vec<u64>,
    profile: TimeProfile,
    records: u32,
    min_ns: i64,
    max_ns: i64,
    levels: [u32; Level::COUNTED],
    second: Second,
}

/// The second that the line before fell into, so that most timestamps need no calendar.
#[derive(Clone, Copy, Default)]
struct Second {
    /// The timestamp's text up to the seconds.
    text: [u8; 19],
    start_ns: i64,
    step: u8,
}

impl<'a> Survey<'a> {
    fn new(lines: &'a [u8], window: Window, plain: &'a mut Vec<u8>, known: &'a mut Vec<(u32, u32)>) -> Self {
        known.clear();
        known.resize(KNOWN, (0, 0));
        Self {
            lines,
            window,
            plain,
            known,
            grams: GramMap::for_raw_bytes(lines.len()),
            traces: Vec::new(),
            profile: TimeProfile::empty(window),
            records: 0,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
            levels: [0; Level::COUNTED],
            second: Second::default(),
        }
    }

    fn line(&mut self, line: &'a [u8]) -> Result<(), &'static str> {
        let at_ns = self.timestamp(line)?;
        if at_ns < self.max_ns {
            return Err("is earlier than the one before it");
        }
        let Self { lines, plain, known, grams, traces, .. } = self;
        let slot = walk(line, |place, value| {
            let Value { raw, is_escaped } = value;
            let text = if is_escaped {
                plain.clear();
                unescape_into(plain, raw).ok_or("has a broken escape")?;
                &plain[..]
            } else {
                raw
            };
            match place {
                Place::Trace => {
                    let key = hash::trace_key(text);
                    if traces.last() != Some(&key) {
                        traces.push(key);
                    }
                }
                Place::Text(_) if is_escaped => grams.add(text),
                Place::Text(count) => {
                    let known = &mut known[(text.len() ^ (count << 6)) % KNOWN];
                    let (from, length) = (known.0 as usize, known.1 as usize);
                    match lines.get(from..from + length) {
                        Some(before) if length == text.len() => grams.add_unlike(text, before),
                        _ => grams.add(text),
                    }
                    // Both lie in `lines`, which is far shorter than 4 GiB.
                    *known = ((text.as_ptr() as usize - lines.as_ptr() as usize) as u32, text.len() as u32);
                }
            }
            Ok(())
        })?;
        self.levels[slot] += 1;
        self.profile.count(self.second.step, slot);
        self.records += 1;
        self.min_ns = self.min_ns.min(at_ns);
        self.max_ns = at_ns;
        Ok(())
    }

    /// The line's timestamp; leaves its second in `self.second`.
    fn timestamp(&mut self, line: &[u8]) -> Result<i64, &'static str> {
        const WRONG: &str = "does not begin with a timestamp as a line does";
        let text = line
            .strip_prefix(line::HEAD)
            .and_then(|rest| rest.first_chunk::<{ Timestamp::TEXT_BYTES + 1 }>())
            .ok_or(WRONG)?;
        if text[Timestamp::TEXT_BYTES] != b'"' {
            return Err(WRONG);
        }
        if text[..19] == self.second.text && text[19] == b'.' && text[29] == b'Z' {
            let nanos = text[20..29]
                .iter()
                .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')));
            return self.second.start_ns.checked_add(nanos.ok_or(WRONG)?).ok_or(WRONG);
        }
        let at_ns = Timestamp::from_text(&text[..Timestamp::TEXT_BYTES]).ok_or(WRONG)?.0;
        if !self.window.contains(at_ns) {
            return Err("lies outside the window");
        }
        let start_ns = at_ns - at_ns.rem_euclid(1_000_000_000);
        let step = (at_ns - self.window.start_ns) / (self.window.length_ns / Window::STEPS as i64);
        self.second = Second { start_ns, step: step as u8, ..self.second };
        self.second.text.copy_from_slice(&text[..19]);
        Ok(at_ns)
    }
}

/// Gives back the lines of a block: `member` is what the object holds at `[row.offset, row.offset + row.length)`.
///
/// Verifies the stored bytes against the row's CRC-32C, then length and CRC-32 of the lines. Allocates `row.raw_length`
/// bytes, at most [`MAX_RAW_BLOCK_BYTES`].
///
/// # Errors
/// [`Error::Corrupt`] with the block's offset for everything that is not exactly what was written.
pub fn decode_block(row: &BlockRow, member: &[u8]) -> Result<Vec<u8>, Error> {
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
    let (deflated, crc32, length) = member::split_data(member).ok_or(corrupt("a block is not a gzip member"))?;
    if length != row.raw_length {
        return Err(corrupt("a block holds another length than the directory says"));
    }
    let mut lines = vec![0_u8; row.raw_length as usize];
    match INFLATE.with_borrow_mut(|inflate| inflate.deflate_decompress(deflated, &mut lines)) {
        Ok(written) if written == lines.len() && libdeflater::crc32(&lines) == crc32 => Ok(lines),
        _ => Err(corrupt("a block does not inflate to its lines")),
    }
}
