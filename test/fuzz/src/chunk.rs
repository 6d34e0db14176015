//! Chunks: no damage, not even under right checksums, makes other rows out of those that were written.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use loglake_chunk::{ChunkBuilder, ChunkHead, Footer, MAX_FOOTER_BYTES, MAX_RAW_BLOCK_BYTES, Probe, Source};
use loglake_chunk::{decode_block, encode_block};
use loglake_model::{Level, RecordId, Service, TenantName, Window, line};

use crate::edit::Edits;
use crate::memory;

const START_NS: i64 = 1_699_999_200_000_000_000;
const WINDOW: Window = Window { start_ns: START_NS, length_ns: Window::HOUR_NS };
/// The bytes of the locator that its checksum covers; the payload begins 16 bytes into the member.
const CHECKED_BYTES: usize = 80;

/// A chunk to build and then to damage.
#[derive(Arbitrary, Debug)]
struct Plan {
    blocks: Vec<Vec<Record>>,
    inputs: Option<Vec<String>>,
    damage: Damage,
    needle: String,
}

#[derive(Arbitrary, Debug)]
enum Damage {
    /// Anywhere; nobody mends a checksum.
    Anywhere(Edits),
    /// In the locator, with its checksum put right.
    Locator(Edits),
    /// In a section's members, with the checksums above put right.
    Section { section: u8, edits: Vec<(u16, u8)> },
}

#[derive(Arbitrary, Debug)]
struct Record {
    later_ns: u32,
    level: u8,
    message: String,
    trace_id: Option<[u8; 4]>,
}

/// Takes an input.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => drop(read(&Bytes::copy_from_slice(bytes))),
        Some((_, rest)) => {
            if let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(rest)) {
                plan.run();
            }
        }
        None => {}
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let record = |n: u8, trace_id| Record {
        later_ns: u32::from(n) * 1_000,
        level: n,
        message: format!("GET /api/v1/orders/{n} 200 \"quoted\""),
        trace_id,
    };
    let plan = |blocks, inputs| Plan {
        blocks,
        inputs,
        damage: Damage::Anywhere(Edits::default()),
        needle: "orders".to_owned(),
    };
    let many = |count: u8| (0..count).map(|n| record(n, (n % 2 == 0).then_some([n; 4]))).collect::<Vec<_>>();
    [
        plan(vec![many(1)], None),
        plan(vec![many(20), many(5), many(1)], None),
        plan(vec![many(3), many(3)], Some(vec!["data/a".to_owned(), "data/b".to_owned()])),
    ]
    .iter()
    .filter_map(Plan::build)
    .map(|(bytes, _)| [&[0], &bytes[..]].concat())
    .collect()
}

impl Plan {
    fn source(&self) -> Source {
        match &self.inputs {
            None => Source::Log { incarnation: 1, partition: 2, lowest_offset: 3, highest_offset: 4 },
            Some(inputs) => Source::Job { inputs: inputs.clone() },
        }
    }

    /// The chunk and the lines of each of its blocks; `None` when it has none.
    fn build(&self) -> Option<(Bytes, Vec<Vec<u8>>)> {
        let mut at_ns = START_NS;
        let mut index = 0;
        let mut blocks = Vec::new();
        for records in self.blocks.iter().filter(|records| !records.is_empty()).take(8) {
            let mut lines = Vec::new();
            for record in records {
                at_ns += i64::from(record.later_ns);
                if !WINDOW.contains(at_ns) {
                    break;
                }
                record.append(at_ns, index, &mut lines);
                index += 1;
            }
            if !lines.is_empty() {
                blocks.push(lines);
            }
        }
        let bytes = assemble(&blocks, head(), self.source())?;
        Some((bytes, blocks))
    }

    fn run(&self) {
        let Some((chunk, lines)) = self.build() else { return };
        assert_eq!(read(&chunk).as_ref(), Some(&lines), "what was written comes back");
        self.search(&chunk, &lines);
        let Some(damaged) = self.damaged(&chunk) else { return };
        if let Some(other) = read(&damaged) {
            assert_eq!(other, lines, "other rows");
        }
    }

    /// A filter may err on one side only.
    fn search(&self, chunk: &Bytes, lines: &[Vec<u8>]) {
        let footer = Footer::of_chunk(chunk).expect("what was written can be read");
        let probe = Probe::new(&[self.needle.as_bytes()], None);
        let records: Vec<&Record> = self.blocks.iter().flatten().collect();
        let mut at = 0;
        for (block, lines) in lines.iter().enumerate() {
            let count = lines.iter().filter(|byte| **byte == b'\n').count();
            // Records past the window's end were left out, and with them the rest of their block: the message decides.
            for record in &records {
                let escaped = line::escaped(&record.message);
                let is_here = lines.windows(escaped.len().max(1)).any(|window| window == escaped);
                if is_here && record.message.contains(&self.needle) && escaped.len() > 8 {
                    assert!(footer.block_may_match(block, &probe) && footer.may_match(&probe), "a needle was denied");
                }
            }
            at += count;
        }
        assert_eq!(footer.totals().records, at as u64);
    }

    fn damaged(&self, chunk: &Bytes) -> Option<Bytes> {
        let mut bytes = chunk.to_vec();
        match &self.damage {
            Damage::Anywhere(edits) => edits.apply(&mut bytes),
            Damage::Locator(edits) => {
                let from = bytes.len() - Footer::LOCATOR_BYTES + 16;
                let mut payload = bytes[from..from + CHECKED_BYTES].to_vec();
                edits.apply(&mut payload);
                payload.resize(CHECKED_BYTES, 0);
                bytes[from..from + CHECKED_BYTES].copy_from_slice(&payload);
                mend_locator(&mut bytes);
            }
            Damage::Section { section, edits } => {
                let section = usize::from(section % 3);
                let from = bytes.len() - Footer::LOCATOR_BYTES + 16;
                let entry = from + 20 + 20 * section;
                let offset = u64::from_le_bytes(bytes[entry..entry + 8].try_into().ok()?);
                let stored = u32::from_le_bytes(bytes[entry + 8..entry + 12].try_into().ok()?) as usize;
                let offset = usize::try_from(offset).ok()?;
                if stored == 0 {
                    return None;
                }
                for (at, byte) in edits {
                    bytes[offset + usize::from(*at) % stored] = *byte;
                }
                let checksum = crc32c::crc32c(&bytes[offset..offset + stored]);
                bytes[entry + 16..entry + 20].copy_from_slice(&checksum.to_le_bytes());
                mend_locator(&mut bytes);
            }
        }
        Some(Bytes::from(bytes))
    }
}

fn mend_locator(bytes: &mut [u8]) {
    let from = bytes.len() - Footer::LOCATOR_BYTES + 16;
    let checksum = crc32c::crc32c(&bytes[from..from + CHECKED_BYTES]);
    bytes[from + CHECKED_BYTES..from + CHECKED_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
}

impl Record {
    fn append(&self, at_ns: i64, index: u32, out: &mut Vec<u8>) {
        let mut line = Vec::new();
        line::begin(&mut line, at_ns, Level::from_slot(usize::from(self.level % 7)), "api");
        line::text_field(&mut line, "message", &self.message);
        if let Some(trace_id) = self.trace_id {
            let text: String = trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
            line::text_field(&mut line, "trace_id", &text);
        }
        line.push(b'}');
        line::append_with_id(out, &line, RecordId { incarnation: 1, partition: 2, offset: 3, index });
        out.push(b'\n');
    }
}

fn head() -> ChunkHead {
    ChunkHead {
        tenant: TenantName::parse("acme").expect("a name"),
        service: Service::parse("api").expect("a name"),
        window: WINDOW,
    }
}

/// A chunk of blocks of lines; `None` when it would break a limit.
fn assemble(blocks: &[Vec<u8>], head: ChunkHead, source: Source) -> Option<Bytes> {
    let window = head.window;
    let mut builder = ChunkBuilder::new(head, source);
    for lines in blocks {
        builder.push(encode_block(lines, window).ok()?);
    }
    Some(builder.finish().ok()?.bytes)
}

/// All lines of a chunk as a query reads them; `None` when it is damaged.
fn read(bytes: &Bytes) -> Option<Vec<Vec<u8>>> {
    let most = (64 * bytes.len()).min(4 * MAX_FOOTER_BYTES) + (1 << 20);
    let footer = memory::at_most(most, || Footer::of_chunk(bytes)).ok()?;
    let mut blocks = Vec::new();
    for row in footer.blocks() {
        let member = bytes.get(usize::try_from(row.offset).ok()?..)?.get(..row.length as usize)?;
        let most = (row.raw_length as usize).min(MAX_RAW_BLOCK_BYTES) + (1 << 20);
        blocks.push(memory::at_most(most, || decode_block(row, member)).ok()?);
    }
    let records: u64 = footer.blocks().iter().map(|row| u64::from(row.records)).sum();
    assert_eq!(records, footer.totals().records, "whatever is said twice agrees");
    Some(blocks)
}
