//! Ways in for the fuzz targets.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use loglake_model::ChunkMeta;

use crate::{SegmentRef, segment};

/// Reads a segment under a right length and checksum, as that of `day` with so many chunks; `None` when it is refused.
#[must_use]
pub fn read_segment(bytes: &[u8], day: &str, chunks: u64) -> Option<Vec<ChunkMeta>> {
    let of = SegmentRef {
        day: day.to_owned(),
        key: "segment".to_owned(),
        length: bytes.len() as u64,
        checksum: crc32c::crc32c(bytes),
        chunks,
    };
    segment::decode(&of, bytes).ok()
}

/// The bytes of a segment whose JSON is `json`, whatever it is.
#[must_use]
pub fn compress_segment(json: &[u8]) -> Option<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(json).ok()?;
    out.finish().ok()
}
