//! Segments: the live chunks of one day of event time, apart from the checkpoint, so that a day that does not change is not
//! written again.
//!
//! Gzip of one JSON object: `{"version":1,"day":"2026-03-01","chunks":[<chunk as in an entry>, …]}`, at most
//! [`MAX_SEGMENT_CHUNKS`] of them, ascending by key. A day with more has several segments.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use loglake_model::{ChunkMeta, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of the segment's format that this program writes and reads.
pub const SEGMENT_VERSION: u32 = 1;
/// The most chunks of a segment.
pub const MAX_SEGMENT_CHUNKS: usize = 8_192;
/// No segment is larger, stored.
pub const MAX_SEGMENT_BYTES: usize = 32 << 20;
/// No segment is larger, decompressed.
pub const MAX_SEGMENT_JSON_BYTES: usize = 64 << 20;

/// A stored segment up to this size is read, and one of as many chunks as fit is written, right where it is asked for: it
/// takes less than some milliseconds.
pub(crate) const QUICK_BYTES: usize = 32 << 10;
pub(crate) const QUICK_CHUNKS: usize = 256;

/// Where a segment is, as a checkpoint names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRef {
    /// The day (UTC) that the windows of its chunks begin on, `YYYY-MM-DD`.
    pub day: String,
    /// The object's key.
    pub key: String,
    /// Its length, in bytes.
    pub length: u64,
    /// CRC-32C of the whole object.
    pub checksum: u32,
    /// How many chunks it names.
    pub chunks: u64,
}

#[derive(Serialize)]
struct Out<'a> {
    version: u32,
    day: &'a str,
    chunks: &'a [ChunkMeta],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct In {
    version: u32,
    day: String,
    chunks: Vec<ChunkMeta>,
}

/// The day of event time that `chunk` belongs to, `YYYY-MM-DD`.
pub(crate) fn day_of(chunk: &ChunkMeta) -> String {
    Timestamp(chunk.window.start_ns).to_string()[..10].to_owned()
}

/// The stored bytes. Busy for up to some hundred milliseconds.
///
/// # Errors
/// `TooLarge`.
pub(crate) fn encode(day: &str, chunks: &[ChunkMeta]) -> Result<Vec<u8>, Error> {
    let corrupt = |what: String| Error::Corrupt { key: format!("a segment of {day}"), what };
    let json = serde_json::to_vec(&Out { version: SEGMENT_VERSION, day, chunks })
        .map_err(|error| corrupt(error.to_string()))?;
    if json.len() > MAX_SEGMENT_JSON_BYTES {
        return Err(Error::TooLarge { what: "segment", bytes: json.len(), max: MAX_SEGMENT_JSON_BYTES });
    }
    let mut out = GzEncoder::new(Vec::with_capacity(json.len() / 6), Compression::new(6));
    let bytes = out.write_all(&json).and_then(|()| out.finish()).map_err(|error| corrupt(error.to_string()))?;
    if bytes.len() > MAX_SEGMENT_BYTES {
        return Err(Error::TooLarge { what: "segment", bytes: bytes.len(), max: MAX_SEGMENT_BYTES });
    }
    Ok(bytes)
}

/// Reads the stored bytes of the segment that `of` names.
///
/// # Errors
/// `Newer` for a later version, `Corrupt` for everything else that is not that segment.
pub(crate) fn decode(of: &SegmentRef, bytes: &[u8]) -> Result<Vec<ChunkMeta>, Error> {
    let corrupt = |what: String| Error::Corrupt { key: of.key.clone(), what };
    if bytes.len() as u64 != of.length || crc32c::crc32c(bytes) != of.checksum {
        return Err(corrupt("its length or checksum is not the checkpoint's".to_owned()));
    }
    let mut json = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "capped right here")]
    flate2::bufread::GzDecoder::new(bytes)
        .take(MAX_SEGMENT_JSON_BYTES as u64 + 1)
        .read_to_end(&mut json)
        .map_err(|error| corrupt(error.to_string()))?;
    if json.len() > MAX_SEGMENT_JSON_BYTES {
        return Err(corrupt(format!("it is over {MAX_SEGMENT_JSON_BYTES} bytes, decompressed")));
    }
    crate::version::check(&of.key, "segment", SEGMENT_VERSION, &json)?;
    let segment: In = serde_json::from_slice(&json).map_err(|error| corrupt(error.to_string()))?;
    let strays = segment.chunks.iter().filter(|chunk| day_of(chunk) != of.day).count();
    if segment.version != SEGMENT_VERSION || segment.day != of.day || strays > 0 {
        return Err(corrupt(format!("it is not of {}", of.day)));
    }
    if segment.chunks.len() as u64 != of.chunks {
        return Err(corrupt(format!("it names {} chunks, the checkpoint says {}", segment.chunks.len(), of.chunks)));
    }
    Ok(segment.chunks)
}

#[cfg(test)]
mod tests {
    use loglake_model::{Service, TenantName, Window};

    use super::*;

    fn chunk() -> ChunkMeta {
        ChunkMeta {
            key: "data/tenant=t/service=s/date=2026-03-01/hour=00/0-3-1-aa.ndjson.gz".to_owned(),
            length: 100,
            footer_offset: 50,
            checksum: 7,
            tenant: TenantName::parse("t").unwrap(),
            service: Service::parse("s").unwrap(),
            window: Window::holding(1_772_323_200_000_000_000, Window::HOUR_NS),
            min_ns: 1_772_323_200_000_000_001,
            max_ns: 1_772_323_200_000_000_002,
            records: 3,
            bytes: 300,
            levels: [3, 0, 0, 0, 0, 0, 0],
            lowest_offset: 0,
            highest_offset: 9,
        }
    }

    fn named(bytes: &[u8], chunks: u64) -> SegmentRef {
        SegmentRef {
            day: "2026-03-01".to_owned(),
            key: "segment".to_owned(),
            length: bytes.len() as u64,
            checksum: crc32c::crc32c(bytes),
            chunks,
        }
    }

    fn gzip(json: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::new(1));
        out.write_all(json).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn segments_come_back_and_strangers_are_refused() {
        let bytes = encode("2026-03-01", &[chunk()]).unwrap();
        assert_eq!(decode(&named(&bytes, 1), &bytes).unwrap(), [chunk()]);
        let is_corrupt = |of: &SegmentRef, bytes: &[u8]| matches!(decode(of, bytes), Err(Error::Corrupt { .. }));
        assert!(is_corrupt(&named(&bytes, 2), &bytes));
        assert!(is_corrupt(&named(&bytes, 1), &bytes[..bytes.len() - 1]));
        let mut flipped = bytes.clone();
        flipped[20] ^= 1;
        assert!(is_corrupt(&named(&bytes, 1), &flipped));
        assert!(is_corrupt(&SegmentRef { day: "2026-03-02".to_owned(), ..named(&bytes, 1) }, &bytes));
        let newer = gzip(br#"{"version":2,"what":"else"}"#);
        assert!(matches!(decode(&named(&newer, 1), &newer), Err(Error::Newer { .. })));
        let bomb = gzip(&vec![b' '; MAX_SEGMENT_JSON_BYTES + 2]);
        assert!(is_corrupt(&named(&bomb, 1), &bomb));
    }

    #[test]
    fn the_stored_form_of_version_1_stays() {
        let golden = include_bytes!("../testdata/segment-v1.json.gz");
        assert_eq!(decode(&named(golden, 1), golden).unwrap(), [chunk()]);
        let mut json = String::new();
        #[expect(clippy::disallowed_methods, reason = "test")]
        flate2::bufread::GzDecoder::new(&encode("2026-03-01", &[chunk()]).unwrap()[..])
            .read_to_string(&mut json)
            .unwrap();
        assert_eq!(json, include_str!("../testdata/segment-v1.json").trim_end());
    }
}
