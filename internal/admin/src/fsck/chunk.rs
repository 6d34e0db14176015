//! One live chunk against what the chain says of it.

use loglake_chunk::{BlockRow, Footer, MAX_FOOTER_BYTES, Source, decode_block};
use loglake_commit::chunk_origin;
use loglake_model::{ChunkMeta, ErrorKind};
use loglake_store::ObjectStore;

use super::ids::RecordSet;
use super::lines::{Counted, Expected};
use super::{Code, Finding};
use crate::{Error, Lake};

/// Stored bytes of blocks read at a time.
const READ_BYTES: u64 = 8 << 20;

/// A chunk as it was found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) findings: Vec<Finding>,
    /// Its records; only when every byte was read.
    pub(crate) ids: RecordSet,
    pub(crate) read_bytes: u64,
}

/// Reads the footer of `meta`'s object, with `is_deep` all of it, and compares.
pub(crate) async fn check(
    lake: &Lake,
    meta: &ChunkMeta,
    incarnation: u32,
    partition: u32,
    is_deep: bool,
) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    let found = checked_into(lake.store.as_ref(), meta, incarnation, partition, is_deep, &mut checked).await?;
    if let Err((code, what)) = found {
        checked.findings.push(Finding::new(code, &meta.key, what));
    }
    for finding in &mut checked.findings {
        (finding.incarnation, finding.partition) = (Some(incarnation), Some(partition));
    }
    Ok(checked)
}

type Verdict<T> = Result<T, (Code, String)>;

async fn checked_into(
    store: &dyn ObjectStore,
    meta: &ChunkMeta,
    incarnation: u32,
    partition: u32,
    is_deep: bool,
    checked: &mut Checked,
) -> Result<Verdict<()>, Error> {
    let differs = |what: String| Ok(Err((Code::ChunkDiffers, what)));
    let folder = meta.window.folder(&meta.tenant, &meta.service);
    let is_there = meta.key.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/'));
    if !is_there || chunk_origin(&meta.key).is_none_or(|of| (of.incarnation, of.partition) != (incarnation, partition))
    {
        return differs("Its key is not the one of its tenant, service, window and partition.".to_owned());
    }
    let footer_bytes = meta.length.checked_sub(meta.footer_offset);
    if footer_bytes.is_none_or(|bytes| bytes > MAX_FOOTER_BYTES as u64) {
        return differs(format!("Its footer cannot begin at {} of {} bytes.", meta.footer_offset, meta.length));
    }
    let bytes = match read(store, meta, meta.footer_offset, meta.length).await? {
        Ok(bytes) => bytes,
        Err(verdict) => return Ok(Err(verdict)),
    };
    checked.read_bytes += bytes.len() as u64;
    let footer_bytes = bytes.clone();
    let footer = match Footer::parse(&bytes, meta.footer_offset, meta.length) {
        Ok(footer) => footer,
        Err(loglake_chunk::Error::Unsupported { version }) => {
            return Ok(Err((Code::Newer, format!("It has format version {version}, newer than this program."))));
        }
        Err(error) => return Ok(Err((Code::ChunkDamaged, format!("Its footer cannot be read: {error}.")))),
    };
    if let Some(what) = disagreement(meta, &footer, incarnation, partition) {
        return differs(what);
    }
    if !is_deep {
        return Ok(Ok(()));
    }

    let (mut counted, mut checksum) = (Counted::default(), 0);
    let expected = Expected::new(meta, incarnation, partition);
    let mut rows = footer.blocks();
    let mut number = 0;
    while !rows.is_empty() {
        let (batch, rest) = rows.split_at(batch(rows));
        let from = batch[0].offset;
        let to = batch.last().map_or(from, |row| row.offset + u64::from(row.length));
        let bytes = match read(store, meta, from, to).await? {
            Ok(bytes) => bytes,
            Err(verdict) => return Ok(Err(verdict)),
        };
        checked.read_bytes += bytes.len() as u64;
        checksum = crc32c::crc32c_append(checksum, &bytes);
        let (rows_here, expected_here) = (batch.to_vec(), expected.clone());
        let counting = tokio::task::spawn_blocking(move || {
            for (at, row) in rows_here.iter().enumerate() {
                let start = (row.offset - from) as usize;
                let lines = decode_block(row, &bytes[start..start + row.length as usize])?;
                counted.block(&expected_here, number + at, row, &lines);
            }
            Ok::<_, loglake_chunk::Error>(counted)
        });
        counted = match counting.await? {
            Ok(counted) => counted,
            Err(error) => return Ok(Err((Code::ChunkDamaged, format!("A block cannot be read: {error}.")))),
        };
        number += batch.len();
        rows = rest;
    }
    checksum = crc32c::crc32c_append(checksum, &footer_bytes);
    checked.findings.extend(verdicts(meta, checksum, &counted));
    checked.ids = counted.ids;
    Ok(Ok(()))
}

/// How many of `rows`, at least one, are read at once.
fn batch(rows: &[BlockRow]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&BlockRow| {
        bytes += u64::from(row.length);
        bytes <= READ_BYTES
    };
    rows.iter().take_while(fits).count().max(1)
}

async fn read(store: &dyn ObjectStore, meta: &ChunkMeta, from: u64, to: u64) -> Result<Verdict<bytes::Bytes>, Error> {
    match store.get_range(&meta.key, from..to).await {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!(
                "The chain names this chunk, but it is not in the bucket: its {} records are not found.",
                meta.records
            );
            Ok(Err((Code::ChunkMissing, what)))
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Err((
            Code::ChunkLength,
            format!("It ends before byte {to}; the chain says that it has {}.", meta.length),
        ))),
        Err(error) => Err(error.into()),
    }
}

/// What the footer says otherwise than the chain.
fn disagreement(meta: &ChunkMeta, footer: &Footer, incarnation: u32, partition: u32) -> Option<String> {
    let (head, totals) = (footer.head(), footer.totals());
    let says = |field: &str, chunk: &dyn std::fmt::Display, chain: &dyn std::fmt::Display| {
        Some(format!("The chunk says {field} {chunk}, the chain {chain}."))
    };
    if head.tenant != meta.tenant {
        return says("tenant", &head.tenant, &meta.tenant);
    }
    if head.service != meta.service {
        return says("service", &head.service.as_str(), &meta.service.as_str());
    }
    if head.window != meta.window {
        return says("window", &head.window.start_ns, &meta.window.start_ns);
    }
    let numbers = [
        ("records", i128::from(totals.records), i128::from(meta.records)),
        ("bytes of lines", i128::from(totals.raw_bytes), i128::from(meta.bytes)),
        ("earliest time", i128::from(totals.min_ns), i128::from(meta.min_ns)),
        ("latest time", i128::from(totals.max_ns), i128::from(meta.max_ns)),
    ];
    for (field, chunk, chain) in numbers {
        if chunk != chain {
            return says(field, &chunk, &chain);
        }
    }
    if totals.levels != meta.levels {
        return Some("The chunk counts other levels than the chain.".to_owned());
    }
    if let Source::Log { incarnation: k, partition: p, lowest_offset, highest_offset } = footer.source() {
        let chunk = (*k, *p, *lowest_offset, *highest_offset);
        let chain = (incarnation, partition, meta.lowest_offset, meta.highest_offset);
        if chunk != chain {
            return Some(format!("The chunk is of (life, partition, offsets) {chunk:?}, the chain says {chain:?}."));
        }
    }
    None
}

/// What reading every line showed.
fn verdicts(meta: &ChunkMeta, checksum: u32, counted: &Counted) -> Vec<Finding> {
    let mut found = Vec::new();
    if checksum != meta.checksum {
        let what = format!("Its checksum is {checksum:08x}, the chain says {:08x}.", meta.checksum);
        found.push(Finding::new(Code::ChunkDamaged, &meta.key, what));
    }
    if counted.wrong_count > 0 {
        let what = format!("{} line(s) do not belong here: {}.", counted.wrong_count, counted.wrong.join("; "));
        found.push(Finding::new(Code::WrongLine, &meta.key, what));
    }
    let is_as_said = (counted.records, counted.raw_bytes, counted.levels) == (meta.records, meta.bytes, meta.levels)
        && (counted.min_ns, counted.max_ns) == (meta.min_ns, meta.max_ns);
    let offsets = counted.ids.offsets();
    if counted.wrong_count == 0 && (!is_as_said || offsets != Some((meta.lowest_offset, meta.highest_offset))) {
        let what = format!(
            "Its lines are {} records of offsets {offsets:?}; the chain says {} of {} to {}, or other times or levels.",
            counted.records, meta.records, meta.lowest_offset, meta.highest_offset
        );
        found.push(Finding::new(Code::ChunkDiffers, &meta.key, what));
    }
    found
}
