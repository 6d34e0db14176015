//! Connections that send and whose sending nobody reads: what is in their windows is in memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::probe::Served;
use crate::site::{Site, Target};

/// Connections, of the thousand that there are places for.
const CONNECTIONS: usize = 400;
/// Streams of each: enough to fill a small window.
const STREAMS: usize = 2;
/// What each stream would send: more than the largest window.
const BYTES: usize = 16 << 20;
/// How long nothing goes out before all is full.
const QUIET: Duration = Duration::from_millis(500);
/// What the windows may come to, beside what the process has without them.
const MOST_MIB: u64 = 300;

/// Counts what is written.
struct Counted {
    stream: TcpStream,
    bytes: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.bytes.fetch_add(written as u64, Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A call, and what is sent in it without end.
#[derive(Clone)]
struct Call {
    path: &'static str,
    token: String,
    body: Bytes,
}

/// Questions to the reflection service, which asks for no credential: a KiB each.
fn questions() -> Call {
    // `list_services`, a text that is not looked at.
    let body = prefixed(&[&[0x3a, 0xf8, 0x07][..], &[b'x'; 1_016]].concat()).repeat(BYTES / 1_024);
    let path = "http://x/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    Call { path, token: String::new(), body: Bytes::from(body) }
}

/// Batches without a record, and a KiB of a field that there is not. Of a stream whose answers nobody takes some hundred are read.
fn batches(token: &str) -> Call {
    let mut body = prefixed(b"\x0a\0");
    for number in 0..BYTES / 1_024 {
        // A number of two bytes, whatever it is.
        let number = [0x08, number as u8 | 0x80, (number >> 7) as u8 & 0x7f];
        let batch = [&number[..], &[0x7a, 0xf5, 0x07], &[b'x'; 1_013]].concat();
        assert_eq!(batch.len(), 1_019);
        body.extend(prefixed(&[&[0x12, 0xfb, 0x07][..], &batch].concat()));
    }
    let path = "http://x/loglake.ingest.v1.IngestService/Ingest";
    Call { path, token: token.to_owned(), body: Bytes::from(body) }
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// A connection that takes no answers and sends as much as it may, until it is dropped.
async fn hold(port: u16, call: &Call, bytes: &Arc<AtomicU64>) -> Option<tokio::task::JoinHandle<()>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let stream = Counted { stream, bytes: Arc::clone(bytes) };
    let (sender, connection) = h2::client::Builder::new().initial_window_size(0).handshake(stream).await.ok()?;
    let driver = tokio::spawn(async move { drop(connection.await) });
    let mut sender = sender.ready().await.ok()?;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut request = http::Request::post(call.path).header("content-type", "application/grpc");
        request = request.header("te", "trailers");
        if !call.token.is_empty() {
            request = request.header("x-api-key", &call.token);
        }
        let (answer, mut sending) = sender.send_request(request.body(()).unwrap(), false).ok()?;
        sending.send_data(call.body.clone(), false).ok()?;
        streams.push((answer, sending));
        sender = sender.ready().await.ok()?;
    }
    Some(tokio::spawn(async move {
        let _held = (streams, sender);
        let _ended = driver.await;
    }))
}

async fn until_quiet(bytes: &AtomicU64) -> u64 {
    let mut last = 0;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = bytes.load(Relaxed);
        if now == last {
            return now;
        }
        last = now;
    }
}

async fn serves(target: &Target, site: &mut Site, from: u64, what: &str) {
    let mut served = Served::default();
    for n in 0..4 {
        served.one(target, from + n).await;
    }
    println!("{what}: {}; {} MiB resident, {} MiB at most", served.summary(), site.resident_mib(), site.peak_mib());
    site.stands(what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hundreds_of_connections_send_unread_is_bounded() {
    let mut site = Site::start().await;
    let target = site.target();
    let before = site.resident_mib();
    let (sent, batches) = (Arc::new(AtomicU64::new(0)), batches(&target.evil));
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.extend(hold(target.ports.ingest_grpc, &batches, &sent).await);
    }
    assert_eq!(held.len(), CONNECTIONS);
    let mib = until_quiet(&sent).await >> 20;
    println!("{CONNECTIONS} connections sent {mib} MiB that nobody reads");
    assert!(mib > 100, "it attacks nothing: {mib} MiB");
    serves(&target, &mut site, 0, "beside what is unread").await;
    let more = site.resident_mib() - before;
    assert!(more <= MOST_MIB, "they hold {more} MiB, may hold {MOST_MIB}");
    // Strangers, too, have streams: few, and their connections are not at work, so that they give way.
    let questions = questions();
    for _ in 0..1_024 {
        held.extend(hold(target.ports.ingest_grpc, &questions, &sent).await);
    }
    serves(&target, &mut site, 10, "beside more strangers than there are places").await;
    for task in held {
        task.abort();
    }
    site.stop().await;
}
