//! The decoders of the two hot formats over a batch of a thousand records: `cargo bench -p loglake-formats`, `make bench-micro`.
//! "Item" is a record.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use loglake_api::ingest::v1::{Batch, LogRecord};
use loglake_formats::{native, ndjson};
use loglake_model::TenantName;
use prost::Message as _;

const RECORDS: u64 = 1_000;

fn main() {
    divan::main();
}

/// A record of about 420 bytes as JSON, the parts of which vary with `at`.
fn record(at: u64) -> LogRecord {
    let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let attributes = format!(
        r#"{{"region":"eu-{}","pod":"{:05x}","status":{},"duration_ms":{}}}"#,
        at % 3,
        mixed >> 44,
        200 + at % 4 * 100,
        mixed % 9_999
    );
    LogRecord {
        timestamp_ns: 1_767_225_600_000_000_000 + at * 1_000_003,
        level: (at % 7) as i32,
        service: format!("service-{:02}", at % 16),
        message: format!(
            "Receiving block blk_{mixed} src: /10.251.{}.220:50010 dest: /10.250.7.5 \"quoted\"",
            at % 250
        ),
        trace_id: format!("{mixed:016x}{at:016x}"),
        span_id: format!("{mixed:016x}"),
        parent_span_id: format!("{at:016x}"),
        host: format!("host-{:02}.node", at % 12),
        tags: Vec::new(),
        attributes_json: attributes.into_bytes().into(),
    }
}

#[divan::bench]
fn native_from_protobuf(bencher: Bencher<'_, '_>) {
    let batch = Batch { number: 1, records: (0..RECORDS).map(record).collect(), oldest_unacknowledged: 1 };
    let bytes = prost::bytes::Bytes::from(batch.encode_to_vec());
    bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(bytes.len())).bench(|| {
        let batch = Batch::decode(divan::black_box(bytes.clone())).expect("the bench encoded it");
        batch.records.into_iter().map(native).filter(Result::is_ok).count()
    });
}

#[divan::bench]
fn ndjson_body(bencher: Bencher<'_, '_>) {
    let mut body = String::new();
    for record in (0..RECORDS).map(record) {
        let attributes = String::from_utf8_lossy(&record.attributes_json);
        body += &format!(
            "{{\"timestamp\":{},\"level\":\"info\",\"service\":\"{}\",\"message\":\"{}\",\"trace_id\":\"{}\",\"span_id\":\"{}\",\"host\":\"{}\",\"attributes\":{attributes}}}\n",
            record.timestamp_ns,
            record.service,
            record.message.replace('"', "\\\""),
            record.trace_id,
            record.span_id,
            record.host,
        );
    }
    let tenant = TenantName::parse("acme").expect("a name");
    bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(body.len())).bench(|| {
        let decoded = ndjson(divan::black_box(body.as_bytes()), &tenant);
        decoded.filter(|decoded| decoded.record.is_ok()).count()
    });
}
