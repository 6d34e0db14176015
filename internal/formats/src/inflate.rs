use std::io::{ErrorKind, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// What the first reads are made into; doubled as long as more comes.
const FIRST_BYTES: usize = 64 * 1024;
/// The largest zstd window, 8 MiB: what RFC 9659 asks of HTTP senders. It bounds the decoder's own memory.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Decodes a body by its `Content-Encoding`: nothing or `identity`, `gzip` (also several members), `zstd` (also several
/// frames). At most `max_bytes` come out, and no more than that is ever allocated for them.
///
/// # Errors
/// `TooLarge` past `max_bytes`, `Invalid` when the body is damaged, cut off or followed by something else,
/// `Unsupported` for every other encoding, and for several at once.
pub fn inflate(encoding: Option<&str>, body: Bytes, max_bytes: usize) -> Result<Bytes, Error> {
    let named = encoding.unwrap_or_default().trim();
    let is = |name: &str| named.eq_ignore_ascii_case(name);
    if named.is_empty() || is("identity") {
        if body.len() > max_bytes {
            return Err(Error::TooLarge { limit: max_bytes });
        }
        Ok(body)
    } else if is("gzip") || is("x-gzip") {
        #[expect(clippy::disallowed_methods, reason = "read_capped caps it")]
        let decoder = MultiGzDecoder::new(&*body);
        read_capped("gzip", decoder, max_bytes)
    } else if is("zstd") {
        let invalid = |source| Error::Invalid { encoding: "zstd", source };
        if body.is_empty() {
            // The decoder would take this for no frames at all.
            return Err(invalid(std::io::Error::from(ErrorKind::UnexpectedEof)));
        }
        #[expect(clippy::disallowed_methods, reason = "read_capped caps it")]
        let mut decoder = zstd::stream::read::Decoder::with_buffer(&*body).map_err(invalid)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(invalid)?;
        read_capped("zstd", decoder, max_bytes)
    } else {
        Err(Error::Unsupported { encoding: named.chars().take(64).collect() })
    }
}

/// Reads all of `decoder`, at most `max_bytes`.
fn read_capped(encoding: &'static str, mut decoder: impl Read, max_bytes: usize) -> Result<Bytes, Error> {
    let mut out = Vec::new();
    let mut filled = 0;
    loop {
        if filled == out.len() {
            if filled == max_bytes {
                // Full: the end must be here.
                return match read_some(encoding, &mut decoder, &mut [0])? {
                    0 => Ok(Bytes::from(out)),
                    _ => Err(Error::TooLarge { limit: max_bytes }),
                };
            }
            let grown = (2 * filled).max(FIRST_BYTES).min(max_bytes);
            out.reserve_exact(grown - filled);
            out.resize(grown, 0);
        }
        match read_some(encoding, &mut decoder, &mut out[filled..])? {
            0 => {
                out.truncate(filled);
                return Ok(Bytes::from(out));
            }
            count => filled += count,
        }
    }
}

fn read_some(encoding: &'static str, decoder: &mut impl Read, into: &mut [u8]) -> Result<usize, Error> {
    loop {
        match decoder.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.map_err(|source| Error::Invalid { encoding, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use loglake_model::ErrorKind;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(data, 1).unwrap()
    }

    fn kind(encoding: &str, body: &[u8], max_bytes: usize) -> ErrorKind {
        inflate(Some(encoding), Bytes::copy_from_slice(body), max_bytes).unwrap_err().kind()
    }

    fn sample() -> Vec<u8> {
        (0..50_000_u32).flat_map(|n| format!("line {}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    }

    #[test]
    fn bodies_come_back_also_in_several_pieces() {
        let data = sample();
        for encode in [gzip, zstd] {
            let encoding = if encode(b"") == gzip(b"") { "GZip" } else { "zstd" };
            let get = |body: &[u8]| inflate(Some(encoding), Bytes::copy_from_slice(body), 16 << 20).unwrap();
            assert_eq!(get(&encode(&data)), data);
            assert_eq!(get(&[encode(&data), encode(b""), encode(b"end")].concat()), [data.as_slice(), b"end"].concat());
            assert_eq!(get(&encode(b"")), b"".as_slice());
        }
        for plain in [None, Some(""), Some("identity"), Some(" Identity ")] {
            assert_eq!(inflate(plain, Bytes::from(data.clone()), data.len()).unwrap(), data);
        }
    }

    #[test]
    fn the_cap_is_exact() {
        let data = sample();
        for (encoding, body) in [("gzip", gzip(&data)), ("zstd", zstd(&data)), ("identity", data.clone())] {
            let body = Bytes::from(body);
            assert_eq!(inflate(Some(encoding), body.clone(), data.len()).unwrap(), data, "{encoding}");
            let error = inflate(Some(encoding), body, data.len() - 1).unwrap_err();
            assert!(matches!(error, Error::TooLarge { limit } if limit == data.len() - 1), "{encoding}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; 32 << 20];
        assert_eq!(kind("gzip", &gzip(&zeros), 1 << 20), ErrorKind::TooLarge);
        assert_eq!(kind("zstd", &zstd(&zeros), 1 << 20), ErrorKind::TooLarge);
        // A frame that declares a window of 2 GiB and more.
        let mut wide = b"\x28\xb5\x2f\xfd\x00\xa8".to_vec();
        wide.extend_from_slice(&[0x01, 0, 0]);
        assert_eq!(kind("zstd", &wide, 1 << 20), ErrorKind::Invalid);
    }

    #[test]
    fn damaged_cut_and_foreign_bodies_are_invalid() {
        let data = sample();
        for (encoding, body) in [("gzip", gzip(&data)), ("zstd", zstd(&data))] {
            for len in [0, 1, 5, body.len() / 2, body.len() - 1] {
                assert_eq!(kind(encoding, &body[..len], 16 << 20), ErrorKind::Invalid, "{encoding} {len}");
            }
            assert_eq!(kind(encoding, b"{\"message\":\"plain\"}", 100), ErrorKind::Invalid);
            assert_eq!(kind(encoding, &[body.as_slice(), b"and more"].concat(), 16 << 20), ErrorKind::Invalid);
        }
        let mut body = gzip(&data);
        let last = body.len() - 6;
        body[last] ^= 1;
        assert_eq!(kind("gzip", &body, 16 << 20), ErrorKind::Invalid);
    }

    #[test]
    fn other_encodings_are_unsupported() {
        for encoding in ["br", "deflate", "gzip, gzip", "gzip;q=1", &"x".repeat(10_000)] {
            let error = inflate(Some(encoding), Bytes::new(), 10).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().len() < 200);
        }
    }
}
