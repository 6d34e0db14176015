//! `LogBatch`: whatever is decoded is exactly what a builder writes.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use loglake_batch::{BatchBuilder, IdempotencyKey, LogBatch, Origin, SessionPart};
use loglake_model::{Level, Service, TenantName, line};

use crate::edit::Edits;
use crate::memory;

/// A message to build and then to damage.
#[derive(Arbitrary, Debug)]
struct Plan {
    tenant: u8,
    received_at_ns: u32,
    origin: u8,
    numbers: [u32; 6],
    records: Vec<Record>,
    edits: Edits,
    has_right_checksum: bool,
}

#[derive(Arbitrary, Debug)]
struct Record {
    service: u8,
    timestamp_ns: i64,
    level: u8,
    trace_id: String,
    message: String,
}

/// Takes an input.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => {
            read(bytes.to_vec());
            read(seal(bytes.to_vec()));
        }
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
    let record = |service, message: &str| Record {
        service,
        timestamp_ns: 1_700_000_000_000_000_000,
        level: service,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        message: message.to_owned(),
    };
    (0..3)
        .map(|origin| Plan {
            tenant: 3,
            received_at_ns: 7,
            origin,
            numbers: [1, 2, 3, 9, 4, 1],
            records: vec![record(0, "started"), record(1, "a \"quoted\" word"), record(0, "naïve\n")],
            edits: Edits::default(),
            has_right_checksum: true,
        })
        .filter_map(|plan| plan.build())
        .map(|bytes| [&[0], &bytes[..]].concat())
        .collect()
}

impl Plan {
    fn origin(&self) -> Origin {
        let [a, b, c, d, part, parts] = self.numbers;
        let parts = parts.max(1);
        match self.origin % 3 {
            0 => Origin::None,
            1 => Origin::Session(SessionPart {
                id: [a as u8; 16],
                opened_at_ns: i64::from(a),
                partitions: b.max(1),
                number: u64::from(c.max(d)),
                oldest_unacknowledged: u64::from(c.min(d)),
                part: part % parts,
                parts,
            }),
            _ => Origin::Key(IdempotencyKey {
                hash: [d as u8; 32],
                first_seen_ns: i64::from(a),
                partitions: b.max(1),
                part: part % parts,
                parts,
            }),
        }
    }

    /// The message; `None` when there is no record that fits.
    fn build(&self) -> Option<Bytes> {
        let tenant = TenantName::parse(&"tenant-of-a-name"[..usize::from(self.tenant) % 15 + 1]).expect("a name");
        let mut builder = BatchBuilder::new(&tenant, i64::from(self.received_at_ns), self.origin());
        for record in &self.records {
            let service = Service::parse(&format!("api/{}", record.service)).expect("a name");
            let level = Level::from_slot(usize::from(record.level % 7));
            // What the builder refuses is left out; it must not take what it cannot read back.
            let _ = builder.push(&service, record.timestamp_ns, level, &record.trace_id, &record.line(&service, level));
        }
        (!builder.is_empty()).then(|| builder.finish().expect("the origin keeps the rules"))
    }

    fn run(&self) {
        let Some(bytes) = self.build() else { return };
        let batch = LogBatch::decode(bytes.clone()).expect("what was built can be read");
        assert_eq!(*batch.origin(), self.origin());
        let mut damaged = bytes.to_vec();
        self.edits.apply(&mut damaged);
        read(if self.has_right_checksum { reseal(damaged) } else { damaged });
    }
}

impl Record {
    fn line(&self, service: &Service, level: Option<Level>) -> Vec<u8> {
        let mut out = Vec::new();
        line::begin(&mut out, self.timestamp_ns.max(0), level, service.as_str());
        line::text_field(&mut out, "message", &self.message);
        out.push(b'}');
        out
    }
}

/// Appends the right checksum.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Makes the last four bytes the right checksum.
fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(4));
    seal(bytes)
}

/// Decodes; what can be decoded must be what a builder writes for it.
fn read(bytes: Vec<u8>) {
    let payload = Bytes::from(bytes);
    let most = 64 * payload.len() + (64 << 10);
    let decoded = memory::at_most(most, || LogBatch::decode(payload.clone()));
    let Ok(batch) = decoded else { return };
    let mut builder = BatchBuilder::new(batch.tenant(), batch.received_at_ns(), batch.origin().clone());
    let mut records = 0;
    for group in batch.groups() {
        assert_eq!(group.records().count(), group.record_count() as usize);
        for record in group.records() {
            assert_eq!(record.index, records);
            records += 1;
            let range = record.line_range();
            assert_eq!(&payload[range.start as usize..range.end as usize], record.line);
            builder
                .push(group.service(), record.timestamp_ns, record.level, record.trace_id, record.line)
                .expect("a record that was read can be written");
        }
    }
    assert_eq!(records, batch.record_count());
    assert_eq!(builder.finish().expect("a message that was read can be written"), payload);
}
