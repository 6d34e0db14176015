//! HTTP/1.1 as bytes: what no client's library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::site::Target;

/// How long a server may take to answer or to close.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait for more answers once there is one.
const QUIET: Duration = Duration::from_millis(300);

/// The head of a request.
pub(crate) fn head(method: &str, path: &str, token: &str, more: &[&str]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {token}\r\n");
    for line in more {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head + "\r\n"
}

/// Sends `bytes`, and returns everything that comes back until the server closes or has been quiet.
pub(crate) async fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // A server that has answered need not read the rest.
    let _cut = timeout(PATIENCE, stream.write_all(bytes)).await.expect("the server reads or closes");
    let mut answer = Vec::new();
    loop {
        let patience = if answer.is_empty() { PATIENCE } else { QUIET };
        match timeout(patience, stream.read_buf(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return answer,
            Ok(Ok(_)) => {}
            Err(_) if answer.is_empty() => panic!("no answer within {PATIENCE:?} to {}", text(bytes)),
            Err(_) => return answer,
        }
    }
}

/// The status of the first answer; none when the server has closed without one.
pub(crate) fn status(answer: &[u8]) -> Option<u16> {
    text(answer).strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()
}

/// How many answers there are.
fn answers(answer: &[u8]) -> usize {
    text(answer).matches("HTTP/1.1 ").count()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]).into_owned()
}

pub(crate) async fn run(target: Target) {
    for port in [target.ports.ingest_http, target.ports.query] {
        heads(port, &target).await;
        smuggling(port, &target).await;
    }
    bodies(&target).await;
}

/// Heads that are too large, or none.
async fn heads(port: u16, target: &Target) {
    let token = &target.evil;
    let long = "x".repeat(1 << 20);
    let many: Vec<String> = (0..10_000).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let same = vec!["X-Scope-OrgID: evil"; 5_000];
    let nul = "X-Nul: a\0b".to_owned();
    for (what, request) in [
        ("a long header", head("GET", "/health", token, &[&format!("X-Long: {long}")])),
        ("a long name of a header", head("GET", "/health", token, &[&format!("{long}: 1")])),
        ("a long path", head("GET", &format!("/{long}"), token, &[])),
        ("a long parameter", head("GET", &format!("/v1/services?from_ts={long}"), token, &[])),
        ("a long method", head(&long, "/health", token, &[])),
        ("many headers", head("GET", "/health", token, &many)),
        ("a header many times", head("GET", "/health", token, &same)),
        ("NUL in a header", head("GET", "/health", token, &[&nul])),
        ("a blank before the colon", head("GET", "/health", token, &["Content-Length : 5"])),
        ("a line without colon", head("GET", "/health", token, &["nothing"])),
        ("no version", "GET /health\r\n\r\n".to_owned()),
        ("another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n".to_owned()),
        ("a method that is none", head("GE\u{7f}T", "/health", token, &[])),
        ("a version that is none", "GET /health HTTP/9.9\r\nHost: x\r\n\r\n".to_owned()),
        ("a blank in the path", "GET /hea lth HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
    ] {
        let answer = exchange(port, request.as_bytes()).await;
        // Closed without a word is as good.
        let is_refused = status(&answer).is_none_or(|status| (400..500).contains(&status));
        assert!(is_refused && answers(&answer) <= 1, "{what} at {port}: {}", text(&answer));
    }
}

/// Requests whose end two readers could see in two places: never is a second request found in the first one's body.
async fn smuggling(port: u16, target: &Target) {
    // The one that would be slipped in is recognised by its answer.
    let inner = format!("GET /smuggled HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n", target.good);
    let path = if port == target.ports.query { "/v1/query" } else { "/v1/ingest" };
    let chunked = format!("0\r\n\r\n{inner}");
    let whole = chunked.len();
    let length = format!("Content-Length: {whole}");
    for (what, lines, body) in [
        ("two ways to say the length", vec![&*length, "Transfer-Encoding: chunked"], &chunked),
        ("the same the other way around", vec!["Transfer-Encoding: chunked", &*length], &chunked),
        ("two lengths", vec!["Content-Length: 2", &*length], &format!("{{}}{inner}")),
        ("two lengths in a line", vec![&*format!("Content-Length: 2, {whole}")], &format!("{{}}{inner}")),
        ("a length with a sign", vec!["Content-Length: +2"], &format!("{{}}{inner}")),
        ("a negative length", vec!["Content-Length: -1"], &inner),
        ("a length in another base", vec!["Content-Length: 0x2"], &format!("{{}}{inner}")),
        ("a length past all numbers", vec!["Content-Length: 99999999999999999999999"], &inner),
        ("another coding", vec!["Transfer-Encoding: xchunked"], &chunked),
        ("chunks that are not last", vec!["Transfer-Encoding: chunked, identity"], &chunked),
        ("a coding with a tab", vec!["Transfer-Encoding:\tchunked\x0b"], &chunked),
        ("a folded line", vec!["Transfer-Encoding:", " chunked", &*length], &chunked),
        (
            "a chunk's length past all numbers",
            vec!["Transfer-Encoding: chunked"],
            &format!("FFFFFFFFFFFFFFFFF\r\n{inner}"),
        ),
        ("a chunk's length with a sign", vec!["Transfer-Encoding: chunked"], &format!("-2\r\n{inner}")),
        ("a chunk that ends elsewhere", vec!["Transfer-Encoding: chunked"], &format!("2\r\n{{}}x{inner}")),
        ("an endless extension", vec!["Transfer-Encoding: chunked"], &format!("2;{}\r\n{inner}", "x".repeat(100_000))),
    ] {
        let mut lines = lines;
        lines.push("Content-Type: application/json");
        let request = head("POST", path, &target.evil, &lines) + body;
        let answer = exchange(port, request.as_bytes()).await;
        assert!(answers(&answer) <= 1, "{what} at {port}: two answers to one request: {}", text(&answer));
    }
}

/// Bodies that are not as long as they say, or have no end.
async fn bodies(target: &Target) {
    let (ingest, query) = (target.ports.ingest_http, target.ports.query);
    let json = ["Content-Type: application/json"];
    for (port, path, length, expected) in [
        (ingest, "/v1/ingest", u64::MAX - 2, 413),
        (ingest, "/v1/ingest", 1 << 40, 413),
        (ingest, "/v1/ingest", (16 << 20) + 1, 413),
        (query, "/v1/query", 1 << 40, 413),
        (query, "/v1/aggregate", (1 << 20) + 1, 413),
        (query, "/v1/tokens", 1 << 40, 403),
    ] {
        let request = head("POST", path, &target.evil, &[json[0], &format!("Content-Length: {length}")]);
        // The head alone is enough for an answer.
        let answer = exchange(port, request.as_bytes()).await;
        assert_eq!(status(&answer), Some(expected), "{path} of {length}: {}", text(&answer));
    }
    // Announced and never sent: many at a time, each of the most that there may be.
    let mut silent = Vec::new();
    for _ in 0..200 * crate::size().min(4) {
        let mut stream = TcpStream::connect(("127.0.0.1", ingest)).await.unwrap();
        let request = head("POST", "/v1/ingest", &target.evil, &[json[0], &format!("Content-Length: {}", 16 << 20)]);
        stream.write_all(format!("{request}[").as_bytes()).await.unwrap();
        silent.push(stream);
    }
    // Chunks without an end.
    for (port, path, most) in [(ingest, "/v1/ingest", 17 << 20), (query, "/v1/query", 2 << 20)] {
        let mut request = head("POST", path, &target.evil, &[json[0], "Transfer-Encoding: chunked"]).into_bytes();
        let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
        (0..most / 0x10000).for_each(|_| request.extend_from_slice(&chunk));
        let answer = exchange(port, &request).await;
        // The server may have closed before the client has read the answer.
        assert!(matches!(status(&answer), Some(413) | None), "{path}: {}", text(&answer));
    }
    // A body that ends before it should.
    for port in [ingest, query] {
        let path = if port == ingest { "/v1/ingest" } else { "/v1/query" };
        let request = head("POST", path, &target.evil, &[json[0], "Content-Length: 1000"]) + "{}";
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _reset = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(status(&answer).is_none_or(|status| status == 400), "{path}: {}", text(&answer));
    }
}
