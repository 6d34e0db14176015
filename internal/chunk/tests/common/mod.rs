//! Lines for the tests, and a plain reading of them to compare with.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test")]

use loglake_chunk::{ChunkBuilder, ChunkHead, FinishedChunk, Footer, Source, decode_block, encode_block};
use loglake_model::{Level, RecordId, Service, TenantName, Window, line};

pub(crate) const START_NS: i64 = 1_700_000_000_000_000_000 - 1_700_000_000_000_000_000 % Window::HOUR_NS;

pub(crate) fn window() -> Window {
    Window { start_ns: START_NS, length_ns: Window::HOUR_NS }
}

pub(crate) fn head() -> ChunkHead {
    ChunkHead {
        tenant: TenantName::parse("tenant-1").unwrap(),
        service: Service::parse("api/ü").unwrap(),
        window: window(),
    }
}

pub(crate) fn source() -> Source {
    Source::Log { incarnation: 1, partition: 7, lowest_offset: 100, highest_offset: 2_000_000_000_000 }
}

/// A record as the naive model knows it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) at_ns: i64,
    pub(crate) level: Option<Level>,
    pub(crate) message: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) attributes: Option<serde_json::Value>,
}

impl Row {
    pub(crate) fn line(&self, index: u32) -> Vec<u8> {
        let mut out = Vec::new();
        line::begin(&mut out, self.at_ns, self.level, "api/ü");
        line::text_field(&mut out, "message", &self.message);
        if let Some(trace_id) = &self.trace_id {
            line::text_field(&mut out, "trace_id", trace_id);
            line::text_field(&mut out, "span_id", "b7ad6b7169203331");
        }
        if let Some(attributes) = &self.attributes {
            out.extend_from_slice(b",\"tags\":[\"only in tags\"],\"attributes\":");
            out.extend_from_slice(attributes.to_string().as_bytes());
        }
        out.push(b'}');
        let mut whole = Vec::new();
        line::append_with_id(&mut whole, &out, RecordId { incarnation: 1, partition: 7, offset: 100, index });
        whole.push(b'\n');
        whole
    }

    /// The values in which needles are looked for, decoded.
    pub(crate) fn values(&self) -> Vec<String> {
        fn collect(value: &serde_json::Value, out: &mut Vec<String>) {
            match value {
                serde_json::Value::String(text) => out.push(text.clone()),
                serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
                serde_json::Value::Object(fields) => fields.values().for_each(|item| collect(item, out)),
                other => out.push(other.to_string()),
            }
        }
        let mut out = vec![self.message.clone()];
        self.attributes.iter().for_each(|attributes| collect(attributes, &mut out));
        out
    }
}

/// A chunk of `blocks`, and the lines of each.
pub(crate) fn build(blocks: &[Vec<Row>]) -> (FinishedChunk, Vec<Vec<u8>>) {
    let mut builder = ChunkBuilder::new(head(), source());
    let mut index = 0;
    let mut all = Vec::new();
    for rows in blocks {
        let mut lines = Vec::new();
        for row in rows {
            lines.extend_from_slice(&row.line(index));
            index += 1;
        }
        builder.push(encode_block(&lines, window()).unwrap());
        all.push(lines);
    }
    (builder.finish().unwrap(), all)
}

/// All lines of a chunk, read as a query reads them.
pub(crate) fn read(bytes: &bytes::Bytes) -> Result<Vec<Vec<u8>>, loglake_chunk::Error> {
    let footer = Footer::of_chunk(bytes)?;
    footer.blocks().iter().map(|row| decode_block(row, &bytes[row.offset as usize..][..row.length as usize])).collect()
}

/// Lines in the manner of a web service, the same in every run.
pub(crate) fn realistic(records: u64, first: u64) -> Vec<Row> {
    (first..first + records)
        .map(|n| {
            let spread = |salt: u64| (n ^ salt << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n * 2_654_435_761) >> 3;
            let level = Level::from_slot((spread(1) % 7) as usize);
            let message = match n % 4 {
                0 => format!("GET /api/v1/orders/{} 200 in {} ms", spread(2) % 1_000_000, spread(3) % 1_000),
                1 => format!("Connection from 10.{}.{}.17:{} timed out", spread(4) % 256, spread(5) % 256, spread(6) % 65_536),
                2 => format!("Received block blk_{} of size {} from /10.250.19.102", spread(7), spread(8) % 100_000_000),
                _ => format!("user \"u{}\" logged in\tfrom C:\\Users\\u{}", spread(9) % 5_000, spread(10) % 5_000),
            };
            Row {
                at_ns: START_NS + (n as i64 * 41_000_000 + (spread(11) % 40_000_000) as i64) % Window::HOUR_NS,
                level,
                message,
                trace_id: (n % 3 != 0).then(|| format!("{:016x}{:016x}", spread(12 + n / 6), n / 6)),
                attributes: (n % 2 == 0).then(|| {
                    serde_json::json!({"request.id": format!("{:08x}", spread(13) as u32), "status": 200, "took_us": spread(14) % 10_000_000, "pod": {"name": format!("api-{}", n % 12), "zone": "eu-1"}})
                }),
            }
        })
        .collect()
}
