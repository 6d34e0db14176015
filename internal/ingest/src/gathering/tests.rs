//! The short way against the ordinary one: whatever comes in, both make the same messages and refuse the same records.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_api::ingest::v1::LogRecord;
use loglake_auth::limits::{Quotas, TenantLimits};
use loglake_auth::{Access, Asked, Authenticator, Scope};
use loglake_batch::{LogBatch, SessionPart};
use loglake_broker::{Appended, Producer};
use loglake_formats::RawDecoder;
use loglake_model::ManualClock;
use loglake_pipeline::{Config, Pipeline};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::log_time::LogTime;
use crate::metrics::Metrics;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// Nothing is appended here.
struct NoBroker;

#[async_trait]
impl Producer for NoBroker {
    fn max_message_bytes(&self) -> usize {
        1 << 20
    }

    async fn append(&self, _partition: u32, _payload: Bytes) -> Result<Appended, loglake_broker::Error> {
        Err(loglake_broker::Error::Unavailable("nothing is appended here".to_owned()))
    }
}

fn intake(config: Config) -> Intake {
    let clock = Arc::new(ManualClock::at(NOW_NS));
    Intake {
        producer: Arc::new(NoBroker),
        partitions: 4,
        clock: clock.clone(),
        pipeline: Pipeline::new(config),
        append_timeout: Duration::from_secs(1),
        log_time: LogTime::new(clock),
        metrics: Metrics::register(&prometheus::Registry::new(), 0).unwrap(),
    }
}

fn tenant() -> TenantId {
    let headers = http::HeaderMap::new();
    let access = Access::AnyOf(&[Scope::Ingest]);
    let asked = Asked { headers: &headers, peer: None, access, call: ("POST", "/v1/ingest"), request_id: "r" };
    Authenticator::open().authorize(&asked, NOW_NS).unwrap().unwrap().tenant().clone()
}

/// Without limits.
fn quota() -> Quota {
    Quotas::new(TenantLimits::none(), NOW_NS).of(&tenant(), NOW_NS)
}

fn session() -> Origin {
    Origin::Session(SessionPart {
        id: [7; 16],
        opened_at_ns: NOW_NS,
        partitions: 3,
        number: 1,
        oldest_unacknowledged: 1,
        part: 0,
        parts: 1,
    })
}

/// A request, in either protocol.
#[derive(Clone, Copy)]
enum Sent<'a> {
    /// Encoded `LogRecord`s.
    Native(&'a [Vec<u8>]),
    /// Lines.
    Json(&'a [Vec<u8>]),
}

/// What became of a request: its messages by partition, the lines' bytes, what was refused; `None` when it is no request at all. And how
/// many records went the short way.
type Made = (Option<(Vec<(u32, Bytes, u64)>, u64, u64, Vec<Refused>)>, usize);

fn make(intake: &Intake, origin: Origin, sent: Sent<'_>, is_short: bool) -> Made {
    let tenant = tenant();
    let mut gathering = intake.begin(&tenant, origin, quota());
    let mut decoder = RawDecoder::default();
    let mut short = 0;
    let (Sent::Native(records) | Sent::Json(records)) = sent;
    for (place, bytes) in (0..).zip(records) {
        let raw = match sent {
            _ if !is_short => None,
            Sent::Native(_) => decoder.native(bytes),
            Sent::Json(_) => decoder.json(bytes, &tenant),
        };
        if raw.is_some_and(|raw| gathering.take_raw(&raw)) {
            short += 1;
            continue;
        }
        let record = match sent {
            Sent::Native(_) => match LogRecord::decode(bytes.as_slice()) {
                Ok(record) => loglake_formats::native(record),
                Err(_) => return (None, short),
            },
            Sent::Json(_) => loglake_formats::json_record(bytes, &tenant),
        };
        gathering.take(place, record);
    }
    let gathered = gathering.finish().unwrap();
    let mut messages = Vec::new();
    for (partition, of_partition) in gathered.messages {
        for message in of_partition {
            LogBatch::decode(message.payload.clone()).unwrap();
            messages.push((partition, message.payload, message.records));
        }
    }
    (Some((messages, gathered.line_bytes, gathered.refused, gathered.told)), short)
}

/// Compares both ways under several settings; returns how many records went the short way under the first.
fn compare(sent: Sent<'_>) -> usize {
    let mut first = None;
    for (config, origin) in [
        (Config::default(), Origin::None),
        (Config { keep_received_at: true, max_age: Some(Duration::from_secs(60)), ..Config::default() }, session()),
    ] {
        let intake = intake(config);
        let (made, short) = make(&intake, origin.clone(), sent, true);
        let (plain, none) = make(&intake, origin, sent, false);
        assert_eq!(none, 0);
        assert!(made == plain, "{made:?}\nis not\n{plain:?}");
        first.get_or_insert(short);
    }
    first.unwrap()
}

fn usual(service: &str, at: i64) -> LogRecord {
    LogRecord {
        timestamp_ns: (NOW_NS + at).unsigned_abs(),
        level: 3,
        service: service.to_owned(),
        message: format!("GET \"/v1/\u{e9}\" took {at}\n\tand \\ more"),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        span_id: "00f067aa0ba902b7".to_owned(),
        parent_span_id: String::new(),
        host: "node-1".to_owned(),
        tags: vec!["a".to_owned(), "b \"c\"".to_owned()],
        attributes_json: "{\"a\":[1,{\"b\":null}],\"c\":\"d\\n\",\"e\":-1.5e+3}".into(),
    }
}

fn line_of(record: &LogRecord, blanks: &str) -> Vec<u8> {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let tags: Vec<String> = record.tags.iter().map(|tag| text(tag)).collect();
    let fields = [
        format!("\"timestamp\":{blanks}{}", record.timestamp_ns),
        format!("\"level\":{blanks}\"info\""),
        format!("\"service\":{blanks}{}", text(&record.service)),
        format!("\"message\":{blanks}{}", text(&record.message)),
        format!("\"trace_id\":{blanks}{}", text(&record.trace_id)),
        format!("\"span_id\":{blanks}{}", text(&record.span_id)),
        format!("\"host\":{blanks}{}", text(&record.host)),
        format!("\"tags\":{blanks}[{}]", tags.join(",")),
        format!("\"attributes\":{blanks}{}", String::from_utf8_lossy(&record.attributes_json)),
        format!("\"free\":{blanks}{{\"x\":[]}}"),
        format!("\"other\":{blanks}null"),
    ];
    format!("{blanks}{{{}}}{blanks}", fields.join(&format!(",{blanks}"))).into_bytes()
}

#[test]
fn usual_records_go_the_short_way() {
    let records: Vec<LogRecord> = (0..50).map(|at| usual(["api", "web", "größe"][at as usize % 3], at)).collect();
    let native: Vec<Vec<u8>> = records.iter().map(LogRecord::encode_to_vec).collect();
    assert_eq!(compare(Sent::Native(&native)), 50);
    for blanks in ["", " ", " \t "] {
        let lines: Vec<Vec<u8>> = records.iter().map(|record| line_of(record, blanks)).collect();
        assert_eq!(compare(Sent::Json(&lines)), 50, "{blanks:?}");
    }
}

#[test]
fn messages_are_cut_at_the_same_records() {
    let text = "x".repeat(5_000);
    let records: Vec<LogRecord> =
        (0..900).map(|at| LogRecord { message: text.clone(), ..usual(["api", "web"][at as usize % 2], at) }).collect();
    let native: Vec<Vec<u8>> = records.iter().map(LogRecord::encode_to_vec).collect();
    assert_eq!(compare(Sent::Native(&native)), 900);
    // As many minutes as a message may have, and records that are refused between them.
    let minutes: Vec<Vec<u8>> = (0..7_000)
        .map(|at| LogRecord {
            timestamp_ns: (NOW_NS - at * 60_000_000_000).unsigned_abs(),
            service: if at % 1_000 == 999 { String::new() } else { "api".to_owned() },
            message: "m".to_owned(),
            ..LogRecord::default()
        })
        .map(|record| record.encode_to_vec())
        .collect();
    compare(Sent::Native(&minutes));
}

/// Gives a record a field of such a text.
type Set = fn(&mut LogRecord, String);

#[test]
fn what_is_at_a_limit_or_past_it_is_decided_alike() {
    let text = |len: usize| "x".repeat(len);
    let set: [(Set, usize); 7] = [
        (|record, text| record.message = text, 256 * 1024),
        (|record, text| record.service = text, 128),
        (|record, text| record.trace_id = text, 256),
        (|record, text| record.host = text, 256),
        (|record, text| record.tags = vec![text], 256),
        (|record, text| record.tags = vec!["t".to_owned(); text.len()], 64),
        (|record, text| record.attributes_json = format!("{{\"{text}\":1}}").into(), 256),
    ];
    for (set, limit) in set {
        for len in [0, 1, limit - 1, limit, limit + 1] {
            let mut record = usual("api", 0);
            set(&mut record, text(len));
            compare(Sent::Native(&[record.encode_to_vec()]));
            compare(Sent::Json(&[line_of(&record, "")]));
        }
    }
    // Escapes make a line too long that is short as it comes.
    for count in [50_000, 87_000, 90_000] {
        let record = LogRecord { message: "\u{1}".repeat(count), ..usual("api", 0) };
        compare(Sent::Native(&[record.encode_to_vec()]));
        compare(Sent::Json(&[line_of(&record, "")]));
    }
    for ns in [0, 1, 1 << 62, i64::MAX.unsigned_abs() - 1, i64::MAX.unsigned_abs(), u64::MAX] {
        compare(Sent::Native(&[LogRecord { timestamp_ns: ns, ..usual("api", 0) }.encode_to_vec()]));
    }
    for level in [-1, 0, 6, 7, 128, i32::MAX] {
        compare(Sent::Native(&[LogRecord { level, ..usual("api", 0) }.encode_to_vec()]));
    }
    for ids in
        ["4BF92F3577B34DA6A3CE929D0E0E4736", "4BF92F3577B34DA6A3CE929D0E0E473G", "00F067AA0BA902B7", "AB", "q\"\n"]
    {
        let (trace_id, span_id) = (ids.to_owned(), ids.to_owned());
        let record = LogRecord { trace_id, span_id, parent_span_id: ids.to_owned(), ..usual("api", 0) };
        compare(Sent::Native(&[record.encode_to_vec()]));
        compare(Sent::Json(&[line_of(&record, "")]));
    }
}

/// Pieces that lines are made of, right and wrong.
const VALUES: [&str; 44] = [
    "1",
    "0",
    "-0",
    "01",
    "1.50",
    "1e5",
    "1700000000",
    "1700000000000",
    "1700000000.5",
    "1700000000000000000",
    "9223372036854775807",
    "99",
    "null",
    "nul",
    "true",
    "false",
    "\"\"",
    "\"a\"",
    "\"INFO\"",
    "\"warning\"",
    "\"chatty\"",
    "\"3\"",
    "\"2023-11-14T22:13:20Z\"",
    "\"2023-11-14T22:13:20.123456789Z\"",
    "\"2023-11-14T22:13:20.1234567890Z\"",
    "\"2023-11-14T22:13:20+01:00\"",
    "\"2023-02-30T00:00:00Z\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"2262-04-11T23:47:16.854775807Z\"",
    "\"1969-12-31T23:59:59Z\"",
    "\"x\\n\\\"\\\\\"",
    "\"x\\/\"",
    "\"\\u00e9\"",
    "\"\\u001f\\u0001\"",
    "\"\\u001F\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"é\u{7f}\u{202e}\"",
    "[\"a\",\"b\\n\"]",
    "[\"a\" , \"b\"]",
    "[]",
    "{}",
    "{\"a\":1,\"b\":{\"c\":[1,2,{}]}}",
    "{ \"a\" : 1 , \"level_text\":\"x\"}",
];

const KEYS: [&str; 20] = [
    "timestamp",
    "ts",
    "@timestamp",
    "level",
    "severity",
    "service",
    "message",
    "msg",
    "trace_id",
    "span_id",
    "parent_id",
    "host",
    "tags",
    "attributes",
    "metadata",
    "tenant_id",
    "a",
    "b",
    "level_text",
    "a\\u0062",
];

fn member() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
        2 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => prop::sample::select(&VALUES[..]).prop_map(|value| format!("{{\"k\":{value},\"l\":[{value},{value}]}}")),
    ];
    let blank = prop_oneof![5 => Just(""), 1 => Just(" "), 1 => Just("\t ")];
    let key = prop::sample::select(&KEYS[..]);
    (key, value, blank).prop_map(|(key, value, blank)| format!("{blank}\"{key}\"{blank}:{blank}{value}{blank}"))
}

/// A line of members, mostly with a service and a message so that it may be kept.
fn json_line() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(member(), 0..6), 0..10_u8, damage()).prop_map(|(mut members, lead, damage)| {
        if lead > 0 {
            members.retain(|member| !["\"service\"", "\"message\"", "\"msg\""].iter().any(|key| member.contains(key)));
            members.push("\"service\":\"api\"".to_owned());
            members.insert(0, "\"message\":\"hello\"".to_owned());
        }
        damaged(format!("{{{}}}", members.join(",")).into_bytes(), &damage)
    })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let text = || prop_oneof![any::<String>(), "[a-f0-9]{16}", "[A-F0-9]{32}", Just(String::new())];
    let attributes = prop_oneof![
        Just(String::new()),
        proptest::collection::vec(member(), 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
    ];
    let time = prop_oneof![any::<u64>(), Just(0), (0..3_600_000_000_000_u64).prop_map(|ns| ns + NOW_NS.unsigned_abs())];
    let head =
        (time, -1..9_i32, prop_oneof!["[a-c]{1,3}", "[ -~\u{e0}-\u{ff}]{0,20}"], "[ -~\u{e0}-\u{ff}\n\t\"]{0,60}");
    let tags = proptest::collection::vec(text(), 0..3);
    (head, (text(), text(), text(), text()), tags, attributes).prop_map(|(head, ids, tags, attributes)| LogRecord {
        timestamp_ns: head.0,
        level: head.1,
        service: head.2,
        message: head.3,
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        host: ids.3,
        tags,
        attributes_json: attributes.into(),
    })
}

/// Bytes to change, to put in or to take out, each somewhere; mostly none.
type Damage = Vec<(prop::sample::Index, u8, u8)>;

fn damage() -> impl Strategy<Value = Damage> {
    let one = (any::<prop::sample::Index>(), 0..3_u8, any::<u8>());
    prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(one, 1..4)]
}

fn damaged(mut bytes: Vec<u8>, damage: &Damage) -> Vec<u8> {
    for (at, what, byte) in damage {
        let at = at.index(bytes.len() + 1);
        match what {
            0 => bytes.insert(at, *byte),
            1 if at < bytes.len() => bytes[at] = *byte,
            _ if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {}
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn native_records_come_to_the_same(records in proptest::collection::vec((log_record(), damage()), 1..4)) {
        let records: Vec<Vec<u8>> =
            records.into_iter().map(|(record, damage)| damaged(record.encode_to_vec(), &damage)).collect();
        compare(Sent::Native(&records));
    }

    #[test]
    fn fields_in_any_order_and_number_come_to_the_same(
        parts in proptest::collection::vec((log_record(), 0..4_usize), 1..4)
    ) {
        // Encodings one after another are the encoding of a record in which fields come twice.
        let whole: Vec<u8> = parts.iter().flat_map(|(record, _)| record.encode_to_vec()).collect();
        let mut turned = parts[0].0.encode_to_vec();
        let middle = LogRecord { service: String::new(), message: String::new(), ..parts[0].0.clone() }.encoded_len();
        let by = middle.min(turned.len()) / (parts[0].1 + 1);
        turned.rotate_left(by);
        compare(Sent::Native(&[whole, turned]));
    }

    #[test]
    fn lines_come_to_the_same(lines in proptest::collection::vec(json_line(), 1..4)) {
        compare(Sent::Json(&lines));
    }

    #[test]
    fn garbage_comes_to_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let sent = [bytes];
        compare(Sent::Native(&sent));
        compare(Sent::Json(&sent));
    }
}
