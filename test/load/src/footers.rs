use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::Context as _;
use loglake_chunk::Footer;
use serde::Serialize;

/// How large the footers of chunks are.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Footers {
    /// Chunks that were looked at.
    pub chunks: usize,
    /// Bytes of a chunk, on average.
    pub chunk_bytes: f64,
    /// Bytes of a footer, on average.
    pub footer_bytes: f64,
}

/// Measures the footers of the chunks in `files`.
pub(crate) fn measure(files: &[PathBuf]) -> anyhow::Result<Footers> {
    let (mut all, mut footers) = (0, 0);
    for path in files {
        let reading = || format!("reading {}", path.display());
        let mut file = File::open(path).with_context(reading)?;
        let length = file.metadata().with_context(reading)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(Footer::LOCATOR_BYTES as u64))).with_context(reading)?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).with_context(reading)?;
        all += length;
        footers += length - Footer::offset_of(&tail, length).with_context(reading)?;
    }
    let chunks = files.len();
    let average = |sum: u64| sum as f64 / chunks.max(1) as f64;
    Ok(Footers { chunks, chunk_bytes: average(all), footer_bytes: average(footers) })
}
