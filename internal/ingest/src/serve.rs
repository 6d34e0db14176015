//! Serves connections, within limits, until told to stop; then lets what has begun come to its end.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use loglake_transport::{Acceptor, Connection, Entrance, Places, Prefaced, attend};
use prometheus::IntGauge;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::windows::Windows;

/// How long a connection may take for its first bytes, and for the head of a request; also how long it may idle between
/// two HTTP/1 requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 128;
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;

/// Which protocol a listener speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A bound socket and what answers on it.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<Acceptor>,
    pub(crate) router: Router,
    pub(crate) protocol: Protocol,
    pub(crate) places: Places,
    pub(crate) connections: IntGauge,
}

impl Listener {
    /// Serves until `shutdown`, then accepts no more, lets requests that have begun end within `grace`, and cuts the rest.
    pub(crate) async fn run(self, shutdown: CancellationToken, grace: Duration) {
        let Self { socket, tls, router, protocol, places, connections } = self;
        let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
        let (cutting, stopping, windows) = (cut.clone(), shutdown.clone(), Windows::new());
        let serve = move |connection| {
            let (router, connections, windows) = (router.clone(), connections.clone(), windows.clone());
            let (shutdown, cut) = (stopping.clone(), cutting.clone());
            async move {
                connections.inc();
                tokio::select! {
                    () = cut.cancelled() => {}
                    () = serve(connection, router, protocol, &windows, &shutdown) => {}
                }
                connections.dec();
            }
        };
        Entrance::new(socket, tls, places).run(&shutdown, &tasks, serve).await;
        tasks.close();
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            warn!(connections = tasks.len(), "cutting connections after the grace period");
            cut.cancel();
            tasks.wait().await;
        }
    }
}

async fn serve(
    connection: Connection,
    router: Router,
    protocol: Protocol,
    windows: &Windows,
    shutdown: &CancellationToken,
) {
    let Connection { stream, peer, place } = connection;
    let worker = place.worker();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        // Whoever lets it in says for whom the connection is at work; for strangers it is not.
        request.extensions_mut().insert(worker.clone());
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        router.clone().oneshot(request.map(Body::new))
    });
    let ended = match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            builder.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            attend(connection, http1::Connection::graceful_shutdown, &place, shutdown).await
        }
        Protocol::Http2 => {
            let prefaced = tokio::select! {
                () = shutdown.cancelled() => return,
                () = place.needed() => return,
                prefaced = tokio::time::timeout(HEAD_TIMEOUT, Prefaced::new(stream)) => prefaced,
            };
            // The codec itself would wait for ever for the preface.
            let Ok(Ok(Some(stream))) = prefaced else {
                debug!("connection without an http/2 preface closed");
                return;
            };
            // Only one that speaks takes of what there is.
            let window = windows.open();
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT);
            builder.initial_stream_window_size(window.stream_bytes());
            builder.initial_connection_window_size(window.connection_bytes());
            builder.max_frame_size(window.frame_bytes()).max_concurrent_streams(MAX_STREAMS);
            builder.max_header_list_size(MAX_HEAD_BYTES as u32);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            attend(connection, http2::Connection::graceful_shutdown, &place, shutdown).await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}
