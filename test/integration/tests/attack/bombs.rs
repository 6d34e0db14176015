//! A few KB that would become gigabytes: over HTTP and gRPC, by size, by declared size, in layers, in members.

use std::io::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use crate::site::Target;

const MIB: usize = 1 << 20;
/// How many of a kind are sent at once.
const AT_ONCE: usize = 3;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// A gigabyte of blanks in about a MB: a member sixteen times.
fn gzip_members() -> Vec<u8> {
    gzip(&vec![b' '; 64 * MIB]).repeat(16)
}

/// `blocks` blocks of 128 KiB of blanks each, in 4 bytes each (RFC 8878, section 3.1.1.2). `head` is the frame's header.
fn zstd_blocks(head: &[u8], blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd];
    frame.extend_from_slice(head);
    for n in 1..=blocks {
        let header = (128_u32 * 1024) << 3 | 1 << 1 | u32::from(n == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

/// Windows of 1 MiB; nothing is said of the size.
const WINDOW: [u8; 2] = [0x00, 0x50];

fn bombs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let gigabyte = zstd_blocks(&WINDOW, 8 * 1024);
    // One segment as large as what is declared: the decoder would need a window of that.
    let declared = |bytes: u64| [&[0xe0][..], &bytes.to_le_bytes()].concat();
    let mut lying = gzip(&vec![b' '; 64 * MIB + 1]);
    let end = lying.len();
    lying[end - 4..].copy_from_slice(&5_u32.to_le_bytes());
    vec![
        ("gzip", "a gigabyte in members", gzip_members()),
        ("gzip", "a byte too many, and a lie about it", lying),
        ("gzip", "empty members", gzip(b"").repeat(800_000)),
        ("gzip", "in layers", gzip(&gzip(&gzip_members()))),
        ("zstd", "a gigabyte in blocks", gigabyte.clone()),
        ("zstd", "in layers", zstd(&zstd(&gigabyte))),
        ("zstd", "2^60 declared", zstd_blocks(&declared(1 << 60), 1)),
        ("zstd", "4 GiB declared", zstd_blocks(&declared(4 << 30), 8 * 1024)),
        ("zstd", "the largest window there is", zstd_blocks(&[0x00, 0xff], 1)),
        ("zstd", "frames that are skipped", [&[0x50, 0x2a, 0x4d, 0x18][..], &u32::MAX.to_le_bytes()].concat()),
        ("zstd", "frames of nothing", zstd(b"").repeat(500_000)),
        ("gzip", "no end", gzip(&vec![b' '; MIB])[..500].to_vec()),
        ("zstd", "no end", gigabyte[..500].to_vec()),
    ]
}

pub(crate) async fn run(target: Target) {
    http(&target).await;
    grpc(&target).await;
    small_records(&target).await;
    unfinished(&target).await;
}

async fn http(target: &Target) {
    let client = reqwest::Client::new();
    let url = format!("{}/v1/ingest", target.ports.ingest_url());
    for (encoding, what, bomb) in bombs() {
        let send = || {
            let request = client.post(&url).bearer_auth(&target.evil).header("content-type", "application/x-ndjson");
            request.header("content-encoding", encoding).body(bomb.clone()).send()
        };
        // Several at a time must not help.
        for answer in join_all((0..AT_ONCE).map(|_| send())).await {
            // Answered before all of it was read, and closed.
            let Ok(answer) = answer else { continue };
            let status = answer.status();
            let is_right = match what {
                // Of nothing comes nothing.
                "empty members" | "frames of nothing" => status == StatusCode::OK,
                "no end" | "in layers" | "frames that are skipped" => status == StatusCode::BAD_REQUEST,
                _ => matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST),
            };
            // What waits for the others may be told to come again.
            assert!(is_right || status == StatusCode::TOO_MANY_REQUESTS, "{encoding}, {what}: {status}");
        }
        // Two encodings at once are none.
        for both in [format!("{encoding}, {encoding}"), format!("{encoding},gzip")] {
            let request = client.post(&url).bearer_auth(&target.evil).header("content-encoding", both);
            if let Ok(answer) = request.body(bomb.clone()).send().await {
                assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
        }
        // Where nothing is decompressed, nothing is.
        let request = client.post(format!("{}/v1/query", target.ports.query_url())).bearer_auth(&target.evil);
        let request = request.header("content-encoding", encoding).body(b"{}".to_vec());
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{what}");
    }
}

async fn grpc(target: &Target) {
    let many = AT_ONCE * crate::size().min(8);
    for (encoding, what, bomb) in bombs() {
        let calls = join_all((0..many).map(|_| call(target, "IngestBatch", Some(encoding), &bomb))).await;
        let streams = join_all((0..many).map(|_| call(target, "Ingest", Some(encoding), &bomb))).await;
        for status in calls.into_iter().chain(streams) {
            // 0: an empty message is a batch of no records. A stream whose first message is not `open` is 3. 8: come again. 13: what came
            // out is no batch.
            let is_right = match what {
                "empty members" | "frames of nothing" => matches!(status, 0 | 3 | 8),
                "no end" | "frames that are skipped" => matches!(status, 3 | 8),
                "in layers" => matches!(status, 8 | 13),
                _ => matches!(status, 3 | 8 | 11),
            };
            assert!(is_right, "{encoding}, {what}: grpc-status {status}");
        }
    }
}

/// Few bytes each, and many: what stands for them in memory is larger than they are.
async fn small_records(target: &Target) {
    // `records`, empty.
    let records = b"\x12\x00".repeat(8 * MIB - 1);
    // One record with a service, a message, and nothing but tags; one of unknown fields.
    let tags = |count: usize| {
        let tags = [&b"\x1a\x01s\x22\x01m"[..], &b"\x4a\x00".repeat(count)].concat();
        let mut batch = BytesMut::new();
        batch.put_u8(0x12);
        prost_length(&mut batch, tags.len());
        batch.put_slice(&tags);
        batch.to_vec()
    };
    let open = [&b"\x0a\x00"[..]].concat();
    let within = |batch: &[u8]| {
        let mut message = BytesMut::new();
        message.put_u8(0x12);
        prost_length(&mut message, batch.len());
        message.put_slice(batch);
        message.to_vec()
    };
    // A record that is too long is an error of its own; too many of them are one of the batch.
    for (what, batch, expected) in [("records", records, [8, 11]), ("tags", tags(7 * MIB), [0, 8])] {
        let (unary, streamed) = (zstd(&batch), zstd(&within(&batch)));
        println!("{what}: {} bytes for {}", unary.len(), batch.len());
        let many = 2 * AT_ONCE * crate::size().min(8);
        for status in join_all((0..many).map(|_| call(target, "IngestBatch", Some("zstd"), &unary))).await {
            assert!(expected.contains(&status), "{what}: grpc-status {status}");
        }
        // Streams of one connection, each with such a batch, and nobody takes the answers.
        for status in join_all((0..many).map(|_| {
            let mut body = message(false, &open);
            body.extend_from_slice(&message(true, &streamed));
            call_with(target, "Ingest", Some("zstd"), body)
        }))
        .await
        {
            assert!(expected.contains(&status), "{what} in a stream: grpc-status {status}");
        }
    }
    // As JSON: records that are good, small and many, all of other services.
    let mut body = Vec::new();
    for n in 0..500 * crate::size() {
        body.extend_from_slice(format!("{{\"service\":\"{n:x}\",\"message\":\"m\"}}\n").as_bytes());
    }
    let request = reqwest::Client::new().post(format!("{}/v1/ingest", target.ports.ingest_url()));
    let request = request.bearer_auth(&target.evil).header("content-encoding", "zstd").body(zstd(&body));
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert!(matches!(status, 200 | 413 | 429), "{status} {text}");
    let none = json!({"service": "f00d", "contains": "no such message"});
    let query = loglake_integration::Client::new(target.ports.query_url()).with_header("x-api-key", &target.evil);
    assert!(query.all(&none, 10).await.is_empty());
}

/// Messages of the most that there may be, whose last byte never comes, on many streams of a few connections.
async fn unfinished(target: &Target) {
    let mut connections = Vec::new();
    let mut refused = 0;
    for _ in 0..2 * crate::size().min(4) {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", target.ports.ingest_grpc)).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..60 {
            let (answer, mut sending) = sender.send_request(request(target, "Ingest", None), false).unwrap();
            let prefix = [&[0][..], &u32::try_from(16 * MIB - 1).unwrap().to_be_bytes()].concat();
            sending.send_data(Bytes::from(prefix), false).unwrap();
            let body = Bytes::from(vec![0; 12 * MIB]);
            // Some are refused: there is room for in-flight bytes once.
            let _ended = sending.send_data(body, false);
            sender = sender.ready().await.unwrap();
            streams.push((answer, sending));
        }
        connections.push((driver, streams, sender));
    }
    for (driver, streams, sender) in connections {
        for (answer, sending) in streams {
            let ended = tokio::time::timeout(std::time::Duration::from_millis(500), status_of(answer)).await;
            refused += usize::from(ended.is_ok_and(|status| status == Some(8)));
            drop(sending);
            if refused > 40 {
                break;
            }
        }
        drop(sender);
        driver.abort();
    }
    println!("{refused} streams with messages without an end were told to come again");
    assert!(refused > 0);
}

/// The head of a call.
fn request(target: &Target, method: &str, encoding: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::post(format!("http://x/loglake.ingest.v1.IngestService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-api-key", &target.evil);
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    request.body(()).unwrap()
}

/// The `grpc-status` that a call ends with.
async fn status_of(answer: h2::client::ResponseFuture) -> Option<i32> {
    let status = |headers: &http::HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse::<i32>().ok();
    let answer = answer.await.ok()?;
    let of_head = status(answer.headers());
    let mut body = answer.into_body();
    while let Some(Ok(data)) = body.data().await {
        // It is given back to a connection that may be gone.
        let _gone = body.flow_control().release_capacity(data.len());
    }
    of_head.or(body.trailers().await.ok().flatten().and_then(|trailers| status(&trailers)))
}

fn prost_length(into: &mut BytesMut, mut length: usize) {
    while length >= 0x80 {
        into.put_u8(length as u8 | 0x80);
        length >>= 7;
    }
    into.put_u8(length as u8);
}

/// A message of gRPC with its prefix.
fn message(is_compressed: bool, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&[u8::from(is_compressed)], &length.to_be_bytes()[..], bytes].concat()
}

/// The `grpc-status` of a call with one compressed message.
async fn call(target: &Target, method: &str, encoding: Option<&str>, bytes: &[u8]) -> i32 {
    call_with(target, method, encoding, message(true, bytes)).await
}

/// The `grpc-status` of a call with this body, by a connection of its own.
async fn call_with(target: &Target, method: &str, encoding: Option<&str>, body: Vec<u8>) -> i32 {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", target.ports.ingest_grpc)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let (answer, mut sending) = sender.send_request(request(target, method, encoding), false).unwrap();
    // The server may end the call before it has read all.
    let _ended = sending.send_data(Bytes::from(body), true);
    let status = status_of(answer).await;
    driver.abort();
    status.expect("a grpc-status")
}
