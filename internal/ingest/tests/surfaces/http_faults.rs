use std::time::Duration;

use loglake_auth::Authenticator;
use loglake_ingest::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Harness, Mode, SOON, say};
use crate::http::gzip;

const GOOD: &str = r#"{"service":"api","message":"good"}"#;

fn small() -> Config {
    Config {
        max_body_bytes: 64 << 10,
        max_decoded_bytes: 256 << 10,
        in_flight_bytes: 256 << 10,
        body_timeout: Duration::from_millis(800),
        ..Config::default()
    }
}

#[tokio::test]
async fn each_bad_line_is_told_by_its_number_and_the_rest_is_kept() {
    let harness = Harness::open().await;
    let deep = format!("{{\"service\":\"a\",\"message\":\"m\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let many = (0..300).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let many = format!("{{\"service\":\"a\",\"message\":\"m\",{many}}}");
    let long = format!("{{\"service\":\"a\",\"message\":\"{}\"}}", "x".repeat((256 << 10) + 1));
    let cases: [(&[u8], &str); 17] = [
        (b"{\"service\":\"a\",", "malformed"),
        (b"not json", "malformed"),
        (b"{\"service\":\"a\",\"message\":\"m\"} trailing", "malformed"),
        (b"[1]", "malformed"),
        (deep.as_bytes(), "too_deep"),
        (many.as_bytes(), "too_many"),
        (long.as_bytes(), "too_long"),
        (b"{\"service\":\"a\",\"message\":\"m\",\"x\":1,\"x\":2}", "duplicate_key"),
        (b"{\"service\":\"a\",\"message\":\"m\",\"msg\":\"n\"}", "duplicate_key"),
        (b"{\"service\":\"a\",\"message\":\"\xff\xfe\"}", "invalid_utf8"),
        (b"{\"service\":\"a\",\"message\":\"\\ud800\"}", "malformed"),
        (b"{\"service\":\"a\",\"message\":\"\"}", "missing"),
        (b"{\"service\":\"\",\"message\":\"m\"}", "missing"),
        (b"{\"service\":\"a\\u0000\",\"message\":\"m\"}", "invalid"),
        (b"{\"service\":\"a\",\"message\":\"m\",\"timestamp\":-1}", "invalid"),
        (b"{\"service\":\"a\",\"message\":\"m\",\"timestamp\":\"2023-11-15T22:13:20Z\"}", "too_far_ahead"),
        (b"{\"service\":\"a\",\"message\":\"m\",\"tenant_id\":\"other\"}", "forbidden"),
    ];
    let mut body = Vec::new();
    for (bad, _) in cases {
        body.extend_from_slice(GOOD.as_bytes());
        body.push(b'\n');
        body.extend_from_slice(bad);
        body.push(b'\n');
    }
    // Legal, however strange.
    body.extend_from_slice("{\"service\":\"a\",\"message\":\"\\u0000\u{202e}\\u001b[31m\"}".as_bytes());
    let said = say(harness.post(body)).await;
    assert_eq!(said.status, 200);
    let errors = said.json["errors"].as_array().unwrap();
    for (at, (bad, code)) in cases.iter().enumerate() {
        let text = String::from_utf8_lossy(&bad[..bad.len().min(80)]).into_owned();
        assert_eq!(errors[at]["line"], 2 * at as u64 + 2, "{text}");
        // What a lone surrogate is called is the decoder's to say, as long as it is not taken.
        if !text.contains("ud800") {
            assert_eq!(errors[at]["code"], *code, "{text}: {}", errors[at]);
        }
    }
    assert_eq!(said.json["accepted"], cases.len() as u64 + 1);
    assert_eq!(harness.broker.stored().len(), cases.len() + 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_hundred_errors_are_listed_and_all_are_counted() {
    let harness = Harness::open().await;
    let said = say(harness.post("{}\n".repeat(250))).await;
    assert_eq!((said.status, said.code()), (400, "missing"));
    assert_eq!((said.json["accepted"].as_u64(), said.json["rejected"].as_u64()), (Some(0), Some(250)));
    assert_eq!(said.json["errors"].as_array().unwrap().len(), 100);
    assert_eq!(said.json["error"]["record_index"], 0);
    assert!(harness.broker.stored().is_empty());
    harness.stop().await;
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_as_a_whole() {
    let harness = Harness::with(small(), Authenticator::open()).await;
    let bomb = vec![b' '; 8 << 20];
    let zstd_bomb = zstd::bulk::compress(&bomb, 1).unwrap();
    let mut cut = gzip(GOOD.as_bytes());
    cut.truncate(cut.len() - 4);
    let cases: [(&str, &str, Vec<u8>, u16, &str); 11] = [
        ("text/plain", "", GOOD.into(), 415, "unsupported"),
        ("application/x-protobuf", "", GOOD.into(), 415, "unsupported"),
        ("application/json; charset=utf-16", "", GOOD.into(), 415, "unsupported"),
        ("", "br", GOOD.into(), 415, "unsupported"),
        ("", "gzip, gzip", GOOD.into(), 415, "unsupported"),
        ("", "gzip", gzip(&bomb), 413, "too_large"),
        ("", "zstd", zstd_bomb, 413, "too_large"),
        ("", "gzip", GOOD.into(), 400, "malformed"),
        ("", "zstd", gzip(GOOD.as_bytes()), 400, "malformed"),
        ("", "gzip", cut, 400, "malformed"),
        ("", "", vec![b'x'; (64 << 10) + 1], 413, "too_large"),
    ];
    for (content_type, encoding, body, status, code) in cases {
        let mut request = harness.post(body);
        for (name, value) in [("content-type", content_type), ("content-encoding", encoding)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let said = say(request).await;
        assert_eq!((said.status, said.code()), (status, code), "{content_type} {encoding} {}", said.text);
        assert!(said.json["error"]["request_id"].is_string());
    }
    // Without an announced length the limit holds all the same.
    let pieces = futures_util::stream::iter((0..65).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1024])));
    let said = say(harness.post(reqwest::Body::wrap_stream(pieces))).await;
    assert_eq!((said.status, said.code()), (413, "too_large"));
    assert_eq!(say(harness.post(GOOD)).await.status, 200);
    harness.stop().await;
}

async fn raw(harness: &Harness, text: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(harness.http).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
    answer.truncate(length);
    (stream, String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn lengths_that_lie_and_bodies_that_dawdle_hold_up_nobody() {
    let harness = Harness::with(small(), Authenticator::open()).await;
    let head = "POST /v1/ingest HTTP/1.1\r\nhost: x\r\n";
    let (_, answer) = raw(&harness, &format!("{head}content-length: 99999999999\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let (_, answer) = raw(&harness, &format!("{head}content-length: minus one\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    // Each announces all there is; together they would leave nothing for others.
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(harness.http).await.unwrap();
        stream.write_all(format!("{head}content-length: 65536\r\n\r\n{{").as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(say(harness.post(GOOD)).await.status, 200);
    for mut stream in slow {
        let mut answer = vec![0; 4096];
        let length = tokio::time::timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("timed_out"), "{answer}");
    }
    // Gone in the middle of a body.
    let mut gone = TcpStream::connect(harness.http).await.unwrap();
    gone.write_all(format!("{head}content-length: 100\r\n\r\n{GOOD}").as_bytes()).await.unwrap();
    drop(gone);
    assert_eq!(say(harness.post(GOOD)).await.status, 200);
    assert_eq!(harness.broker.stored().len(), 2);
    harness.stop().await;
}

#[tokio::test]
async fn what_the_broker_did_not_confirm_is_not_acknowledged() {
    let harness = Harness::open().await;
    // Two services of different partitions: one message is durable, the other is not.
    let both = format!("{GOOD}\n{{\"service\":\"web\",\"message\":\"m\"}}\n{{}}\n");
    harness.broker.become_(Mode::FailsAfter(1));
    let said = say(harness.post(both)).await;
    assert_eq!((said.status, said.code()), (503, "unavailable"));
    assert_eq!(said.json["accepted"], 1);
    assert_eq!(said.json["rejected"], 1);
    assert!(said.headers.contains_key("retry-after"));
    assert_eq!(harness.broker.stored().len(), 1);

    let said = say(harness.post(GOOD)).await;
    assert_eq!((said.status, said.json["accepted"].as_u64()), (503, Some(0)));
    harness.broker.become_(Mode::IsFull);
    let said = say(harness.post(GOOD)).await;
    assert_eq!((said.status, said.code()), (429, "rate_limited"));
    harness.broker.become_(Mode::Works);
    assert_eq!(say(harness.post(GOOD)).await.status, 200);
    assert_eq!(harness.broker.stored().len(), 2);
    harness.stop().await;
}

#[tokio::test]
async fn a_broker_that_stalls_is_given_up_on_in_time() {
    let config = Config { append_timeout: Duration::from_millis(100), ..Config::default() };
    let harness = Harness::with(config, Authenticator::open()).await;
    harness.broker.become_(Mode::Stalls);
    let said = say(harness.post(GOOD)).await;
    assert_eq!((said.status, said.json["accepted"].as_u64()), (503, Some(0)));
    harness.stop().await;
}

#[tokio::test]
async fn past_the_bytes_in_flight_callers_are_told_to_slow_down() {
    let harness = Harness::with(small(), Authenticator::open()).await;
    harness.broker.become_(Mode::Stalls);
    let line = format!("{{\"service\":\"api\",\"message\":\"{}\"}}", "x".repeat(60 << 10));
    let waiting: Vec<_> = (0..4).map(|_| tokio::spawn(say(harness.post(line.clone())))).collect();
    harness.broker.asked(4).await;
    // Four of 60 KiB wait, that is 240 of 256 KiB: the fifth does not fit.
    let said = say(harness.post(line.clone())).await;
    assert_eq!((said.status, said.code()), (429, "rate_limited"));
    assert_eq!(said.headers["retry-after"], "1");
    // One that expands past it is refused as well.
    let said = say(harness.post(gzip(line.as_bytes())).header("content-encoding", "gzip")).await;
    assert_eq!(said.status, 429);
    assert_eq!(harness.broker.asked_so_far(), 4);

    harness.broker.become_(Mode::Works);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(say(harness.post(line)).await.status, 200);
    harness.stop().await;
}
