//! The directory: what a chunk is, and where its blocks and their filters are.

use std::ops::Range;

use loglake_model::{LevelCounts, Service, TenantName, Window};

use crate::cursor::Cursor;
use crate::head::is_sound;
use crate::profile::TimeProfile;
use crate::{
    BlockRow, ChunkHead, MAX_BLOCKS, MAX_INPUT_BYTES, MAX_JOB_INPUTS, MAX_RAW_BLOCK_BYTES, MAX_STORED_BLOCK_BYTES,
    Source, Totals,
};

/// Bytes of a block's row.
const ROW_BYTES: usize = 76;
const LOG: u8 = 0;
const JOB: u8 = 1;

/// The directory as it is written and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) head: ChunkHead,
    pub(crate) source: Source,
    pub(crate) totals: Totals,
    pub(crate) rows: Vec<BlockRow>,
    /// Where in the section of block filters each block's filter is.
    pub(crate) filters: Vec<Range<u32>>,
    pub(crate) profile: TimeProfile,
}

impl Directory {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.rows.len() * ROW_BYTES);
        for name in [self.head.tenant.as_str(), self.head.service.as_str()] {
            // Both are at most 128 bytes by their types.
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
        }
        out.extend_from_slice(&self.head.window.start_ns.to_le_bytes());
        out.extend_from_slice(&self.head.window.length_ns.to_le_bytes());
        match &self.source {
            Source::Log { incarnation, partition, lowest_offset, highest_offset } => {
                out.push(LOG);
                out.extend_from_slice(&incarnation.to_le_bytes());
                out.extend_from_slice(&partition.to_le_bytes());
                out.extend_from_slice(&lowest_offset.to_le_bytes());
                out.extend_from_slice(&highest_offset.to_le_bytes());
            }
            Source::Job { inputs } => {
                out.push(JOB);
                out.extend_from_slice(&(inputs.len() as u32).to_le_bytes());
                for input in inputs {
                    out.extend_from_slice(&(input.len() as u16).to_le_bytes());
                    out.extend_from_slice(input.as_bytes());
                }
            }
        }
        let totals = &self.totals;
        out.extend_from_slice(&totals.records.to_le_bytes());
        out.extend_from_slice(&totals.raw_bytes.to_le_bytes());
        out.extend_from_slice(&totals.min_ns.to_le_bytes());
        out.extend_from_slice(&totals.max_ns.to_le_bytes());
        totals.levels.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
        out.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        for (row, filter) in self.rows.iter().zip(&self.filters) {
            out.extend_from_slice(&row.offset.to_le_bytes());
            out.extend_from_slice(&row.length.to_le_bytes());
            out.extend_from_slice(&row.raw_length.to_le_bytes());
            out.extend_from_slice(&row.records.to_le_bytes());
            out.extend_from_slice(&row.min_ns.to_le_bytes());
            out.extend_from_slice(&row.max_ns.to_le_bytes());
            row.levels.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
            out.extend_from_slice(&row.checksum.to_le_bytes());
            out.extend_from_slice(&filter.start.to_le_bytes());
            out.extend_from_slice(&(filter.end - filter.start).to_le_bytes());
        }
        self.profile.encode(&mut out);
        out
    }

    /// Reads what [`Directory::encode`] wrote. Blocks must fill `[0, footer_offset)` without a gap, and everything that is said
    /// twice must agree.
    pub(crate) fn decode(bytes: &[u8], footer_offset: u64) -> Result<Self, &'static str> {
        let mut cursor = Cursor(bytes);
        let (head, source, totals) = preamble(&mut cursor).ok_or("the head of the directory is broken")?;
        let count = cursor.u32().map_or(0, |count| count as usize);
        if count == 0 || count > MAX_BLOCKS || count * ROW_BYTES > cursor.0.len() {
            return Err("the directory has an impossible count of blocks");
        }
        let mut rows = Vec::with_capacity(count);
        let mut filters = Vec::with_capacity(count);
        for _ in 0..count {
            let (row, filter) = row(&mut cursor).ok_or("a row of the directory is broken")?;
            rows.push(row);
            filters.push(filter);
        }
        let profile = TimeProfile::decode(head.window, &mut cursor).ok_or("the time profile is broken")?;
        if !cursor.0.is_empty() {
            return Err("the directory has more bytes than it should");
        }
        let sum = Totals::of(&rows).ok_or("a row of the directory is impossible")?;
        let end = rows.iter().try_fold(0, |at, row| (row.offset == at).then(|| at + u64::from(row.length)));
        let inside = head.window.contains(totals.min_ns) && head.window.contains(totals.max_ns);
        if sum != totals || end != Some(footer_offset) || profile.totals() != Some(totals.levels) || !inside {
            return Err("the parts of the directory do not agree");
        }
        Ok(Self { head, source, totals, rows, filters, profile })
    }
}

fn preamble(cursor: &mut Cursor<'_>) -> Option<(ChunkHead, Source, Totals)> {
    let length = cursor.u8()?;
    let tenant = TenantName::parse(cursor.text(usize::from(length))?).ok()?;
    let length = cursor.u8()?;
    let service = Service::parse(cursor.text(usize::from(length))?).ok()?;
    let window = Window { start_ns: cursor.i64()?, length_ns: cursor.i64()? };
    if !is_sound(window) {
        return None;
    }
    let source = match cursor.u8()? {
        LOG => Source::Log {
            incarnation: cursor.u32()?,
            partition: cursor.u32()?,
            lowest_offset: cursor.u64()?,
            highest_offset: cursor.u64()?,
        },
        JOB => {
            let count = cursor.u32()? as usize;
            if count > MAX_JOB_INPUTS {
                return None;
            }
            let mut inputs = Vec::with_capacity(count);
            for _ in 0..count {
                let length = usize::from(cursor.u16()?);
                inputs.push(cursor.text(length).filter(|_| length <= MAX_INPUT_BYTES)?.to_owned());
            }
            Source::Job { inputs }
        }
        _ => return None,
    };
    let (records, raw_bytes, min_ns, max_ns) = (cursor.u64()?, cursor.u64()?, cursor.i64()?, cursor.i64()?);
    let mut levels = LevelCounts::default();
    for count in &mut levels {
        *count = cursor.u64()?;
    }
    Some((ChunkHead { tenant, service, window }, source, Totals { records, raw_bytes, min_ns, max_ns, levels }))
}

fn row(cursor: &mut Cursor<'_>) -> Option<(BlockRow, Range<u32>)> {
    let mut row = BlockRow {
        offset: cursor.u64()?,
        length: cursor.u32()?,
        raw_length: cursor.u32()?,
        records: cursor.u32()?,
        min_ns: cursor.i64()?,
        max_ns: cursor.i64()?,
        levels: Default::default(),
        checksum: 0,
    };
    for count in &mut row.levels {
        *count = cursor.u32()?;
    }
    row.checksum = cursor.u32()?;
    let (start, length) = (cursor.u32()?, cursor.u32()?);
    let levels: u64 = row.levels.iter().map(|count| u64::from(*count)).sum();
    let possible = row.records > 0
        && (1..=MAX_STORED_BLOCK_BYTES).contains(&(row.length as usize))
        && row.raw_length as usize <= MAX_RAW_BLOCK_BYTES
        && row.min_ns <= row.max_ns
        && levels == u64::from(row.records);
    possible.then_some((row, start..start.checked_add(length)?))
}
