use ::isal::{Codec as Format, CompressionLevel, compress_into};

use crate::{Codec, Error};

/// The ISA-L library at level 1: a third of what libdeflate costs, for some 2 % more bytes. Standard deflate.
///
/// On one machine the same input gives the same output; another kind of processor may find other matches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Isal;

/// The most bytes of lines that a stored block of deflate holds, and what its header takes.
const STORED_BYTES: usize = 65_535;
const STORED_HEADER_BYTES: usize = 5;

impl Codec for Isal {
    /// As long as it takes to store the lines as they are: where deflating would pass that, the library stores them.
    fn bound(&mut self, raw_bytes: usize) -> usize {
        raw_bytes + raw_bytes.div_ceil(STORED_BYTES).max(1) * STORED_HEADER_BYTES
    }

    fn deflate(&mut self, lines: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        compress_into(lines, out, CompressionLevel::One, Format::Deflate).map_err(|_| Error::Compression)
    }
}
