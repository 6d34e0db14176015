//! The short way of a record against the ordinary one: whatever the short way takes, both come to the same message.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use loglake_api::ingest::v1::LogRecord;
use loglake_batch::{BatchBuilder, Head, Origin};
use loglake_formats::{RawDecoder, json_record, native};
use loglake_model::{Fault, RawRecord, Record, Service, TenantName};
use loglake_pipeline::{Config, Measured, Pipeline};
use prost::Message as _;
use serde_json::{Map, Value, json};

use crate::edit::Edits;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// A record to write in both forms and then to damage.
#[derive(Arbitrary, Debug)]
struct Plan {
    timestamp: Moment,
    level: u8,
    texts: [String; 6],
    tags: Vec<String>,
    attributes: Vec<(String, Attribute)>,
    keeps_received_at: bool,
    edits: Edits,
}

#[derive(Arbitrary, Debug)]
enum Moment {
    None,
    Number(i64),
    /// Seconds and nanoseconds after 2023-11-14T22:13:20Z.
    Text(u16, u32),
    AnyText(String),
}

#[derive(Arbitrary, Debug)]
enum Attribute {
    Null,
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<i16>),
    Nested(String, u8),
}

/// Takes an input.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => {
            read_json(bytes, false);
            read_native(bytes, false);
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
    let json: [&[u8]; 3] = [
        br#"{"ts":"2023-11-14T22:13:20.5Z","level":"WARN","service":"api","msg":"m \"q\"","attributes":{"d":null}}"#,
        br#"{"timestamp":1700000000123,"service":"api","message":"m","tags":["a","b\n"],"x":{"y":[1,-0.5e3,true]}}"#,
        r#"{"message":"naïve","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","host":"h"}"#
            .as_bytes(),
    ];
    let record = LogRecord {
        timestamp_ns: NOW_NS as u64,
        level: 4,
        service: "api".to_owned(),
        message: "a \"quoted\" word".to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        tags: vec!["x".to_owned()],
        attributes_json: Bytes::from_static(br#"{"a":1,"b":"c"}"#),
        ..LogRecord::default()
    };
    let all = json.into_iter().map(<[u8]>::to_vec).chain([record.encode_to_vec()]);
    all.map(|bytes| [&[0], &bytes[..]].concat()).collect()
}

impl Plan {
    fn run(&self) {
        let mut json = self.json().to_string().into_bytes();
        let mut native = self.native().encode_to_vec();
        read_json(&json, self.keeps_received_at);
        read_native(&native, self.keeps_received_at);
        if !self.edits.is_empty() {
            self.edits.apply(&mut json);
            self.edits.apply(&mut native);
            read_json(&json, self.keeps_received_at);
            read_native(&native, self.keeps_received_at);
        }
    }

    fn json(&self) -> Value {
        let [service, message, trace_id, span_id, parent_span_id, host] = &self.texts;
        let mut record = json!({ "service": service, "message": message });
        for (key, text) in
            [("trace_id", trace_id), ("span_id", span_id), ("parent_span_id", parent_span_id), ("host", host)]
        {
            if !text.is_empty() {
                record[key] = json!(text);
            }
        }
        match &self.timestamp {
            Moment::None => {}
            Moment::Number(number) => record["ts"] = json!(number),
            Moment::Text(seconds, nanos) => {
                let (minute, second) = (13 + seconds / 60 % 40, seconds % 60);
                record["ts"] = json!(format!("2023-11-14T22:{minute:02}:{second:02}.{nanos}Z"));
            }
            Moment::AnyText(text) => record["ts"] = json!(text),
        }
        if let Some(level) = ["trace", "DEBUG", "Info", "warn", "ERROR", "fatal", "chatty"].get(usize::from(self.level))
        {
            record["level"] = json!(level);
        }
        if !self.tags.is_empty() {
            record["tags"] = json!(self.tags);
        }
        record["attributes"] = self.attributes();
        record
    }

    fn native(&self) -> LogRecord {
        let [service, message, trace_id, span_id, parent_span_id, host] = self.texts.clone();
        let timestamp_ns = match self.timestamp {
            Moment::Number(number) => number as u64,
            Moment::Text(seconds, nanos) => NOW_NS as u64 + u64::from(seconds) * 1_000_000_000 + u64::from(nanos),
            Moment::None | Moment::AnyText(_) => 0,
        };
        let attributes_json =
            if self.attributes.is_empty() { Bytes::new() } else { self.attributes().to_string().into_bytes().into() };
        let level = i32::from(self.level);
        let tags = self.tags.clone();
        LogRecord {
            timestamp_ns,
            level,
            service,
            message,
            trace_id,
            span_id,
            parent_span_id,
            host,
            tags,
            attributes_json,
            ..LogRecord::default()
        }
    }

    fn attributes(&self) -> Value {
        let value = |attribute: &Attribute| match attribute {
            Attribute::Null => Value::Null,
            Attribute::Flag(flag) => json!(flag),
            Attribute::Number(number) => json!(number),
            Attribute::Text(text) => json!(text),
            Attribute::List(list) => json!(list),
            Attribute::Nested(key, depth) => {
                (0..depth % 12).fold(json!(1), |inner, _| Value::Object(Map::from_iter([(key.clone(), inner)])))
            }
        };
        self.attributes.iter().map(|(key, attribute)| (key.clone(), value(attribute))).collect()
    }
}

fn read_json(line: &[u8], keeps_received_at: bool) {
    let tenant = tenant();
    let mut decoder = RawDecoder::default();
    let pipeline = pipeline(keeps_received_at);
    if let Some(message) = decoder.json(line, &tenant).and_then(|raw| short(&pipeline, &raw)) {
        assert_eq!(ordinary(&pipeline, json_record(line, &tenant)), message);
    }
}

fn read_native(bytes: &[u8], keeps_received_at: bool) {
    let mut decoder = RawDecoder::default();
    let pipeline = pipeline(keeps_received_at);
    if let Some(message) = decoder.native(bytes).and_then(|raw| short(&pipeline, &raw)) {
        let record = LogRecord::decode(bytes).expect("the short way takes only what protobuf can read");
        assert_eq!(ordinary(&pipeline, native(record)), message);
    }
}

/// The message of a record on the short way; `None` where the ordinary way decides.
fn short(pipeline: &Pipeline, raw: &RawRecord<'_>) -> Option<Bytes> {
    let timestamp_ns = pipeline.time_of_raw(raw, NOW_NS, Measured::at(NOW_NS))?;
    let service = Service::parse(raw.service).ok()?;
    let mut builder = builder();
    let head = Head { service: &service, timestamp_ns, level: raw.level, trace_id: raw.trace_id };
    builder.write(head, None, |out| pipeline.rest_of_raw(raw, NOW_NS, out)).ok()?;
    Some(builder.finish().expect("the time of receipt is not negative"))
}

/// The message of a record on the ordinary way, which must take it.
fn ordinary(pipeline: &Pipeline, record: Result<Record, Fault>) -> Bytes {
    let mut line = Vec::new();
    let record = record.expect("what the short way takes, the ordinary decoder takes");
    let rendered = pipeline
        .render_measured(record, NOW_NS, Measured::at(NOW_NS), &mut line)
        .expect("what the short way takes, the pipeline takes");
    let mut builder = builder();
    builder
        .push(&rendered.service, rendered.timestamp_ns, rendered.level, &rendered.trace_id, &line)
        .expect("a rendered line fits");
    builder.finish().expect("the time of receipt is not negative")
}

fn tenant() -> TenantName {
    TenantName::parse("tenant-1").expect("a name")
}

fn pipeline(keep_received_at: bool) -> Pipeline {
    Pipeline::new(Config { keep_received_at, ..Config::default() })
}

fn builder() -> BatchBuilder {
    BatchBuilder::new(&tenant(), NOW_NS, Origin::None)
}
