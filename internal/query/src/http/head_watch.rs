//! Ends connections whose client sends the head of a request too slowly, but not those that only idle.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How an HTTP/2 connection begins (RFC 9113, section 3.4). Its requests have no head of their own on the wire; pings find
/// dead clients.
const HTTP2: &[u8] = b"PRI ";

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing: between requests.
    Idle,
    /// The rest of a head, whose first byte came then.
    Head(Instant),
    /// A request is at work.
    Busy,
    /// Nothing any more: the connection speaks HTTP/2.
    Http2,
}

/// Knows since when the head of a request has been coming in.
#[derive(Clone, Debug)]
pub(super) struct HeadWatch(Arc<watch::Sender<Phase>>);

impl HeadWatch {
    /// The watch of a connection that was made now: its first head is due.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Head(Instant::now()))))
    }

    /// Takes down that a head is whole. The next one may begin when what is returned is dropped.
    pub(super) fn request(&self) -> Request {
        self.turn(Phase::Busy);
        Request(self.clone())
    }

    /// Returns when a head has been coming in for longer than `wait`.
    pub(super) async fn overdue(&self, wait: Duration) {
        let mut phase = self.0.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            let changed = phase.changed();
            let has_changed = match now {
                Phase::Head(since) => tokio::select! {
                    () = sleep_until(since + wait) => return,
                    changed = changed => changed,
                },
                Phase::Idle | Phase::Busy | Phase::Http2 => changed.await,
            };
            // It holds a sender itself.
            if has_changed.is_err() {
                return;
            }
        }
    }

    fn turn(&self, next: Phase) {
        self.0.send_if_modified(|phase| *phase != Phase::Http2 && std::mem::replace(phase, next) != next);
    }

    fn received(&self, bytes: &[u8], is_first: bool) {
        if is_first && bytes.starts_with(HTTP2) {
            self.turn(Phase::Http2);
        } else if *self.0.borrow() == Phase::Idle {
            self.turn(Phase::Head(Instant::now()));
        }
    }
}

/// A request at work.
#[derive(Debug)]
pub(super) struct Request(HeadWatch);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.turn(Phase::Idle);
    }
}

/// A connection that tells its watch what comes in.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    watch: HeadWatch,
    is_first: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: HeadWatch) -> Self {
        Self { stream, watch, is_first: true }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            this.watch.received(bytes, this.is_first);
            this.is_first = false;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
