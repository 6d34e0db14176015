//! Records whose times, bytes or order are wrong, against the running program: each gets the answer that the documentation names,
//! and what stands beside it is kept.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::ingest_service_client::IngestServiceClient;
use loglake_api::ingest::v1::{Batch, IngestRequest, LogRecord, Open};
use loglake_integration::{Client, Dev, send};
use rand::prelude::*;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic::{Code, Status};

const SECONDS: i64 = 1_772_323_200;

fn record(message: &str, timestamp_ns: i64) -> LogRecord {
    let (service, message) = ("times".to_owned(), message.to_owned());
    LogRecord { service, message, timestamp_ns: timestamp_ns as u64, ..LogRecord::default() }
}

fn now_ns() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a test")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_nanos()).unwrap()
}

#[tokio::test]
async fn times_are_read_in_every_unit_and_refused_when_they_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let env = [("LOGLAKE_PROCESSOR_MAX_OPEN_CHUNKS", "100")];
    let mut dev = Dev::start(&folder.path().join("data"), &env).await;
    let ingest = Client::new(dev.ports.ingest_url());
    let query = Client::new(dev.ports.query_url());
    let began = now_ns();
    let same = "2026-03-01T00:00:00.000000000Z";
    let cases: [(Value, Result<Option<&str>, &str>); 18] = [
        (json!(SECONDS), Ok(Some(same))),
        (json!(SECONDS * 1_000), Ok(Some(same))),
        (json!(SECONDS * 1_000_000), Ok(Some(same))),
        (json!(SECONDS * 1_000_000_000), Ok(Some(same))),
        (json!("2026-03-01T00:00:00Z"), Ok(Some(same))),
        (json!("2026-03-01T02:00:00+02:00"), Ok(Some(same))),
        (json!("1772323200"), Ok(Some(same))),
        (Value::Null, Ok(None)),
        (json!("1970-01-01T00:00:01Z"), Ok(Some("1970-01-01T00:00:01.000000000Z"))),
        (json!(-1), Err("invalid")),
        (json!(i64::MIN), Err("invalid")),
        (json!(u64::MAX), Err("invalid")),
        (json!("1969-12-31T23:59:59Z"), Err("invalid")),
        (json!("2262-05-01T00:00:00Z"), Err("invalid")),
        (json!("2026-02-30T00:00:00Z"), Err("invalid")),
        (json!("yesterday"), Err("invalid")),
        (json!(now_ns() + 7_200_000_000_000), Err("too_far_ahead")),
        (json!({}), Err("invalid")),
    ];
    for (n, (ts, expected)) in cases.iter().enumerate() {
        let message = format!("case {n} ends");
        let body = json!({"service": "times", "message": message, "ts": ts}).to_string();
        let (status, answer) = ingest.post("/v1/ingest", body).await;
        let expected = match expected {
            Ok(time) => time,
            Err(code) => {
                assert_eq!(
                    (status, &answer["error"]["code"]),
                    (StatusCode::BAD_REQUEST, &json!(code)),
                    "{ts}: {answer}"
                );
                continue;
            }
        };
        assert_eq!(status, StatusCode::OK, "{ts}: {answer}");
        let found = query.all(&json!({"contains": message}), 10).await;
        assert_eq!(found.len(), 1, "{ts}");
        match expected {
            Some(time) => assert_eq!(found[0]["timestamp"], json!(time), "{ts}"),
            // The time of receipt.
            None => {
                let between = json!({"contains": message, "from_ts": began, "to_ts": now_ns() + 1});
                assert_eq!(query.all(&between, 10).await.len(), 1, "{ts}: {}", found[0]);
            }
        }
    }

    // gRPC has nanoseconds alone; 0 is none.
    let wrong = [i64::MIN, i64::MAX, -1, now_ns() + 7_200_000_000_000];
    let records = wrong.iter().chain(&[0, 1]).map(|ns| record("by gRPC", *ns)).collect();
    let result = send::batch(&dev.ports.grpc_url(), &[], records).await.unwrap();
    assert_eq!((result.accepted, result.rejected), (2, 4), "{result:?}");
    assert_eq!(result.errors.iter().map(|error| error.record_index).collect::<Vec<_>>(), [0, 1, 2, 3]);

    // Times that have nothing to do with one another: more chunks than may be open, and all of it comes back.
    let mut rng = StdRng::seed_from_u64(7);
    let records: Vec<LogRecord> =
        (0..1_000).map(|n| record(&format!("anywhen {n}"), rng.random_range(0..now_ns()))).collect();
    for part in records.chunks(100) {
        assert_eq!(send::batch(&dev.ports.grpc_url(), &[], part.to_vec()).await.unwrap().accepted, 100);
    }
    let found = query.all(&json!({"contains": "anywhen", "direction": "forward"}), 300).await;
    assert_eq!(found.len(), 1_000);
    let times: Vec<&str> = found.iter().map(|item| item["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
    dev.process.stop().await;
    dev.set("LOGLAKE_INGEST_MAX_AGE", "1d");
    dev.restart().await;
    let (status, answer) =
        ingest.post("/v1/ingest", json!({"service": "s", "message": "m", "ts": SECONDS - 864_000}).to_string()).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("too_old")), "{answer}");
    assert_eq!(query.all(&json!({"contains": "anywhen"}), 1_000).await.len(), 1_000, "flushed, they are there too");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_the_fault_of_their_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[]).await;
    let ingest = Client::new(dev.ports.ingest_url());
    let good = br#"{"service":"s","message":"good"}"#;
    let bad: [(&[u8], &str); 9] = [
        (b"{\"service\":\"s\",\"message\":\"\xff\"}", "invalid_utf8"),
        (b"{\"service\":\"s\",\"message\":\"\xc0\xae\"}", "invalid_utf8"),
        (b"{\"service\":\"s\",\"message\":\"\xed\xa0\x80\"}", "invalid_utf8"),
        (b"{\"service\":\"s\",\"message\":\"\xf4\x90\x80\x80\"}", "invalid_utf8"),
        (b"{\"service\":\"s\",\"message\":\"a\0b\"}", "malformed"),
        (b"{\"service\":\"s\",\"message\":\"a\tb\"}", "malformed"),
        (br#"{"service":"s","message":"\udc00\ud800"}"#, "invalid_utf8"),
        (br#"{"service":"s","message":"\x41"}"#, "malformed"),
        (br#"{"service":"s\u0000","message":"m"}"#, "invalid"),
    ];
    let mut body = Vec::new();
    for (line, _) in bad {
        body.extend_from_slice(&[good, &b"\n"[..], line, b"\n"].concat());
    }
    let (status, answer) = ingest.post_typed("/v1/ingest", "application/x-ndjson", body).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(bad.len())), "{answer}");
    for (n, (line, code)) in bad.iter().enumerate() {
        let error = &answer["errors"][n];
        let shown = String::from_utf8_lossy(line);
        assert_eq!((&error["line"], &error["code"]), (&json!(2 * n + 2), &json!(code)), "{shown}: {error}");
    }
    let query = Client::new(dev.ports.query_url());
    assert_eq!(query.all(&json!({}), 100).await.len(), bad.len());
    // The body of a query is one text.
    for body in [&b"{\"contains\":\"\xff\"}"[..], b"\xff\xfe{\0}\0", b"{}\0"] {
        assert_eq!(query.post("/v1/query", body).await.0, StatusCode::BAD_REQUEST);
    }
}

/// How a stream that sends `requests` ends, after how many answers.
async fn stream(url: &str, requests: Vec<IngestRequest>) -> (usize, Option<Status>) {
    let mut client = IngestServiceClient::connect(url.to_owned()).await.unwrap();
    // A client that ends its stream at once may never hear why it was wrong.
    let requests = futures_util::StreamExt::chain(tokio_stream::iter(requests), futures_util::stream::pending());
    let mut answers = client.ingest(requests).await.unwrap().into_inner();
    let mut heard = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(30), answers.message()).await.expect("an answer or the end") {
            Ok(Some(_)) => heard += 1,
            Ok(None) => return (heard, None),
            Err(status) => return (heard, Some(status)),
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_the_order_ends_with_the_fitting_status_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[]).await;
    let url = dev.ports.grpc_url();
    let open = |session, token: &str| {
        let open = Open { session_token: token.to_owned(), session };
        IngestRequest { kind: Some(Kind::Open(open)) }
    };
    let batch = |number, oldest_unacknowledged| {
        let records = vec![record(&format!("number {number}"), 0)];
        IngestRequest { kind: Some(Kind::Batch(Batch { number, records, oldest_unacknowledged })) }
    };
    let other = Client::new(dev.ports.ingest_url());
    for (what, requests, expected) in [
        ("a batch first", vec![batch(1, 1)], Code::InvalidArgument),
        ("opened twice", vec![open(false, ""), open(false, "")], Code::InvalidArgument),
        ("neither", vec![IngestRequest { kind: None }], Code::InvalidArgument),
        ("neither, later", vec![open(false, ""), IngestRequest { kind: None }], Code::InvalidArgument),
        ("a number left out", vec![open(false, ""), batch(1, 0), batch(3, 0)], Code::InvalidArgument),
        ("a number going back", vec![open(false, ""), batch(2, 0), batch(1, 0)], Code::InvalidArgument),
        ("number 0 of a session", vec![open(true, ""), batch(0, 0)], Code::InvalidArgument),
        ("a number too far ahead", vec![open(true, ""), batch(300, 1)], Code::InvalidArgument),
        ("older than what was said", vec![open(true, ""), batch(9, 9), batch(2, 2)], Code::InvalidArgument),
        ("an unknown session", vec![open(true, "s1.default.00.0.4.00")], Code::NotFound),
        ("no session at all", vec![open(true, &"x".repeat(10_000))], Code::NotFound),
    ] {
        let (_, ended) = stream(&url, requests).await;
        let ended = ended.unwrap_or_else(|| panic!("{what}: it ended well"));
        assert_eq!(ended.code(), expected, "{what}: {ended:?}");
        let body = json!({"service": "other", "message": what}).to_string();
        assert_eq!(other.post("/v1/ingest", body).await.0, StatusCode::OK, "{what}");
    }
    let empty = send::batch(&url, &[], vec![]).await.unwrap();
    assert_eq!((empty.accepted, empty.rejected), (0, 0), "a batch of nothing is taken");
    let query = Client::new(dev.ports.query_url());
    assert_eq!(query.all(&json!({"service": "other"}), 100).await.len(), 11);
    // What came before the fault was acknowledged, and is there: 1 of "left out", 2 of "going back", 9 of "older".
    assert_eq!(query.all(&json!({"service": "times"}), 100).await.len(), 3);
}
