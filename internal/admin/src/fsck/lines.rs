//! Every line of a chunk, looked at as if nobody had checked it before.

use loglake_chunk::BlockRow;
use loglake_model::{ChunkMeta, Level, LevelCounts, RecordId, line};

use super::ids::{MAX_INDEX, RecordSet};

/// What the lines of a chunk really are.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) records: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    pub(crate) levels: LevelCounts,
    pub(crate) ids: RecordSet,
    /// The first lines that do not belong here, and how many there are.
    pub(crate) wrong: Vec<String>,
    pub(crate) wrong_count: u64,
}

/// Wrong lines that are described; the rest is counted.
const SHOWN: usize = 3;

/// What a chunk's lines must be like.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) chunk: ChunkMeta,
    pub(crate) incarnation: u32,
    pub(crate) partition: u32,
    /// How every line goes on after its level: the service's value with its closing quote.
    service: Vec<u8>,
}

impl Expected {
    pub(crate) fn new(chunk: &ChunkMeta, incarnation: u32, partition: u32) -> Self {
        let mut service = line::escaped(chunk.service.as_str());
        service.push(b'"');
        Self { chunk: chunk.clone(), incarnation, partition, service }
    }
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            records: 0,
            raw_bytes: 0,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
            levels: LevelCounts::default(),
            ids: RecordSet::default(),
            wrong: Vec::new(),
            wrong_count: 0,
        }
    }
}

impl Counted {
    /// Counts the lines of one block.
    pub(crate) fn block(&mut self, expected: &Expected, number: usize, row: &BlockRow, lines: &[u8]) {
        let (mut records, mut levels) = (0_u32, [0_u32; Level::COUNTED]);
        let (mut min_ns, mut max_ns) = (i64::MAX, i64::MIN);
        let mut last = None;
        if lines.last().is_some_and(|byte| *byte != b'\n') {
            self.wrong(format!("block {number}: the last line does not end"));
        }
        for (at, text) in lines.split(|byte| *byte == b'\n').enumerate() {
            if text.is_empty() && at > 0 && records as usize == at {
                // After the last line feed.
                continue;
            }
            records += 1;
            let level = line::level_of(text);
            levels[Level::slot(level)] += 1;
            if let Some(at_ns) = line::timestamp_of(text) {
                (min_ns, max_ns) = (min_ns.min(at_ns), max_ns.max(at_ns));
            }
            match self.line(expected, text) {
                Ok(position) => {
                    if last.is_some_and(|last| last >= position) {
                        self.wrong(format!("block {number}, line {}: out of order", at + 1));
                    }
                    last = Some(position);
                }
                Err(what) => self.wrong(format!("block {number}, line {}: {what}", at + 1)),
            }
        }
        if (records, levels) != (row.records, row.levels) || (min_ns, max_ns) != (row.min_ns, row.max_ns) {
            self.wrong(format!(
                "block {number}: its row says {} records, it has {records}, or other times or levels",
                row.records
            ));
        }
        self.records += u64::from(records);
        self.raw_bytes += lines.len() as u64;
        self.levels.iter_mut().zip(levels).for_each(|(sum, count)| *sum += u64::from(count));
        (self.min_ns, self.max_ns) = (self.min_ns.min(min_ns), self.max_ns.max(max_ns));
    }

    fn wrong(&mut self, what: String) {
        self.wrong_count += 1;
        if self.wrong.len() < SHOWN {
            self.wrong.push(what);
        }
    }

    fn line(&mut self, expected: &Expected, text: &[u8]) -> Result<(i64, RecordId), &'static str> {
        let at_ns = line::timestamp_of(text).ok_or("it is no record")?;
        if !expected.chunk.window.contains(at_ns) {
            return Err("its time is not in the chunk's window");
        }
        if !line::after_level(text).ok_or("it is no record")?.starts_with(&expected.service) {
            return Err("it is of another service");
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err() {
            return Err("it is not JSON");
        }
        let id = line::id_of(text).ok_or("it has no id")?;
        if (id.incarnation, id.partition) != (expected.incarnation, expected.partition) {
            return Err("its id is of another partition or life of the topic");
        }
        if id.index >= MAX_INDEX {
            return Err("its id is none that a message can have");
        }
        if !self.ids.add(id.offset, id.index) {
            return Err("the same record stands in this chunk before");
        }
        Ok((at_ns, id))
    }
}
