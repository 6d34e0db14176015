use libdeflater::{CompressionLvl, Compressor};

use crate::Error;

/// Compresses blocks into raw deflate streams (RFC 1951). What it writes must inflate to what it was given; the same input
/// must give the same output on the same machine.
pub trait Codec {
    /// The most bytes that [`Codec::deflate`] writes for `raw_bytes` of lines.
    fn bound(&mut self, raw_bytes: usize) -> usize;

    /// Writes the deflate stream of `lines` to the beginning of `out` and returns its length. `out` has at least
    /// [`Codec::bound`] bytes, with anything in them.
    ///
    /// # Errors
    /// [`Error::Compression`] if the library fails.
    fn deflate(&mut self, lines: &[u8], out: &mut [u8]) -> Result<usize, Error>;
}

/// The libdeflate library.
pub struct Libdeflate(Compressor);

impl Libdeflate {
    /// Level 1: for what was just taken in.
    #[must_use]
    pub fn hot() -> Self {
        Self::level(1)
    }

    /// Level 6: for what is rewritten once and kept. Higher levels do worse on logs.
    #[must_use]
    pub fn compacted() -> Self {
        Self::level(6)
    }

    fn level(level: i32) -> Self {
        // 0 to 12 are levels.
        Self(Compressor::new(CompressionLvl::new(level).unwrap_or_default()))
    }
}

impl std::fmt::Debug for Libdeflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Libdeflate").finish_non_exhaustive()
    }
}

impl Codec for Libdeflate {
    fn bound(&mut self, raw_bytes: usize) -> usize {
        self.0.deflate_compress_bound(raw_bytes)
    }

    fn deflate(&mut self, lines: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        self.0.deflate_compress(lines, out).map_err(|_| Error::Compression)
    }
}
