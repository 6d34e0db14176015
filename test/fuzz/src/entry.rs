//! Entries of a chain: what is decoded has one stored form.

use arbitrary::{Arbitrary, Unstructured};
use loglake_commit::{ENTRY_VERSION, Entry, Gap, QuarantineRef};
use loglake_index::SessionChange;
use loglake_model::{ChunkMeta, Level, Service, TenantName, Window};

use crate::edit::Edits;
use crate::memory;
use crate::seal::reseal;

/// An entry to build and then to damage.
#[derive(Arbitrary, Debug)]
struct Plan {
    seq: u64,
    start: u64,
    covers: u32,
    adds: Vec<Chunk>,
    removes: Vec<Chunk>,
    nonce: String,
    writer: String,
    leader_epoch: Option<i32>,
    sessions: Vec<(String, Option<String>)>,
    quarantine: Option<(String, u64, u32, Vec<u64>)>,
    gap: Option<(u64, u64, i64, String)>,
    edits: Edits,
}

#[derive(Arbitrary, Debug)]
struct Chunk {
    key: String,
    numbers: [u64; 4],
    offsets: (u64, u64),
    checksum: u32,
    min_ns: i64,
    max_ns: i64,
    levels: [u64; Level::COUNTED],
    service: u8,
}

/// Takes an input.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => read(bytes),
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
    let chunk = |min_ns| Chunk {
        key: "data/tenant=t/service=s/date=2023-11-14/hour=22/0-0-1-n.ndjson.gz".to_owned(),
        numbers: [100, 50, 3, 300],
        offsets: (1, 4),
        checksum: 7,
        min_ns,
        max_ns: min_ns + 5,
        levels: [1; Level::COUNTED],
        service: 1,
    };
    let plan = |adds, removes| Plan {
        seq: 3,
        start: 10,
        covers: 5,
        adds,
        removes,
        nonce: "00ff".to_owned(),
        writer: "processor \"p\"".to_owned(),
        leader_epoch: Some(4),
        sessions: vec![("ab".to_owned(), Some("{}".to_owned())), ("cd".to_owned(), None)],
        quarantine: Some(("quarantine/x".to_owned(), 5, 6, vec![11, 12])),
        gap: Some((1, 2, 3, "given up".to_owned())),
        edits: Edits::default(),
    };
    [plan(vec![], vec![]), plan(vec![chunk(0), chunk(1_700_000_000_000_000_000)], vec![chunk(9)])]
        .iter()
        .map(|plan| [&[0], &plan.entry().encode().expect("a small entry")[..]].concat())
        .collect()
}

impl Chunk {
    fn meta(&self) -> ChunkMeta {
        let [length, footer_offset, records, bytes] = self.numbers;
        ChunkMeta {
            key: self.key.clone(),
            length,
            footer_offset,
            checksum: self.checksum,
            tenant: TenantName::parse("acme").expect("a name"),
            service: Service::parse(&format!("api/{}", self.service)).expect("a name"),
            window: Window::holding(self.min_ns.clamp(0, i64::MAX / 2), Window::HOUR_NS),
            min_ns: self.min_ns,
            max_ns: self.max_ns,
            records,
            bytes,
            levels: self.levels,
            lowest_offset: self.offsets.0,
            highest_offset: self.offsets.1,
        }
    }
}

impl Plan {
    fn entry(&self) -> Entry {
        Entry {
            version: ENTRY_VERSION,
            seq: self.seq,
            start: self.start,
            next: self.start.saturating_add(u64::from(self.covers)),
            adds: self.adds.iter().map(Chunk::meta).collect(),
            removes: self.removes.iter().map(Chunk::meta).collect(),
            nonce: self.nonce.clone(),
            writer: self.writer.clone(),
            leader_epoch: self.leader_epoch,
            sessions: self
                .sessions
                .iter()
                .map(|(session, state)| SessionChange { session: session.clone(), state: state.clone() })
                .collect(),
            quarantine: self.quarantine.clone().map(|(key, length, checksum, offsets)| QuarantineRef {
                key,
                length,
                checksum,
                offsets,
            }),
            gap: self.gap.clone().map(|(from, to, at_ns, reason)| Gap { from, to, at_ns, reason }),
            previous_hash: String::new(),
        }
    }

    fn run(&self) {
        let entry = self.entry();
        let mut bytes = entry.encode().expect("a small entry");
        assert_eq!(Entry::decode("key", self.seq, &bytes).expect("what was written can be read"), entry);
        self.edits.apply(&mut bytes);
        read(&bytes);
        read(&reseal(&bytes));
    }
}

/// The number that stored bytes say they have.
fn seq_of(bytes: &[u8]) -> u64 {
    let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    value.and_then(|value| value.get("seq")?.as_u64()).unwrap_or(1)
}

fn read(bytes: &[u8]) {
    let seq = seq_of(bytes);
    // A number in JSON may be as short as two bytes, a chunk as long as a few hundred; the parser keeps no more than both.
    let most = 256 * bytes.len() + (64 << 10);
    let Ok(entry) = memory::at_most(most, || Entry::decode("key", seq, bytes)) else { return };
    assert!(entry.next >= entry.start && entry.seq == seq);
    let stored = entry.encode().expect("an entry that was read can be written");
    let again = Entry::decode("key", seq, &stored).expect("what was written can be read");
    assert_eq!(again, entry);
    assert_eq!(again.encode().expect("it was written before"), stored);
    let other = seq ^ 1;
    assert!(Entry::decode("key", other, bytes).is_err(), "an entry stands at its own number only");
}
