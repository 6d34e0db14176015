use loglake_model::{Level, TenantName};
use proptest::prelude::*;

use crate::{RawDecoder, json_record};

fn tenant() -> TenantName {
    TenantName::parse("tenant-1").unwrap()
}

#[test]
fn fields_are_slices_and_attributes_are_joined() {
    let line = br#"{"a":1,"b":{"c":[]}, "ts":"2023-11-14T22:13:20.5Z","level":"WARN","tags":[ "x" ,"y\n"],"service":"api","msg":"m \"q\"","attributes":{"d" : null},"tenant_id":"tenant-1","e":-0.5e3,"host":null}"#;
    let mut decoder = RawDecoder::default();
    let raw = decoder.json(line, &tenant()).unwrap();
    assert_eq!(raw.timestamp_ns, Some(1_700_000_000_500_000_000));
    assert_eq!((raw.level, raw.service, raw.is_escaped), (Some(Level::Warn), "api", true));
    assert_eq!((raw.message, raw.host), (br#"m \"q\""#.as_slice(), b"".as_slice()));
    assert_eq!(raw.tags, br#""x","y\n""#);
    assert_eq!(raw.attributes, br#""a":1,"b":{"c":[]},"d":null,"e":-0.5e3"#);
    // Nothing of it is left for the next.
    let raw = decoder.json(br#"{"msg":"m"}"#, &tenant()).unwrap();
    assert_eq!((raw.tags, raw.attributes, raw.timestamp_ns), (b"".as_slice(), b"".as_slice(), None));
}

#[test]
fn what_is_unusual_is_left_to_the_ordinary_way() {
    for line in [
        "",
        "[]",
        "{",
        "{}x",
        r#"{"a":1,"a":2}"#,
        r#"{"ts":1,"time":2}"#,
        r#"{"host":null,"host":null}"#,
        r#"{"a\u0062":1}"#,
        r#"{"a":"\u00e9"}"#,
        r#"{"a":"\/"}"#,
        r#"{"a":[1, 2]}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":[[[[[[[[[1]]]]]]]]]}"#,
        r#"{"service":"\n"}"#,
        r#"{"service":1}"#,
        r#"{"level":"chatty"}"#,
        r#"{"ts":1.5}"#,
        r#"{"ts":-1}"#,
        r#"{"ts":9223372036854775808}"#,
        r#"{"ts":"2023-11-14T24:00:00Z"}"#,
        r#"{"tenant_id":"tenant-2"}"#,
        "{\"a\":\"\t\"}",
    ] {
        assert_eq!(RawDecoder::default().json(line.as_bytes(), &tenant()), None, "{line}");
    }
    // A field that comes twice, one that is not known, a length past the end, another kind of value.
    for bytes in [&b"\x22\x01a\x22\x01b"[..], b"\x5a\x00", b"\x22\x02a", b"\x20\x01", b"\x10\x07", b"\x1a\x01\xff"] {
        assert_eq!(RawDecoder::default().native(bytes), None, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn what_is_taken_is_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[{}\\[\\]\",:a1 \\\\n-]{0,30}") {
        let mut decoder = RawDecoder::default();
        let _ = decoder.native(&bytes);
        for line in [bytes, format!("{{\"k\":{text}}}").into_bytes(), text.into_bytes()] {
            if decoder.json(&line, &tenant()).is_some() {
                prop_assert!(json_record(&line, &tenant()).is_ok());
            }
        }
    }
}
