use loglake_api::ingest::v1::LogRecord;
use loglake_model::{Fault, FaultCode, Level, Record, TenantName, limits};
use proptest::prelude::*;

use crate::{Decoded, json, native, ndjson};

fn tenant() -> TenantName {
    TenantName::parse("tenant-1").unwrap()
}

fn lines(body: &[u8]) -> Vec<Decoded> {
    ndjson(body, &tenant()).collect()
}

fn one(line: &str) -> Record {
    let mut all = lines(line.as_bytes());
    assert_eq!(all.len(), 1, "{line}");
    all.remove(0).record.unwrap_or_else(|fault| panic!("{line}: {fault}"))
}

fn fault(line: &[u8]) -> Fault {
    let mut all = lines(line);
    assert_eq!(all.len(), 1);
    match all.remove(0).record {
        Err(fault) => fault,
        Ok(record) => panic!("{} was read as {record:?}", String::from_utf8_lossy(line)),
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_field_arrives_under_every_name() {
    let record = Record {
        timestamp_ns: Some(1_700_000_000_000_000_000),
        level: Some(Level::Error),
        level_text: None,
        service: "api".to_owned(),
        message: "a \"b\"\n😀".to_owned(),
        trace_id: "t".to_owned(),
        span_id: "s".to_owned(),
        parent_span_id: "p".to_owned(),
        host: "h".to_owned(),
        tags: vec!["x".to_owned(), "y z".to_owned()],
        attributes: attributes(&[("k", "1"), ("free", "true")]),
    };
    for (time, level, message, parent, more) in [
        ("timestamp", "level", "message", "parent_span_id", "attributes"),
        ("ts", "severity", "msg", "parent_id", "attrs"),
        ("time", "level", "message", "parent_id", "metadata"),
        ("@timestamp", "severity", "msg", "parent_span_id", "attributes"),
    ] {
        let line = format!(
            r#" {{ "{time}" : 1700000000 , "{level}":"ERR","service":"api","{message}":"a \"b\"\n\ud83d\ude00","trace_id":"t",
                "span_id":"s","{parent}":"p","host":"h","tags":["x" , "y z"],"{more}":{{"k":1}},"tenant_id":"tenant-1","free":true}} "#
        )
        .replace('\n', " ");
        assert_eq!(one(&line), record);
        assert_eq!(
            json(line.as_bytes(), &tenant()).collect::<Vec<_>>(),
            [Decoded { line: 1, record: Ok(record.clone()) }]
        );
    }
    assert_eq!(one("{}"), Record::default());
    let nulls =
        r#"{"ts":null,"time":null,"level":null,"service":null,"msg":null,"tags":null,"attrs":null,"tenant_id":null}"#;
    assert_eq!(one(nulls), Record::default());
}

#[test]
fn attributes_keep_order_numbers_and_nulls_and_get_one_escaping() {
    let line = r#"{"z":1.10,"a": 123456789012345678901234567890,"n":-0e+5,"q":"\u0041\/\u001f\u00e9\"\\","o":{"y" : [ 1 , {} , [ ] ], "b": null},"e":"","":0}"#;
    assert_eq!(
        one(line).attributes,
        attributes(&[
            ("z", "1.10"),
            ("a", "123456789012345678901234567890"),
            ("n", "-0e+5"),
            ("q", "\"A/\\u001fé\\\"\\\\\""),
            ("o", r#"{"y":[1,{},[]],"b":null}"#),
            ("e", "\"\""),
            ("", "0"),
        ])
    );
    let joined = one(r#"{"a":1,"attributes":{"b":2},"c":3,"metadata":{"d":4}}"#);
    assert_eq!(joined.attributes, attributes(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]));
}

#[test]
fn times_and_levels_are_read_as_they_are_commonly_written() {
    let second = 1_700_000_000_000_000_000;
    for (value, ns) in [
        ("1700000000", Some(second)),
        ("1700000000.25", Some(second + 250_000_000)),
        ("1700000000000", Some(second)),
        ("\"1700000000000000\"", Some(second)),
        ("\"1700000000.5\"", Some(second + 500_000_000)),
        ("\"2023-11-14T23:13:20+01:00\"", Some(second)),
        ("\"1970-01-01T00:00:00Z\"", Some(0)),
        ("0", None),
        ("0.0", None),
        ("\"0\"", None),
        ("\"\"", None),
    ] {
        assert_eq!(one(&format!("{{\"ts\":{value}}}")).timestamp_ns, ns, "{value}");
    }
    for value in ["-1", "\"-1\"", "\"yesterday\"", "\"2023-11-14\"", "1e30", "true", "[1]", "{}", "9223372036854775807"]
    {
        let fault = fault(format!("{{\"time\":{value}}}").as_bytes());
        assert_eq!((fault.code, fault.field.as_str()), (FaultCode::Invalid, "time"), "{value}");
    }
    for (value, level, text) in [
        ("\"Warning\"", Some(Level::Warn), None),
        ("17", Some(Level::Error), None),
        ("\"3\"", Some(Level::Error), None),
        ("30", Some(Level::Info), None),
        ("\"chatty\"", None, Some("chatty")),
        ("99", None, Some("99")),
        ("1.5", None, Some("1.5")),
        ("\"\"", None, None),
    ] {
        let record = one(&format!("{{\"severity\":{value}}}"));
        assert_eq!((record.level, record.level_text.as_deref()), (level, text), "{value}");
    }
}

#[test]
fn a_bad_line_is_named_and_the_rest_is_kept() {
    let body = b"\xef\xbb\xbf{\"service\":\"a\"}\r\n\n  \t\r\n{\"service\":\n{\"service\":\"b\"}\nnonsense\n\xff\xfe\n{\"service\":\"c\"}";
    let all = lines(body);
    let good: Vec<(u64, &str)> =
        all.iter().filter_map(|item| Some((item.line, item.record.as_ref().ok()?.service.as_str()))).collect();
    assert_eq!(good, [(1, "a"), (5, "b"), (8, "c")]);
    let bad: Vec<(u64, FaultCode)> =
        all.iter().filter_map(|item| Some((item.line, item.record.as_ref().err()?.code))).collect();
    assert_eq!(bad, [(4, FaultCode::Malformed), (6, FaultCode::Malformed), (7, FaultCode::InvalidUtf8)]);
    assert_eq!(lines(b""), []);
    assert_eq!(lines(b"\n\r\n \n"), []);
}

#[test]
fn faults_say_what_and_where() {
    let deep = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let many = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let key = |len: usize| format!("{{\"attributes\":{{\"{}\":1}}}}", "k".repeat(len));
    let tags = |count: usize| format!("{{\"tags\":[{}]}}", vec!["\"t\""; count].join(","));
    for good in [deep(limits::DEPTH), many(limits::ATTRIBUTES), key(limits::KEY_BYTES), tags(limits::TAGS)] {
        one(&good);
    }
    one("{\"a\":\"\\u0000\u{7f}\u{202e}\"}");
    let inner = format!("{{\"a\":{}}}", key(limits::KEY_BYTES + 1));
    for (line, code, field) in [
        (deep(limits::DEPTH + 1), FaultCode::TooDeep, "a"),
        (deep(10_000), FaultCode::TooDeep, "a"),
        (many(limits::ATTRIBUTES + 1), FaultCode::TooMany, "attributes"),
        (many(200_000), FaultCode::TooMany, "attributes"),
        (inner, FaultCode::TooLong, "a"),
        (tags(limits::TAGS + 1), FaultCode::TooMany, "tags"),
        (r#"{"service":1}"#.into(), FaultCode::Invalid, "service"),
        (r#"{"msg":{"a":1}}"#.into(), FaultCode::Invalid, "msg"),
        (r#"{"tags":"a,b"}"#.into(), FaultCode::Invalid, "tags"),
        (r#"{"tags":["a",1]}"#.into(), FaultCode::Invalid, "tags"),
        (r#"{"metadata":[]}"#.into(), FaultCode::Invalid, "metadata"),
        (r#"{"level":{}}"#.into(), FaultCode::Invalid, "level"),
        (r#"{"host":"a","host":"b"}"#.into(), FaultCode::DuplicateKey, "host"),
        (r#"{"host":null,"host":null}"#.into(), FaultCode::DuplicateKey, "host"),
        (r#"{"ts":1,"time":2}"#.into(), FaultCode::DuplicateKey, "time"),
        (r#"{"a":1,"\u0061":2}"#.into(), FaultCode::DuplicateKey, "attributes.a"),
        (r#"{"a":1,"attributes":{"a":2}}"#.into(), FaultCode::DuplicateKey, "attributes.a"),
        (r#"{"o":{"in":[{"a":1,"b":2,"a":3}]}}"#.into(), FaultCode::DuplicateKey, "o.a"),
        (r#"{"message":"\ud800"}"#.into(), FaultCode::InvalidUtf8, "message"),
        (r#"{"attrs":{"x":"\udc00\ud800"}}"#.into(), FaultCode::InvalidUtf8, "attributes.x"),
        (r#"{"x":"\ud800\u0041"}"#.into(), FaultCode::InvalidUtf8, "x"),
        (r#"{"tenant_id":"tenant-2"}"#.into(), FaultCode::Forbidden, "tenant_id"),
        ("[1]".into(), FaultCode::Malformed, ""),
        ("{\"a\":\"\t\"}".into(), FaultCode::Malformed, ""),
        (r#"{"a":1} {"b":2}"#.into(), FaultCode::Malformed, ""),
        (r#"{"a":01}"#.into(), FaultCode::Malformed, ""),
        (r#"{"a":1,}"#.into(), FaultCode::Malformed, ""),
        (r#"{"service":nil}"#.into(), FaultCode::Malformed, ""),
        ("{".into(), FaultCode::Malformed, ""),
    ] {
        let shown: String = line.chars().take(80).collect();
        let fault = fault(line.as_bytes());
        assert_eq!((fault.code, fault.field.as_str()), (code, field), "{shown}: {fault}");
        assert!(fault.message.len() < 300, "{shown}: {fault}");
    }
    let long = fault(key(limits::KEY_BYTES + 1).as_bytes());
    assert_eq!((long.code, long.limit, long.actual), (FaultCode::TooLong, Some(256), Some(257)));
    assert!(long.field.starts_with("attributes.kkk") && long.field.len() < 100);
    let huge = [b"{\"a\":\"".as_slice(), &vec![b'x'; 5 << 20], b"\"}"].concat();
    assert_eq!(fault(&huge).code, FaultCode::TooLarge);
}

#[test]
fn an_array_keeps_the_good_beside_the_bad() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = format!(
        " [ {{\"service\":\"a\"}} , {{\"service\":tru}}, {{\"x\":{deep}}}, 7, {{\"service\":\"b }}],\"}}, , {{\"service\":\"c\"}}\n] \n"
    );
    let all: Vec<Decoded> = json(body.as_bytes(), &tenant()).collect();
    let shown: Vec<(u64, Result<&str, FaultCode>)> = all
        .iter()
        .map(|item| (item.line, item.record.as_ref().map(|record| record.service.as_str()).map_err(|fault| fault.code)))
        .collect();
    assert_eq!(
        shown,
        [
            (1, Ok("a")),
            (2, Err(FaultCode::Malformed)),
            (3, Err(FaultCode::TooDeep)),
            (4, Err(FaultCode::Malformed)),
            (5, Ok("b }],")),
            (6, Err(FaultCode::Malformed)),
            (7, Ok("c")),
        ]
    );
}

#[test]
fn json_bodies_end_where_they_cannot_be_told_apart() {
    for (body, good, bad) in [
        ("", 0, 0),
        (" \n ", 0, 0),
        ("[]", 0, 0),
        (" [ ] ", 0, 0),
        ("{}", 1, 0),
        ("{}\n{} {}", 3, 0),
        ("{\n \"a\": 1\n}", 1, 0),
        ("[{},{}]", 2, 0),
        ("[{},]", 1, 1),
        ("[{}", 1, 1),
        ("[{},", 1, 1),
        ("[", 0, 1),
        ("[{}]]", 1, 1),
        ("[{}] {}", 1, 1),
        ("[{} {}]", 1, 1),
        ("[{\"a\":\"", 0, 1),
        ("[{\"a\":\"\\", 0, 1),
        ("{\"a\":[}", 0, 1),
        ("{} x {}", 1, 1),
        ("x", 0, 1),
        ("[}]", 0, 2),
        ("\"text\"", 0, 1),
    ] {
        let all: Vec<Decoded> = json(body.as_bytes(), &tenant()).collect();
        let found = (
            all.iter().filter(|item| item.record.is_ok()).count(),
            all.iter().filter(|item| item.record.is_err()).count(),
        );
        assert_eq!(found, (good, bad), "{body}");
        assert!(all.iter().zip(1..).all(|(item, place)| item.line == place), "{body}");
    }
}

#[test]
fn native_records_arrive_whole() {
    let sent = LogRecord {
        timestamp_ns: 5,
        level: 4,
        service: "api".to_owned(),
        message: "m".to_owned(),
        trace_id: "t".to_owned(),
        span_id: "s".to_owned(),
        parent_span_id: "p".to_owned(),
        host: "h".to_owned(),
        tags: vec!["x".to_owned()],
        attributes_json: "{ \"k\" : [1.0], \"service\": \"kept\" }".into(),
    };
    let expected = Record {
        timestamp_ns: Some(5),
        level: Some(Level::Warn),
        level_text: None,
        service: "api".to_owned(),
        message: "m".to_owned(),
        trace_id: "t".to_owned(),
        span_id: "s".to_owned(),
        parent_span_id: "p".to_owned(),
        host: "h".to_owned(),
        tags: vec!["x".to_owned()],
        attributes: attributes(&[("k", "[1.0]"), ("service", "\"kept\"")]),
    };
    assert_eq!(native(sent.clone()), Ok(expected));
    assert_eq!(native(LogRecord::default()), Ok(Record::default()));
    assert_eq!(native(LogRecord { level: 9, ..sent.clone() }).unwrap().level_text.as_deref(), Some("9"));
    for (timestamp_ns, json, code, field) in [
        (u64::MAX, "{}", FaultCode::Invalid, "timestamp_ns"),
        (i64::MAX as u64, "{}", FaultCode::Invalid, "timestamp_ns"),
        (0, "[]", FaultCode::Malformed, ""),
        (0, "{}x", FaultCode::Malformed, ""),
        (0, "{\"a\":1,\"a\":2}", FaultCode::DuplicateKey, "attributes.a"),
        (0, "{\"a\":[[[[[[[[[]]]]]]]]]}", FaultCode::TooDeep, "attributes.a"),
    ] {
        let record = LogRecord { timestamp_ns, attributes_json: json.into(), ..sent.clone() };
        let fault = native(record).unwrap_err();
        assert_eq!((fault.code, fault.field.as_str()), (code, field), "{json}");
    }
    let not_utf8 = LogRecord { attributes_json: b"{\"a\":\"\xff\"}".as_slice().into(), ..sent };
    assert_eq!(native(not_utf8).unwrap_err().code, FaultCode::InvalidUtf8);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            proptest::collection::vec((".{0,8}", inner), 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Pieces of JSON, right and wrong.
const PIECES: [&str; 27] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"a\"",
    "\"b\"",
    "\"\\u00e9\\n\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\\x\"",
    "\"",
    "1",
    "-0",
    "1.50",
    "01",
    "1.",
    ".5",
    "-",
    "1e5",
    "2E-3",
    "true",
    "nul",
    "null",
    " ",
    "\t",
];

proptest! {
    #[test]
    fn any_value_means_the_same_afterwards(value in value(), is_pretty in any::<bool>()) {
        let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let record = one(&format!("{{\"attribute\":{}}}", text.replace('\n', " ")));
        prop_assert_eq!(&record.attributes[0].1, &serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn what_is_json_is_decided_as_serde_json_does(pieces in proptest::collection::vec(prop::sample::select(&PIECES[..]), 1..9)) {
        let text: String = pieces.concat();
        let line = format!("{{\"x\":{text}}}");
        let theirs = serde_json::from_str::<serde_json::Value>(&line);
        match &lines(line.as_bytes())[0].record {
            Ok(_) => prop_assert!(theirs.is_ok(), "{}", line),
            Err(fault) if fault.code == FaultCode::DuplicateKey => {}
            Err(_) => prop_assert!(theirs.is_err(), "{}", line),
        }
    }

    #[test]
    fn garbage_never_panics_and_always_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200), pieces in proptest::collection::vec(prop::sample::select(&PIECES[..]), 0..30)) {
        for body in [bytes, pieces.concat().into_bytes()] {
            prop_assert!(lines(&body).len() <= body.len());
            prop_assert!(json(&body, &tenant()).count() <= body.len() + 1);
            let _ = native(LogRecord { attributes_json: body.into(), ..LogRecord::default() });
        }
    }
}
