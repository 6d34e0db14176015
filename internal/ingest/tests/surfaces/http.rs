use std::io::Write as _;

use loglake_auth::Authenticator;
use loglake_ingest::{Config, metrics};

use crate::harness::{Harness, say};

fn line(message: &str) -> String {
    format!("{{\"service\":\"api\",\"message\":\"{message}\"}}")
}

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_bad_line_is_named_and_the_good_ones_beside_it_are_durable() {
    let harness = Harness::open().await;
    let lines: Vec<String> = (1..=10)
        .map(|n| if n == 4 { "{\"message\":\"no service\"}".to_owned() } else { line(&format!("m{n}")) })
        .collect();
    let said = say(harness.post(lines.join("\n"))).await;
    assert_eq!(said.status, 200);
    let rest = said.text.strip_prefix(
        r#"{"accepted":9,"rejected":1,"errors":[{"line":4,"field":"service","code":"missing","message":""#,
    );
    assert!(rest.is_some_and(|rest| rest.ends_with("\"}]}")), "{}", said.text);
    assert_eq!(said.headers["content-type"], "application/json");

    let stored = harness.broker.stored();
    assert_eq!(stored.len(), 9);
    assert!(stored.iter().all(|record| record.tenant == "default" && record.service == "api"));
    let first = r#"{"timestamp":"2023-11-14T22:13:20.000000000Z","service":"api","message":"m1"}"#;
    assert_eq!(stored[0].line, first);
    assert_eq!(harness.metric(metrics::RECORDS_TOTAL, &[]), 9.0);
    assert_eq!(harness.metric(metrics::REFUSED_RECORDS_TOTAL, &[("code", "missing")]), 1.0);
    assert_eq!(harness.metric(metrics::REQUESTS_TOTAL, &[("protocol", "http"), ("outcome", "ok")]), 1.0);
    assert_eq!(harness.metric(metrics::IN_FLIGHT_BYTES, &[]), 0.0);
    harness.stop().await;
}

#[tokio::test]
async fn every_type_and_encoding_that_is_spoken_is_read() {
    let harness = Harness::open().await;
    let (one, array) = (line("one"), format!("[{},{}]", line("a"), line("b")));
    let zstd = zstd::bulk::compress(array.as_bytes(), 1).unwrap();
    let twice = [gzip(format!("{one}\n").as_bytes()), gzip(one.as_bytes())].concat();
    let cases: [(&str, &str, Vec<u8>, u64); 9] = [
        ("", "", one.clone().into_bytes(), 1),
        ("application/x-ndjson", "identity", format!("\n{one}\r\n\n{one}\n").into_bytes(), 2),
        ("application/ndjson; charset=UTF-8", "", one.clone().into_bytes(), 1),
        ("application/json", "", array.clone().into_bytes(), 2),
        ("application/json;charset=\"utf-8\"", "", one.clone().into_bytes(), 1),
        ("Application/JSON", "gzip", gzip(array.as_bytes()), 2),
        ("application/json", "zstd", zstd, 2),
        ("application/x-ndjson", "GZIP", twice, 2),
        ("application/x-ndjson", "", Vec::new(), 0),
    ];
    let mut sum = 0;
    for (content_type, encoding, body, count) in cases {
        let mut request = harness.post(body);
        for (name, value) in [("content-type", content_type), ("content-encoding", encoding)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let said = say(request).await;
        let expected = format!("{{\"accepted\":{count},\"rejected\":0,\"errors\":[]}}");
        assert_eq!((said.status, said.text), (200, expected), "{content_type} {encoding}");
        sum += count as usize;
        assert_eq!(harness.broker.stored().len(), sum);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_request_larger_than_a_message_becomes_several() {
    let harness = Harness::open().await;
    let long = "x".repeat(200 << 10);
    let services = ["api", "web", "db"];
    let lines: Vec<String> = (0..30)
        .map(|n| format!("{{\"service\":\"{}\",\"message\":\"{n} {long}\"}}", services[n % services.len()]))
        .collect();
    let said = say(harness.post(lines.join("\n"))).await;
    assert_eq!((said.status, said.json["accepted"].as_u64()), (200, Some(30)));
    let mut numbers: Vec<usize> = harness
        .broker
        .stored()
        .iter()
        .map(|record| record.line.split("\"message\":\"").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(harness.broker.messages() >= 30 / 4);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    harness.stop().await;
}

#[tokio::test]
async fn requests_keep_their_valid_ids_and_get_one_otherwise() {
    let harness = Harness::open().await;
    let given = say(harness.post(line("m")).header("x-request-id", "mine-1")).await;
    assert_eq!(given.headers["x-request-id"], "mine-1");
    for bad in ["has blank", "quote\"", &"x".repeat(500)] {
        let made = say(harness.post("{").header("x-request-id", bad)).await;
        let id = made.headers["x-request-id"].to_str().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(made.json["error"]["request_id"], id);
    }
    harness.stop().await;
}

#[tokio::test]
async fn health_and_readiness_need_no_credential_and_other_paths_say_what_is_wrong() {
    let harness = Harness::with(Config::default(), Authenticator::with_tokens(Vec::new()).unwrap()).await;
    let client = reqwest::Client::new();
    for path in ["/health", "/ready"] {
        let said = say(client.get(harness.url(path))).await;
        assert_eq!(said.status, 200, "{path}");
        assert!(said.headers.contains_key("x-request-id"));
        assert_eq!(say(client.head(harness.url(path))).await.status, 200);
    }
    let lost = say(client.get(harness.url("/v2/nothing"))).await;
    assert_eq!((lost.status, lost.code()), (404, "not_found"));
    let wrong = say(client.get(harness.url("/v1/ingest"))).await;
    assert_eq!(
        (wrong.status, wrong.code(), wrong.headers["allow"].as_bytes()),
        (405, "unsupported", b"POST".as_slice())
    );
    let wrong = say(client.delete(harness.url("/ready"))).await;
    assert_eq!((wrong.status, wrong.headers["allow"].as_bytes()), (405, b"GET, HEAD".as_slice()));
    harness.stop().await;
}
