//! From messages to chunks: references to lines are gathered by (tenant, service, window), sorted by (timestamp, id), and
//! written into blocks in one go.

use std::collections::HashMap;
use std::sync::Arc;

use loglake_chunk::{ChunkBuilder, ChunkHead, FinishedChunk, Source, encode_block};
use loglake_model::{RecordId, Service, TenantName, Window, line};

use crate::Error;
use crate::held::Held;

/// A line in a message.
#[derive(Clone, Copy, Debug)]
struct LineRef {
    timestamp_ns: i64,
    /// Place of the message among those flushed: ascending with its offset.
    message: u32,
    /// Place of the record in its message.
    index: u32,
    /// The line in the message's payload.
    start: u32,
    end: u32,
}

/// The records of one chunk to be.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) head: ChunkHead,
    lines: Vec<LineRef>,
}

/// A chunk ready to be stored.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) head: ChunkHead,
    pub(crate) chunk: FinishedChunk,
    pub(crate) lowest_offset: u64,
    pub(crate) highest_offset: u64,
}

/// Gathers the records of `messages` by chunk. Messages that cannot be read are passed over: they go to quarantine.
pub(crate) fn gather(messages: &[Arc<Held>], window_ns: i64) -> Vec<Gathered> {
    let mut places = HashMap::<(TenantName, Service, i64), usize>::new();
    let mut chunks = Vec::<Gathered>::new();
    for (message, held) in (0_u32..).zip(messages) {
        let Ok(batch) = &held.batch else { continue };
        for group in batch.groups() {
            // Records mostly come in order: the window, and so the chunk, rarely changes within a group.
            let mut last: Option<(i64, usize)> = None;
            for record in group.records() {
                let window = Window::holding(record.timestamp_ns, window_ns);
                let place = match last {
                    Some((start_ns, place)) if start_ns == window.start_ns => place,
                    _ => {
                        let head =
                            ChunkHead { tenant: batch.tenant().clone(), service: group.service().clone(), window };
                        let key = (head.tenant.clone(), head.service.clone(), window.start_ns);
                        *places.entry(key).or_insert_with(|| {
                            chunks.push(Gathered { head, lines: Vec::new() });
                            chunks.len() - 1
                        })
                    }
                };
                last = Some((window.start_ns, place));
                let range = record.line_range();
                chunks[place].lines.push(LineRef {
                    timestamp_ns: record.timestamp_ns,
                    message,
                    index: record.index,
                    start: range.start,
                    end: range.end,
                });
            }
        }
    }
    chunks
}

/// Builds one chunk: sorts, renders ids, compresses. For a thread that may be busy for long.
pub(crate) fn build(
    gathered: Gathered,
    messages: &[Arc<Held>],
    incarnation: u32,
    partition: u32,
    block_bytes: usize,
) -> Result<Built, Error> {
    let Gathered { head, mut lines } = gathered;
    lines.sort_unstable_by_key(|line| (line.timestamp_ns, line.message, line.index));
    let offset_of = |line: &LineRef| messages[line.message as usize].offset();
    let lowest_offset = lines.iter().map(offset_of).min().unwrap_or_default();
    let highest_offset = lines.iter().map(offset_of).max().unwrap_or_default();
    let source = Source::Log { incarnation, partition, lowest_offset, highest_offset };
    let mut builder = ChunkBuilder::new(head.clone(), source);
    let mut block = Vec::with_capacity(block_bytes + block_bytes / 8);
    for reference in &lines {
        let held = &messages[reference.message as usize];
        let bytes = &held.message.payload[reference.start as usize..reference.end as usize];
        if !block.is_empty() && block.len() + bytes.len() + RecordId::MAX_TEXT_BYTES > block_bytes {
            builder.push(encode_block(&block, head.window)?);
            block.clear();
        }
        let id = RecordId { incarnation, partition, offset: held.offset(), index: reference.index };
        line::append_with_id(&mut block, bytes, id);
        block.push(b'\n');
    }
    if !block.is_empty() {
        builder.push(encode_block(&block, head.window)?);
    }
    Ok(Built { head, chunk: builder.finish()?, lowest_offset, highest_offset })
}
