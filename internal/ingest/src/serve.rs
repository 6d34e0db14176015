//! Accepts connections and serves them, within limits, until told to stop; then lets what has begun come to its end.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::IntGauge;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// How long a connection may take for its first bytes, and for the head of a request; also how long it may idle between
/// two HTTP/1 requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Large windows and frames: a batch in few round trips and few copies.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const FRAME_BYTES: u32 = 1 << 20;
const MAX_STREAMS: u32 = 128;
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Which protocol a listener speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A bound socket and what answers on it.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) router: Router,
    pub(crate) protocol: Protocol,
    pub(crate) max_connections: usize,
    pub(crate) connections: IntGauge,
}

impl Listener {
    /// Serves until `shutdown`, then accepts no more, lets requests that have begun end within `grace`, and cuts the rest.
    pub(crate) async fn run(self, shutdown: CancellationToken, grace: Duration) {
        let places = Arc::new(Semaphore::new(self.max_connections));
        let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = accept(&self.socket, &places) => accepted,
            };
            let (stream, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (router, protocol, connections) = (self.router.clone(), self.protocol, self.connections.clone());
            let (shutdown, cut) = (shutdown.clone(), cut.clone());
            tasks.spawn(async move {
                connections.inc();
                tokio::select! {
                    () = cut.cancelled() => {}
                    () = serve(stream, router, protocol, shutdown) => {}
                }
                connections.dec();
                drop(place);
            });
        }
        drop(self.socket);
        tasks.close();
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            warn!(connections = tasks.len(), "cutting connections after the grace period");
            cut.cancel();
            tasks.wait().await;
        }
    }
}

async fn accept(
    socket: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Option<tokio::sync::OwnedSemaphorePermit>)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    let (stream, _) = socket.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

async fn serve(stream: TcpStream, router: Router, protocol: Protocol, shutdown: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let ended = match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            builder.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            until(connection, shutdown, http1::Connection::graceful_shutdown).await
        }
        Protocol::Http2 => {
            let preface = tokio::select! {
                () = shutdown.cancelled() => return,
                preface = tokio::time::timeout(HEAD_TIMEOUT, is_http2(&stream)) => preface,
            };
            if !matches!(preface, Ok(Ok(true))) {
                debug!("connection without an http/2 preface closed");
                return;
            }
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT);
            builder.initial_stream_window_size(STREAM_WINDOW_BYTES);
            builder.initial_connection_window_size(CONNECTION_WINDOW_BYTES);
            builder.max_frame_size(FRAME_BYTES).max_concurrent_streams(MAX_STREAMS);
            builder.max_header_list_size(MAX_HEAD_BYTES as u32);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            until(connection, shutdown, http2::Connection::graceful_shutdown).await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

/// Runs `connection` to its end, which it is asked for at `shutdown`.
async fn until<C, E>(connection: C, shutdown: CancellationToken, stop: impl FnOnce(Pin<&mut C>)) -> Result<(), E>
where
    C: Future<Output = Result<(), E>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shutdown.cancelled() => stop(connection.as_mut()),
    }
    connection.await
}

/// Waits until the client has said whether it speaks HTTP/2, without taking its bytes: the codec itself waits for ever.
async fn is_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut head = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut head).await?;
        if length == 0 || !PREFACE.starts_with(&head[..length]) {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        // Whoever sends the preface in pieces is looked at now and then.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
