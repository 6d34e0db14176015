//! Bodies of HTTP ingest: lines and an array of the same records come to the same; nothing inflates past its limit.

use bytes::Bytes;
use loglake_formats::{inflate, json, json_record, lines, ndjson};
use loglake_model::TenantName;
use serde::de::IgnoredAny;

use crate::memory;

/// The most that may come out of an encoded body.
const MOST_BYTES: usize = 256 << 10;
/// What a decoder of the encodings itself takes: a window of 8 MiB, and its tables.
const DECODER_BYTES: usize = 9 << 20;

/// Takes an input. The first byte: how it is encoded.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 4 {
        0 => both_shapes(bytes),
        1 => array(bytes),
        2 => inflated("gzip", bytes),
        _ => inflated("zstd", bytes),
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let records = br#"{"ts":"2023-11-14T22:13:20.5Z","level":"WARN","service":"api","msg":"m","x":{"y":[1,-0.5e3,true]}}
{"timestamp":1700000000123,"service":"api","message":"m","tags":["a","b\n"],"tenant_id":"tenant-1"}

{"service":"api"}"#;
    let array = br#" [{"service":"api","message":"m"} , {"a":1,"a":2}, 7, "x"] "#;
    // `gzip` and `zstd` of "{}\n".
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\xe5\x02\x00\x86\x3f\xc3\x5b\x03\x00\x00\x00";
    let zstd = b"\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00{}\n";
    let blocks = b"\x28\xb5\x2f\xfd\x00\x50\x02\x00\x10 \x03\x00\x10 ";
    [(0, &records[..]), (1, array), (1, records), (2, gzip), (3, zstd), (3, blocks)]
        .map(|(kind, bytes)| [&[kind], bytes].concat())
        .to_vec()
}

fn tenant() -> TenantName {
    TenantName::parse("tenant-1").expect("a name")
}

/// Each line that is JSON at all is the same record in an array.
fn both_shapes(body: &[u8]) {
    let tenant = tenant();
    let decoded: Vec<_> = ndjson(body, &tenant).collect();
    assert_eq!(decoded.len(), lines(body).count());
    let whole: Vec<&[u8]> =
        lines(body).map(|(_, line)| line).filter(|line| serde_json::from_slice::<IgnoredAny>(line).is_ok()).collect();
    let array = [b"[", &whole.join(&b","[..])[..], b"]"].concat();
    let of_array: Vec<_> = json(&array, &tenant).collect();
    assert_eq!(of_array.len(), whole.len(), "{}", String::from_utf8_lossy(&array));
    for (line, decoded) in whole.iter().zip(&of_array) {
        assert_eq!(json_record(line.trim_ascii(), &tenant), decoded.record);
    }
    // A record is JSON, and JSON of the ordinary kind.
    for (_, line) in lines(body) {
        if json_record(line, &tenant).is_ok() {
            assert!(serde_json::from_slice::<IgnoredAny>(line).is_ok(), "{}", String::from_utf8_lossy(line));
        }
    }
}

/// An array that is none ends somewhere, and never yields more than there are bytes.
fn array(body: &[u8]) {
    let tenant = tenant();
    let count = memory::at_most(80 * body.len() + (64 << 10), || json(body, &tenant).count());
    assert!(count <= body.len() + 1);
}

fn inflated(encoding: &str, bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let out = memory::at_most(2 * MOST_BYTES + DECODER_BYTES, || inflate(Some(encoding), body.clone(), MOST_BYTES));
    let Ok(out) = out else { return };
    assert!(out.len() <= MOST_BYTES);
    // Neither more nor less than all of it.
    assert_eq!(inflate(Some(encoding), body.clone(), out.len()).ok(), Some(out.clone()));
    if let Some(less) = out.len().checked_sub(1) {
        assert!(inflate(Some(encoding), body, less).is_err());
    }
}
