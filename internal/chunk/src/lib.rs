//! The chunk format, version 1: bytes in, bytes out. No I/O.
//!
//! A chunk is one immutable object that holds the records of one tenant, one service and one window of event time.
//! Decompressed it is nothing but NDJSON, so `zcat` reads it; between the lines, where gzip readers do not look, it carries
//! what a query needs to read only a few of its blocks. Write with [`ChunkBuilder`] and [`Encoder`]; read with
//! [`Footer::parse`], [`Footer::block_may_match`] and [`decode_block`].
//!
//! This page is all that another implementation needs. All numbers are little-endian; times are nanoseconds since the Unix
//! epoch, UTC, in 64 bits with sign; offsets count bytes from the beginning of the object.
//!
//! # Layout
//! ```text
//! +--------------+-----+--------------+----------------+----------------+-------------+-----------+
//! | data block 0 | ... | data block n | block filters  | chunk filter   | directory   | locator   |
//! | gzip member  |     | gzip member  | members "LB"   | members "LC"   | members "LD"| member    |
//! |              |     |              | one or more    | none for n = 0 | one or more | "LL"      |
//! +--------------+-----+--------------+----------------+----------------+-------------+-----------+
//! 0                                   footer offset                                        length
//! ```
//! **Data block**: one gzip member (RFC 1952) of whole canonical lines ([`loglake_model::line`]), each ended by `\n`, sorted
//! by (timestamp, id). Its header is `1f 8b 08 00 00000000 00 ff`. About 512 KiB of lines, at most [`MAX_RAW_BLOCK_BYTES`].
//!
//! **Footer**: a chain of members without data, each exactly
//! ```text
//! 1f 8b 08 04  00000000 00 ff | u16 XLEN | 2 bytes id | u16 payload length = XLEN - 4 | payload | 03 00  00000000  00000000
//! ```
//! with XLEN at most [`MAX_EXTRA_BYTES`]. A *section* is what consecutive members of one id carry, joined together.
//!
//! # Locator
//! The last 110 bytes of the object: one member, id `LL`, with a payload of 84 bytes.
//! ```text
//! at  bytes
//!  0   8     magic "loglake\0"
//!  8   2     format version: 1
//! 10   2     0
//! 12   8     footer offset
//! 20  20     block filters: u64 offset of the first member, u32 length of the members, u32 length of what they carry,
//!            u32 CRC-32C of the members' bytes
//! 40  20     chunk filter: the same
//! 60  20     directory: the same
//! 80   -     (the sections follow each other without a gap, from the footer offset to the locator)
//! 80   4     CRC-32C of the 80 bytes before
//! ```
//! **Version rule**: the length of the locator and the places of magic, version and checksum stay in every version. A reader
//! refuses a version that it does not know with [`Error::Unsupported`]; whatever changes a meaning raises the version.
//!
//! # Directory
//! ```text
//! u8 length, tenant; u8 length, service (UTF-8); i64 start and i64 length of the window
//! u8 source: 0 (log):  u32 incarnation, u32 partition, u64 lowest offset, u64 highest offset (included)
//!            1 (job):  u32 count, for each input: u16 length, key
//! totals:    u64 records, u64 bytes of lines, i64 earliest, i64 latest timestamp (included), 7 x u64 records by level
//! u32 blocks, for each 76 bytes:
//!            u64 offset, u32 length of the member, u32 length of its lines, u32 records, i64 earliest, i64 latest,
//!            7 x u32 records by level, u32 CRC-32C of the member,
//!            u32 offset and u32 length of its filter within the section of block filters
//! time profile: varint count of steps with records, for each: varint distance to the step before (the first: to step 0),
//!            u8 mask of levels that occur (bit 0: unknown), for each of them, lowest first, a varint count of records
//! ```
//! Levels are counted in the order unknown (no level), trace, debug, info, warn, error, fatal. A step is a sixtieth of the
//! window. A varint is an unsigned LEB128 number. Blocks begin at 0 and follow each other without a gap up to the footer.
//! Whatever is said twice must agree.
//!
//! # Filters
//! Each block has one, and so has the chunk as a whole if it has more than one block.
//! ```text
//! at  bytes
//!  0   1     b: the text filter has 2^b bits, 6 <= b <= 22
//!  1   1     traces: 0 no record has a trace id, 1 a binary fuse filter follows, 2 unknown (any may occur)
//!  2   1     s: segments of the fuse filter have 2^s slots, 2 <= s <= 18 (0 unless traces = 1)
//!  3   1     0
//!  4   4     n: how many segments a key's first slot may lie in, at least 1 (0 unless traces = 1)
//!  8   8     seed (0 unless traces = 1)
//! 16  2^b/8  text filter; bit i is bit (i mod 8), the lowest being 0, of byte i / 8
//!  -   -     fuse filter: (n + 2) * 2^s fingerprints of one byte (only if traces = 1)
//! ```
//! ## Text filter
//! Holds every run of five bytes (*gram*) of every **value**, ASCII letters lower-cased. Values are: the message; each string
//! within the attributes, nested ones too, but not the keys; and each number, `true`, `false` and `null` there, as it is
//! written in the line. Values are taken as they are decoded (without JSON's escapes), in UTF-8. No gram spans two values.
//! Tags, host, and all ids are left out.
//!
//! A gram's number is `g = b0 + b1 * 2^8 + ... + b4 * 2^32`; its bit in a filter of 2^b bits is
//! ```text
//! ((g * 0x9e3779b97f4a7c15 mod 2^64) >> 42) mod 2^b
//! ```
//! A needle may occur in a value only if the bits of all of its grams are set; a needle of fewer than five bytes may occur
//! anywhere. A number is found by how it is written: who looks for the number 12345 must not use it as a needle if 1.2345e4
//! would match too.
//!
//! The writer starts with a large map and lays its halves over each other (or) as long as the result has at most six of ten
//! bits set; any other choice of b, and any bit set in excess, is as correct.
//!
//! ## Trace filter
//! A binary fuse filter of three places with 8-bit fingerprints, over the keys of the distinct trace ids. The key of an id of
//! length l: `h = l`; for each eight bytes of it as a number w, the last padded with zeros (none if l = 0):
//! `h = (h xor w) * 0x9e3779b97f4a7c15 mod 2^64`, then `h = h xor (h >> 29)`; at the end `mix(h)`, which is
//! ```text
//! x ^= x >> 33; x *= 0xff51afd7ed558ccd; x ^= x >> 33; x *= 0xc4ceb9fe1a85ec53; x ^= x >> 33    (mod 2^64)
//! ```
//! To look for a key: `m = mix(key + seed mod 2^64)`, with L = 2^s:
//! ```text
//! p0 = (m * n * L) >> 64 (of the 128-bit product);  p1 = (p0 + L) xor ((m >> 18) mod L);  p2 = (p0 + 2 L) xor (m mod L)
//! the key may be there if and only if  f[p0] xor f[p1] xor f[p2]  =  (m xor (m >> 32)) mod 2^8
//! ```
//!
//! # Damage
//! Every byte is under a checksum: a block's in its row, a section's in the locator, the locator's in itself; what no checksum
//! covers has one possible value. A reader says [`Error::Corrupt`] with the place, or gives exactly what was written. No
//! length is believed before it is compared with bytes that are there or with a limit.
//!
//! # Known limits
//! One-shot zlib inflation reads one member only. Java's `GZIPInputStream` with a 512-byte buffer, over a stream that reports
//! nothing available, can stop early; so it can on any gzip file of several members.

mod block;
mod codec;
mod contents;
mod cursor;
mod directory;
mod encoder;
mod error;
mod filter;
mod fuse;
mod hash;
mod head;
#[cfg(feature = "isal")]
mod isal;
mod limits;
mod locator;
mod member;
mod probe;
mod profile;
mod reader;
mod section;
mod summary;
mod survey;
mod text_filter;
mod totals;
mod unescape;
mod walk;
mod writer;

pub use block::{BlockRow, EncodedBlock, decode_block, decode_block_with, encode_block, encode_block_with};
pub use codec::{Codec, Libdeflate};
pub use contents::Contents;
pub use encoder::Encoder;
pub use error::Error;
pub use head::{ChunkHead, Source};
#[cfg(feature = "isal")]
pub use isal::Isal;
pub use limits::*;
pub use probe::Probe;
pub use profile::TimeProfile;
pub use reader::Footer;
pub use summary::{BlockFilters, Summary};
pub use totals::Totals;
pub use writer::{ChunkBuilder, FinishedChunk};

/// The version of the format that this crate writes, and the only one that it reads.
pub const FORMAT_VERSION: u16 = 1;
