use loglake_model::FaultCode;

use super::*;

fn parse(body: &str) -> Result<Request, Fault> {
    Request::parse(body.as_bytes())
}

#[test]
fn a_whole_body_is_read() {
    let request = parse(
        r#"{"tenant_id":"t","service":"a","services":["b"],"from_ts":1700000000000,"to_ts":"2023-11-14T22:13:21Z","level":["ERROR","unknown"],
            "contains":"x","icontains":["y","z"],"regex":"r","trace_id":"0AF7","fields":[{"name":"n","op":"gt","value":1}],
            "direction":"forward","limit":10000,"cursor":null}"#,
    )
    .unwrap();
    assert_eq!(request.tenant_id.as_deref(), Some("t"));
    assert_eq!(request.filter.services.len(), 2);
    assert_eq!(
        (request.range.start_ns(), request.range.end_ns()),
        (1_700_000_000_000_000_000, 1_700_000_001_000_000_000)
    );
    assert_eq!(Vec::<String>::from(request.filter.levels.unwrap()), ["unknown", "error"]);
    assert_eq!(request.filter.contains, ["x"]);
    assert_eq!(request.filter.icontains, ["y", "z"]);
    assert_eq!(request.direction, Direction::Forward);
    assert_eq!((request.limit, request.cursor), (10_000, None));
}

#[test]
fn an_empty_body_asks_for_the_newest_hundred_of_all() {
    let request = parse("{}").unwrap();
    assert_eq!(request.filter, Filter::default());
    assert_eq!((request.direction, request.limit), (Direction::Backward, 100));
    assert_eq!(parse(r#"{"service":null,"limit":null}"#).unwrap(), request);
}

#[test]
fn levels_meet() {
    let both = parse(r#"{"level":["debug","error"],"min_level":"WARN"}"#).unwrap();
    assert_eq!(Vec::<String>::from(both.filter.levels.unwrap()), ["error"]);
}

#[test]
fn what_is_wrong_is_named() {
    let many = format!(r#"{{"contains":[{}"x"]}}"#, r#""x","#.repeat(100));
    for (body, field, code) in [
        (r#"{"contian":"x"}"#, "contian", FaultCode::UnknownField),
        (r#"{"limit":0}"#, "limit", FaultCode::Invalid),
        (r#"{"limit":-1}"#, "limit", FaultCode::Invalid),
        (r#"{"limit":1000000000}"#, "limit", FaultCode::Invalid),
        (r#"{"limit":"10"}"#, "limit", FaultCode::Invalid),
        (r#"{"limit":1.5}"#, "limit", FaultCode::Invalid),
        (r#"{"from_ts":2000,"to_ts":1000}"#, "from_ts", FaultCode::Invalid),
        (r#"{"from_ts":-5}"#, "from_ts", FaultCode::Invalid),
        (r#"{"to_ts":1.5}"#, "to_ts", FaultCode::Invalid),
        (r#"{"to_ts":"soon"}"#, "to_ts", FaultCode::Invalid),
        (r#"{"level":"chatty"}"#, "level", FaultCode::Invalid),
        (r#"{"min_level":"unknown"}"#, "min_level", FaultCode::Invalid),
        (r#"{"service":""}"#, "service", FaultCode::Invalid),
        (r#"{"services":"a"}"#, "services", FaultCode::Invalid),
        (r#"{"contains":5}"#, "contains", FaultCode::Invalid),
        (r#"{"direction":"up"}"#, "direction", FaultCode::Invalid),
        (r#"{"fields":[{"name":"a","op":"like"}]}"#, "fields[0]", FaultCode::Invalid),
        (r#"{"limit":5,"limit":6}"#, "limit", FaultCode::DuplicateKey),
        (&many, "contains", FaultCode::TooMany),
        ("[1]", "", FaultCode::Malformed),
        ("", "", FaultCode::Malformed),
        ("{\"limit\":1", "", FaultCode::Malformed),
    ] {
        let fault = parse(body).unwrap_err();
        assert_eq!((fault.field.as_str(), fault.code), (field, code), "{body}: {fault}");
    }
    assert!(parse("{\n\"limit\" 1}").unwrap_err().message.contains("line 2 column"), "place is told");
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&format!("{{{}\"a\":1}}", "\"b\":1,".repeat(50_000))).is_err());
}
