//! HTTP/2 as frames: floods of what costs a client little and could cost a server much. The server ends the connection, or goes on
//! within its memory; on both ports that speak it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use crate::site::Target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a flood may stall before it counts as held up, which is as good as ended.
const HELD_UP: Duration = Duration::from_secs(2);

/// What a ping says that is to be answered.
const PING_MARK: &[u8; 8] = b"are you?";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header, literally, in no table (RFC 7541, section 6.2.2).
fn literal(into: &mut Vec<u8>, name: &str, value: &str) {
    into.push(0);
    for text in [name, value] {
        integer(into, text.len());
        into.extend_from_slice(text.as_bytes());
    }
}

/// An integer of seven bits, or more (section 5.1).
fn integer(into: &mut Vec<u8>, number: usize) {
    if number < 127 {
        return into.push(number as u8);
    }
    into.push(127);
    let mut rest = number - 127;
    while rest >= 128 {
        into.push(rest as u8 | 128);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// The headers of a call that is let in.
fn headers(token: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/loglake.ingest.v1.IngestService/Ingest"),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-api-key", token),
    ] {
        literal(&mut block, name, value);
    }
    block
}

/// How a flood ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The server took all of it and still answers pings.
    Endured,
    /// It has closed.
    Closed,
    /// It reads no more for now.
    HeldUp,
}

/// Sends `flood` piece by piece, then a ping; takes answers meanwhile only where `reads`.
async fn flood(port: u16, flood: impl Iterator<Item = Vec<u8>>, reads: bool) -> Ended {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let (begin, begun) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn(async move {
        if !reads {
            // Whatever became of the flood, now it is time.
            let _ = begun.await;
        }
        until_pong(reader).await
    });
    for piece in flood {
        match timeout(HELD_UP, writer.write_all(&piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Ended::Closed,
            Err(_) => {
                reading.abort();
                return Ended::HeldUp;
            }
        }
    }
    if writer.write_all(&frame(PING, 0, 0, PING_MARK)).await.is_err() {
        return Ended::Closed;
    }
    drop(begin);
    timeout(PATIENCE, reading).await.expect("the server answers a ping, or closes").unwrap()
}

/// Reads until the ping is answered, or the server has closed.
async fn until_pong(mut reader: OwnedReadHalf) -> Ended {
    let mut last = Vec::new();
    loop {
        match reader.read_buf(&mut last).await {
            Ok(0) | Err(_) => return Ended::Closed,
            Ok(_) if last.windows(PING_MARK.len()).any(|part| part == PING_MARK) => return Ended::Endured,
            Ok(_) => drop(last.drain(..last.len().saturating_sub(PING_MARK.len()))),
        }
    }
}

pub(crate) async fn run(target: Target) {
    for port in [target.ports.ingest_grpc, target.ports.query] {
        resets(port, &target).await;
        control(port).await;
        blocks(port, &target).await;
        data(port, &target).await;
    }
}

/// Streams that are opened and taken back at once (CVE-2023-44487), or made to be taken back by the server (CVE-2025-8671).
async fn resets(port: u16, target: &Target) {
    let block = headers(&target.evil);
    let count = 5_000 * crate::size() as u32;
    let ids = || (0..count).map(|n| 2 * n + 1);
    let open = |id| frame(HEADERS, END_HEADERS, id, &block);
    let rapid = ids().map(|id| [open(id), frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat());
    assert_eq!(flood(port, rapid, true).await, Ended::Closed, "rapid reset at {port}");
    let made = ids().map(|id| [open(id), frame(WINDOW_UPDATE, 0, id, &0_u32.to_be_bytes())].concat());
    assert_eq!(flood(port, made, true).await, Ended::Closed, "made to reset at {port}");
    let beyond = ids().map(|id| [open(id), frame(WINDOW_UPDATE, 0, id, &0x7fff_ffff_u32.to_be_bytes())].concat());
    assert_eq!(flood(port, beyond, true).await, Ended::Closed, "windows past their most at {port}");
    // More streams than may be open, none of which ends.
    let ended = flood(port, ids().map(open), true).await;
    println!("streams that do not end at {port}: {ended:?}");
}

/// Frames that want an answer, or none, and carry nothing.
async fn control(port: u16) {
    let count = 20_000 * crate::size();
    let many = |piece: Vec<u8>| std::iter::repeat_n(piece.repeat(100), count / 100);
    let setting = [&3_u16.to_be_bytes()[..], &100_u32.to_be_bytes()].concat();
    let table = [&1_u16.to_be_bytes()[..], &u32::MAX.to_be_bytes()].concat();
    for (what, piece) in [
        ("pings", frame(PING, 0, 0, b"12345678")),
        ("answers to no ping", frame(PING, 1, 0, b"12345678")),
        ("settings", frame(SETTINGS, 0, 0, &setting)),
        ("settings of tables", frame(SETTINGS, 0, 0, &table.repeat(100))),
        ("empty settings", frame(SETTINGS, 0, 0, &[])),
        ("answers to no settings", frame(SETTINGS, 1, 0, &[])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])),
        ("windows", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("frames of no kind", frame(0xbe, 0xef, 0, b"what is it")),
        ("resets of nothing", frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())),
    ] {
        // Whoever reads no answers gets no more of them kept than fit between the two.
        for reads in [true, false] {
            let ended = flood(port, many(piece.clone()), reads).await;
            println!("{what} at {port}, answers {}: {ended:?}", if reads { "read" } else { "left" });
        }
    }
}

/// Blocks of headers without an end, too large, or made large by the table (CVE-2024-27316).
async fn blocks(port: u16, target: &Target) {
    let mut long = Vec::new();
    literal(&mut long, "x-long", &"x".repeat(16_000));
    let first = frame(HEADERS, 0, 1, &headers(&target.evil));
    let endless = std::iter::once(first.clone())
        .chain(std::iter::repeat_n(frame(CONTINUATION, 0, 1, &long), 1_000 * crate::size()));
    assert_eq!(flood(port, endless, true).await, Ended::Closed, "headers without an end at {port}");
    let empty = std::iter::once(first).chain(std::iter::repeat_n(frame(CONTINUATION, 0, 1, &[]).repeat(100), 1_000));
    assert_eq!(flood(port, empty, true).await, Ended::Closed, "empty pieces of headers at {port}");
    // A header of 4,000 bytes goes into the table once, and is then named by a byte, 16,000 times a block.
    let mut bomb = headers(&target.evil);
    bomb.push(0x40);
    for text in ["x-bomb".to_owned(), "x".repeat(4_000)] {
        integer(&mut bomb, text.len());
        bomb.extend_from_slice(text.as_bytes());
    }
    bomb.extend_from_slice(&[0x80 | 62; 10_000]);
    let bombs = (0..200_u32).map(|n| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &bomb));
    let ended = flood(port, bombs, true).await;
    println!("headers out of the table at {port}: {ended:?}");
    for (what, payload) in
        [("an index past the table", vec![0xff, 0xff, 0xff, 0xff, 0x0f]), ("an endless integer", vec![0xff; 16_000])]
    {
        let ended = flood(port, std::iter::once(frame(HEADERS, END_HEADERS, 1, &payload)), true).await;
        assert_eq!(ended, Ended::Closed, "{what} at {port}");
    }
}

/// Data that is none, of streams that are none, or more than may come.
async fn data(port: u16, target: &Target) {
    let open = frame(HEADERS, END_HEADERS, 1, &headers(&target.evil));
    let then = |piece: Vec<u8>, times: usize| std::iter::once(open.clone()).chain(std::iter::repeat_n(piece, times));
    let ended = flood(port, then(frame(DATA, 0, 1, &[]).repeat(100), 1_000 * crate::size()), true).await;
    println!("empty data at {port}: {ended:?}");
    let padded = frame(DATA, 8, 1, &[&[255][..], &[0; 255]].concat());
    let ended = flood(port, then(padded.repeat(10), 2_000 * crate::size()), true).await;
    println!("nothing but padding at {port}: {ended:?}");
    let ended = flood(port, std::iter::once(frame(DATA, 0, 7, b"x")), true).await;
    assert_eq!(ended, Ended::Closed, "data of no stream at {port}");
    let ended =
        flood(port, std::iter::once([&[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1][..], &[0; 100]].concat()), true).await;
    assert_eq!(ended, Ended::Closed, "a frame past the largest at {port}");
}
