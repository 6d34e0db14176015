//! What gzip alone costs: the measure that every cost is compared with, as machines of this kind differ by a factor of two from
//! hour to hour.

use std::collections::BTreeMap;

use anyhow::Context as _;
use libdeflater::{CompressionLvl, Compressor};
use loglake_agent::render_line;
use loglake_model::{RecordId, Window, line};
use rustix::time::{ClockId, clock_gettime};

use crate::corpus::{Corpus, records};

/// Lines are compressed in blocks of this size.
const BLOCK_BYTES: usize = 1 << 20;
const PARTITIONS: u32 = 4;

/// The lines that a corpus becomes, grouped as chunks are: by service and hour.
#[derive(Debug)]
pub struct Lines {
    groups: Vec<Vec<u8>>,
    records: u64,
}

/// What compressing them cost.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Floor {
    /// CPU of the compressor, microseconds a record.
    pub us_per_record: f64,
    /// Compressed bytes a record.
    pub bytes_per_record: f64,
}

impl Lines {
    /// Renders the lines of `corpus` as they stand in chunks, ids included.
    ///
    /// # Errors
    /// Never for a corpus that was made here.
    pub fn of(corpus: &Corpus) -> anyhow::Result<Self> {
        let mut groups: BTreeMap<(String, i64), Vec<u8>> = BTreeMap::new();
        let mut rendered = Vec::new();
        for (offset, batch) in (0_u64..).zip(&corpus.batches) {
            for (index, record) in (0_u32..).zip(records(batch)?) {
                rendered.clear();
                render_line(&mut rendered, &record);
                let at_ns = i64::try_from(record.timestamp_ns).context("an event time past 2262")?;
                let window = Window::holding(at_ns, Window::HOUR_NS);
                let partition = record.service.bytes().map(u32::from).sum::<u32>() % PARTITIONS;
                let group = groups.entry((record.service, window.start_ns)).or_default();
                let id = RecordId { incarnation: 1, partition, offset, index };
                line::append_with_id(group, rendered.strip_suffix(b"\n").unwrap_or(&rendered), id);
                group.push(b'\n');
            }
        }
        Ok(Self { groups: groups.into_values().collect(), records: corpus.settings.records })
    }

    /// How long a line is, in bytes, on average.
    #[must_use]
    pub fn bytes_per_record(&self) -> f64 {
        self.groups.iter().map(Vec::len).sum::<usize>() as f64 / self.records.max(1) as f64
    }

    /// Compresses all of them with libdeflate level 1 in blocks of 1 MiB, on this thread, and says what it cost.
    ///
    /// # Errors
    /// The compressor fails.
    pub fn measure(&self) -> anyhow::Result<Floor> {
        let mut compressor =
            Compressor::new(CompressionLvl::new(1).map_err(|_| anyhow::anyhow!("libdeflate has no level 1"))?);
        let mut out = vec![0; compressor.gzip_compress_bound(BLOCK_BYTES)];
        let mut compressed = 0;
        let before_ns = thread_cpu_ns();
        for group in &self.groups {
            for block in group.chunks(BLOCK_BYTES) {
                compressed += compressor.gzip_compress(block, &mut out).context("compressing a block")?;
            }
        }
        let cpu_ns = thread_cpu_ns() - before_ns;
        let records = self.records.max(1) as f64;
        Ok(Floor { us_per_record: cpu_ns as f64 / 1_000.0 / records, bytes_per_record: compressed as f64 / records })
    }
}

fn thread_cpu_ns() -> i64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
