use std::convert::Infallible;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use loglake_transport::{Connection, Entrance, Prefaced, Working, attend};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;
use tracing::debug;

/// How long a connection may take for its first bytes.
const PREFACE_WAIT: Duration = Duration::from_secs(10);
/// How often a silent client is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_HEAD_BYTES: u32 = 64 << 10;

/// Serves `routes` on what comes in by `entrance` until `shutdown`, then lets what has begun come to its end. Dropped, it cuts all.
pub(crate) async fn serve(entrance: Entrance, routes: Routes, shutdown: CancellationToken) {
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let _cut_on_drop = cut.clone().drop_guard();
    let (routes, stopping) = (routes.prepare(), shutdown.clone());
    let serve = move |connection| {
        let (routes, shutdown, cut) = (routes.clone(), stopping.clone(), cut.clone());
        async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection_of(connection, routes, &shutdown) => {}
            }
        }
    };
    entrance.run(&shutdown, &tasks, serve).await;
    tasks.close();
    tasks.wait().await;
}

async fn connection_of(Connection { stream, place, .. }: Connection, routes: Routes, shutdown: &CancellationToken) {
    let prefaced = tokio::select! {
        () = shutdown.cancelled() => return,
        () = place.needed() => return,
        prefaced = tokio::time::timeout(PREFACE_WAIT, Prefaced::new(stream)) => prefaced,
    };
    let Ok(Ok(Some(stream))) = prefaced else {
        debug!("connection without an http/2 preface closed");
        return;
    };
    let worker = place.worker();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let work = worker.work();
        let answering = routes.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answering.await?.map(|body| Working::new(body, work))) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT);
    builder.max_header_list_size(MAX_HEAD_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = attend(connection, http2::Connection::graceful_shutdown, &place, shutdown).await {
        debug!(%error, "connection ended");
    }
}
