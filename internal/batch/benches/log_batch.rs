//! Building and reading a message of a thousand records: `cargo bench -p loglake-batch`, `make bench-micro`. "Item" is a record.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use loglake_batch::{BatchBuilder, LogBatch, Origin};
use loglake_model::{Level, Service, TenantName, line};

const RECORDS: u64 = 1_000;
const START_NS: i64 = 1_767_225_600_000_000_000;

fn main() {
    divan::main();
}

/// What is pushed for one record.
struct Row {
    service: Service,
    timestamp_ns: i64,
    trace_id: String,
    line: Vec<u8>,
}

fn rows() -> Vec<Row> {
    let row = |at: u64| {
        let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let service = format!("service-{:02}", at % 16);
        let timestamp_ns = START_NS + at.cast_signed() * 1_000_003;
        let trace_id = format!("{mixed:016x}{at:016x}");
        let mut out = Vec::new();
        line::begin(&mut out, timestamp_ns, Some(Level::Info), &service);
        line::text_field(&mut out, "message", &format!("Receiving block blk_{mixed} src: /10.251.73.220:50010"));
        line::text_field(&mut out, "trace_id", &trace_id);
        line::text_field(&mut out, "span_id", &format!("{mixed:016x}"));
        line::text_field(&mut out, "host", &format!("host-{:02}.node", at % 12));
        out.push(b'}');
        Row { service: Service::parse(&service).expect("a name"), timestamp_ns, trace_id, line: out }
    };
    (0..RECORDS).map(row).collect()
}

fn build(rows: &[Row]) -> bytes::Bytes {
    let tenant = TenantName::parse("acme").expect("a name");
    let mut builder = BatchBuilder::new(&tenant, START_NS, Origin::None);
    for Row { service, timestamp_ns, trace_id, line } in rows {
        builder.push(service, *timestamp_ns, Some(Level::Info), trace_id, line).expect("a canonical line that fits");
    }
    builder.finish().expect("it has records")
}

#[divan::bench]
fn build_message(bencher: Bencher<'_, '_>) {
    let rows = rows();
    let length = build(&rows).len();
    let bencher = bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(length));
    bencher.bench(|| build(divan::black_box(&rows)));
}

#[divan::bench]
fn read_message(bencher: Bencher<'_, '_>) {
    let message = build(&rows());
    let bencher = bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(message.len()));
    bencher.bench(|| {
        let batch = LogBatch::decode(divan::black_box(message.clone())).expect("the bench built it");
        batch.groups().flat_map(|group| group.records().map(|record| record.line.len())).sum::<usize>()
    });
}
