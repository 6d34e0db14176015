use std::time::Duration;

use loglake_model::{FaultCode, Level, Record, Timestamp, limits, line};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Config, Pipeline};

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn good() -> Record {
    Record { service: "api".to_owned(), message: "hello".to_owned(), ..Record::default() }
}

fn pipeline() -> Pipeline {
    Pipeline::new(Config::default())
}

fn render(record: Record) -> String {
    let mut out = Vec::new();
    pipeline().render(record, NOW_NS, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn code_of(pipeline: &Pipeline, record: Record) -> (FaultCode, String) {
    let mut out = b"before".to_vec();
    let fault = pipeline.render(record, NOW_NS, &mut out).unwrap_err();
    assert_eq!(out, b"before");
    (fault.code, fault.field)
}

#[test]
fn a_full_record_is_rendered_in_canonical_order() {
    let record = Record {
        timestamp_ns: Some(NOW_NS + 1),
        level: Some(Level::Warn),
        level_text: None,
        trace_id: "4BF92F3577B34DA6A3CE929D0E0E4736".to_owned(),
        span_id: "00F067AA0BA902B7".to_owned(),
        parent_span_id: "Root".to_owned(),
        host: "h-1".to_owned(),
        tags: vec!["a".to_owned(), "b\"c".to_owned()],
        attributes: vec![("z".to_owned(), "1.10".to_owned()), ("a\n".to_owned(), "{\"k\":[]}".to_owned())],
        ..good()
    };
    let mut out = Vec::new();
    let config = Config { keep_received_at: true, ..Config::default() };
    let rendered = Pipeline::new(config).render(record, NOW_NS, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"{"timestamp":"2023-11-14T22:13:20.000000001Z","level":"warn","service":"api","message":"hello","#,
            r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","parent_span_id":"Root","host":"h-1","#,
            r#""tags":["a","b\"c"],"attributes":{"z":1.10,"a\n":{"k":[]}},"received_at":"2023-11-14T22:13:20.000000000Z"}"#
        )
    );
    assert_eq!(rendered.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        (rendered.timestamp_ns, rendered.level, rendered.service.as_str()),
        (NOW_NS + 1, Some(Level::Warn), "api")
    );
    assert_eq!(render(good()), r#"{"timestamp":"2023-11-14T22:13:20.000000000Z","service":"api","message":"hello"}"#);
}

#[test]
fn only_whole_hex_ids_are_lower_cased() {
    for (trace_id, span_id, kept) in [
        ("ABC", "ABC", true),
        (&*"G".repeat(32), "00F067AA0BA902BG", true),
        (&*"A".repeat(32), "AAAAAAAAAAAAAAAA", false),
    ] {
        let line = render(Record { trace_id: trace_id.to_owned(), span_id: span_id.to_owned(), ..good() });
        assert_eq!(line.contains(trace_id) && line.contains(span_id), kept, "{line}");
        assert_eq!(line.contains(&trace_id.to_lowercase()), !kept, "{line}");
    }
}

#[test]
fn an_unknown_level_is_kept_as_an_attribute() {
    let record = Record { level_text: Some("cha\"tty".to_owned()), ..good() };
    let line = render(record.clone());
    assert!(line.ends_with(r#","attributes":{"level_text":"cha\"tty"}}"#), "{line}");
    assert_eq!(line::level_of(line.as_bytes()), None);
    let both = Record { attributes: vec![("level_text".to_owned(), "1".to_owned())], ..record };
    assert_eq!(code_of(&pipeline(), both), (FaultCode::DuplicateKey, "attributes.level_text".to_owned()));
}

/// Gives a record one field of so many items or such a text.
type Set = fn(&mut Record, usize, String);

#[test]
fn limits_are_exact() {
    let text = |len: usize| "x".repeat(len);
    let attributes = |count: usize| (0..count).map(|n| (format!("k{n}"), "1".to_owned())).collect::<Vec<_>>();
    let cases: [(Set, usize, FaultCode, &str); 9] = [
        (|record, _, text| record.message = text, limits::MESSAGE_BYTES, FaultCode::TooLong, "message"),
        (|record, _, text| record.service = text, 128, FaultCode::TooLong, "service"),
        (|record, _, text| record.trace_id = text, limits::ID_BYTES, FaultCode::TooLong, "trace_id"),
        (|record, _, text| record.span_id = text, limits::ID_BYTES, FaultCode::TooLong, "span_id"),
        (|record, _, text| record.parent_span_id = text, limits::ID_BYTES, FaultCode::TooLong, "parent_span_id"),
        (|record, _, text| record.host = text, limits::HOST_BYTES, FaultCode::TooLong, "host"),
        (|record, _, text| record.tags = vec![text], limits::TAG_BYTES, FaultCode::TooLong, "tags"),
        (|record, count, _| record.tags = vec!["t".to_owned(); count], limits::TAGS, FaultCode::TooMany, "tags"),
        (
            |record, _, text| record.attributes = vec![(text, "1".to_owned())],
            limits::KEY_BYTES,
            FaultCode::TooLong,
            "attributes",
        ),
    ];
    for (set, limit, code, field) in cases {
        let mut record = good();
        set(&mut record, limit, text(limit));
        render(record);
        let mut record = good();
        set(&mut record, limit + 1, text(limit + 1));
        assert_eq!(code_of(&pipeline(), record), (code, field.to_owned()));
    }
    render(Record { attributes: attributes(limits::ATTRIBUTES), ..good() });
    let many = Record { attributes: attributes(limits::ATTRIBUTES + 1), ..good() };
    assert_eq!(code_of(&pipeline(), many), (FaultCode::TooMany, "attributes".to_owned()));
    let with_level =
        Record { attributes: attributes(limits::ATTRIBUTES), level_text: Some("odd".to_owned()), ..good() };
    assert_eq!(code_of(&pipeline(), with_level), (FaultCode::TooMany, "attributes".to_owned()));
    let long_level = Record { level_text: Some(text(257)), ..good() };
    assert_eq!(code_of(&pipeline(), long_level), (FaultCode::TooLong, "level".to_owned()));

    // The line as a whole: an attribute fills it up to the last byte.
    let fill = |len: usize| Record { attributes: vec![("a".to_owned(), format!("\"{}\"", text(len)))], ..good() };
    let rest = limits::RECORD_BYTES - render(fill(0)).len();
    assert_eq!(render(fill(rest)).len(), limits::RECORD_BYTES);
    assert_eq!(code_of(&pipeline(), fill(rest + 1)), (FaultCode::TooLarge, String::new()));
    // Escapes count as they stand in the line.
    let escaped = Record { message: "\0".repeat(limits::MESSAGE_BYTES), ..good() };
    assert_eq!(code_of(&pipeline(), escaped).0, FaultCode::TooLarge);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let with_service = |service: &str| Record { service: service.to_owned(), ..good() };
    assert_eq!(code_of(&pipeline(), with_service("")), (FaultCode::Missing, "service".to_owned()));
    assert_eq!(code_of(&pipeline(), with_service("a\nb")), (FaultCode::Invalid, "service".to_owned()));
    assert_eq!(code_of(&pipeline(), with_service(&"ü".repeat(60))), (FaultCode::TooLong, "service".to_owned()));
    let no_message = Record { message: String::new(), ..good() };
    assert_eq!(code_of(&pipeline(), no_message), (FaultCode::Missing, "message".to_owned()));
    let mut out = Vec::new();
    let fault = pipeline().render(with_service(&"ü".repeat(60)), NOW_NS, &mut out).unwrap_err();
    assert_eq!((fault.limit, fault.actual), (Some(200), Some(360)));
}

#[test]
fn time_has_bounds() {
    let at = |ns: i64| Record { timestamp_ns: Some(ns), ..good() };
    let hour_ns = 3_600_000_000_000;
    let strict = Pipeline::new(Config { max_age: Some(Duration::from_secs(60)), ..Config::default() });
    let mut out = Vec::new();
    for ns in [0, 1, NOW_NS, NOW_NS + hour_ns] {
        assert_eq!(pipeline().render(at(ns), NOW_NS, &mut out).unwrap().timestamp_ns, ns);
    }
    let edge = NOW_NS - 60_000_000_000;
    assert_eq!(strict.render(at(edge), NOW_NS, &mut out).unwrap().timestamp_ns, edge);
    assert_eq!(strict.render(good(), NOW_NS, &mut out).unwrap().timestamp_ns, NOW_NS);
    for (pipeline, ns, code) in [
        (&pipeline(), NOW_NS + hour_ns + 1, FaultCode::TooFarAhead),
        (&pipeline(), i64::MAX - 1, FaultCode::TooFarAhead),
        (&pipeline(), i64::MAX, FaultCode::Invalid),
        (&pipeline(), -1, FaultCode::Invalid),
        (&strict, edge - 1, FaultCode::TooOld),
    ] {
        assert_eq!(code_of(pipeline, at(ns)), (code, "timestamp".to_owned()), "{ns}");
    }
    let any = Pipeline::new(Config { max_future: Duration::MAX, ..Config::default() });
    assert_eq!(any.render(at(i64::MAX - 1), NOW_NS, &mut out).unwrap().timestamp_ns, i64::MAX - 1);
    assert_eq!(any.render(good(), i64::MAX, &mut out).unwrap().timestamp_ns, i64::MAX - 1);
}

fn record() -> impl Strategy<Value = (Record, Vec<(String, Value)>)> {
    let id = || prop_oneof![Just(String::new()), "[0-9a-fA-F]{16}", "[0-9a-fA-F]{32}", "\\PC{1,20}"];
    let attributes = proptest::collection::btree_map(any::<String>(), any::<(i64, String)>(), 0..5);
    let texts = ("[^\\p{C}]{1,20}", any::<String>(), id(), id(), id(), any::<String>());
    (0..=NOW_NS, 0_usize..7, texts, proptest::collection::vec(any::<String>(), 0..4), attributes).prop_map(
        |(ns, slot, (service, message, trace_id, span_id, parent_span_id, host), tags, attributes)| {
            let values: Vec<(String, Value)> =
                attributes.into_iter().map(|(key, (n, text))| (key, json!([n, {"t": text}]))).collect();
            let record = Record {
                timestamp_ns: Some(ns),
                level: Level::from_slot(slot),
                level_text: None,
                service,
                message: message + ".",
                trace_id,
                span_id,
                parent_span_id,
                host,
                tags,
                attributes: values.iter().map(|(key, value)| (key.clone(), value.to_string())).collect(),
            };
            (record, values)
        },
    )
}

/// The keys of a line's own object in the order they stand.
fn keys(text: &str) -> Vec<&'static str> {
    const ORDER: [&str; 10] = [
        "timestamp",
        "level",
        "service",
        "message",
        "trace_id",
        "span_id",
        "parent_span_id",
        "host",
        "tags",
        "attributes",
    ];
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
    let mut at = 0;
    let mut found = Vec::new();
    for key in ORDER {
        let Some(value) = object.get(key) else { continue };
        // Each field stands right after the one before, so the whole line is walked.
        let expected = format!("{}\"{key}\":{}", if at == 0 { "{" } else { "," }, value);
        if key == "attributes" {
            // The last one here; its keys stand in the order sent, not in that of the parsed object.
            at = text.len() - 1;
        } else {
            assert!(text[at..].starts_with(&expected), "{key} in {text}");
            at += expected.len();
        }
        found.push(key);
    }
    assert_eq!(&text[at..], "}");
    assert_eq!(found.len(), object.len());
    found
}

proptest! {
    #[test]
    fn a_line_says_exactly_what_the_record_did((record, attributes) in record()) {
        let mut out = Vec::new();
        let rendered = pipeline().render(record.clone(), NOW_NS, &mut out).unwrap();
        let text = std::str::from_utf8(&out).unwrap();
        prop_assert!(!text.contains('\n'));
        let lowered = |id: &String, digits: usize| {
            if id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()) { id.to_lowercase() } else { id.clone() }
        };
        let mut expected = json!({
            "timestamp": Timestamp(record.timestamp_ns.unwrap()).to_string(),
            "service": record.service,
            "message": record.message,
        });
        let mut order = vec!["timestamp", "service", "message"];
        if let Some(level) = record.level {
            expected["level"] = json!(level.as_str());
            order.insert(1, "level");
        }
        for (key, value) in [
            ("trace_id", lowered(&record.trace_id, 32)),
            ("span_id", lowered(&record.span_id, 16)),
            ("parent_span_id", lowered(&record.parent_span_id, 16)),
            ("host", record.host.clone()),
        ] {
            if !value.is_empty() {
                expected[key] = json!(value);
                order.push(key);
            }
        }
        if !record.tags.is_empty() {
            expected["tags"] = json!(record.tags);
            order.push("tags");
        }
        if !attributes.is_empty() {
            expected["attributes"] = Value::Object(attributes.into_iter().collect());
            order.push("attributes");
        }
        prop_assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), &expected);
        prop_assert_eq!(keys(text), order);
        prop_assert_eq!(line::timestamp_of(&out), record.timestamp_ns);
        prop_assert_eq!(line::level_of(&out), record.level);
        prop_assert_eq!(rendered.timestamp_ns, record.timestamp_ns.unwrap());
        prop_assert_eq!(rendered.service.as_str(), &record.service);
        prop_assert_eq!(rendered.trace_id, lowered(&record.trace_id, 32));
    }
}
