use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use loglake_model::Readiness;
use loglake_transport::{Connection, Entrance, Places, Speaks, Tls, Working, attend};
use prometheus::{IntCounter, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, error};

use crate::Error;

/// Connections at once. For more, the one that has been idle for longest is closed.
const MAX_CONNECTIONS: usize = 128;
/// How long a connection may take for a request's head, and idle between two: Prometheus asks every 15 s.
const HEAD_WAIT: Duration = Duration::from_secs(75);

/// A role's own port for Prometheus and probes: `GET /metrics`, `/health`, `/ready`. Needs no credential, so it is for those who run this.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    tls: Option<Tls>,
    displaced: IntCounter,
}

#[derive(Clone, Debug)]
struct Source {
    registry: Registry,
    readiness: Readiness,
}

impl MetricsServer {
    /// Binds `address`, which `key` of the configuration names.
    ///
    /// # Errors
    /// [`Error::Bind`]; [`Error::Metrics`] when the registry has such metrics already.
    pub async fn bind(
        key: &'static str,
        address: SocketAddr,
        registry: Registry,
        readiness: Readiness,
    ) -> Result<Self, Error> {
        let bind = || {
            let listener = loglake_transport::listen(address)?;
            Ok((listener.local_addr()?, listener))
        };
        let (bound, listener) = bind().map_err(|source| Error::Bind { key, address, source })?;
        let displaced = IntCounter::new(
            "loglake_metrics_displaced_connections_total",
            "Idle connections to this port closed because their place was needed.",
        );
        let displaced = displaced.and_then(|displaced| {
            registry.register(Box::new(displaced.clone()))?;
            Ok(displaced)
        });
        let displaced = displaced.map_err(Error::Metrics)?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(|| async { "ok\n" }))
            .route("/ready", get(ready))
            .with_state(Source { registry, readiness });
        Ok(Self { listener, address: bound, router, tls: None, displaced })
    }

    /// Secures the port's connections; without one they are as they come.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets what runs finish.
    ///
    /// # Errors
    /// None yet.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { listener, router, tls, displaced, .. } = self;
        let tls = tls.map(|tls| tls.for_machines(Speaks::Http1));
        let (tasks, stopping) = (TaskTracker::new(), shutdown.clone());
        let serve = move |connection| {
            let (router, shutdown) = (router.clone(), stopping.clone());
            async move { serve(connection, router, &shutdown).await }
        };
        Entrance::new(listener, tls, Places::new(MAX_CONNECTIONS, displaced)).run(&shutdown, &tasks, serve).await;
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

async fn serve(Connection { stream, place, .. }: Connection, router: Router, shutdown: &CancellationToken) {
    let worker = place.worker();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let work = worker.work();
        let answering = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answering.await?.map(|body| Working::new(body, work))) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = attend(connection, http1::Connection::graceful_shutdown, &place, shutdown).await {
        debug!(%error, "connection ended");
    }
}

async fn metrics(State(source): State<Source>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&source.registry.gather()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(error) => {
            error!(%error, "metrics cannot be written");
            let text = "metrics cannot be written; see the log\n".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], text)
        }
    }
}

async fn ready(State(source): State<Source>) -> impl IntoResponse {
    match &*source.readiness.waiting() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        waiting => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_follows_the_roles_and_counters_are_shown() {
        let (registry, readiness) = (Registry::new(), Readiness::default());
        let counter = prometheus::IntCounter::new("loglake_seen_total", "seen").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        let flag = readiness.role("query");
        let any = "127.0.0.1:0".parse().unwrap();
        let server = MetricsServer::bind("metrics.query_listen", any, registry, readiness).await.unwrap();
        let (address, shutdown) = (server.address(), CancellationToken::new());
        let running = tokio::spawn(server.run(shutdown.clone()));

        assert!(get(address, "/health").await.starts_with("HTTP/1.1 200"));
        let answer = get(address, "/ready").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("waiting for query"), "{answer}");
        flag.set(true);
        assert!(get(address, "/ready").await.starts_with("HTTP/1.1 200"));
        counter.inc();
        assert!(get(address, "/metrics").await.contains("\nloglake_seen_total 1\n"));

        // More idle connections than places: a scrape is answered all the same.
        let mut idlers = Vec::new();
        for _ in 0..2 * MAX_CONNECTIONS {
            idlers.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
        let answer = get(address, "/metrics").await;
        let shown = answer.lines().find_map(|line| line.strip_prefix("loglake_metrics_displaced_connections_total "));
        assert!(shown.unwrap().parse::<usize>().unwrap() >= MAX_CONNECTIONS, "{answer}");

        let taken = MetricsServer::bind("metrics.query_listen", address, Registry::new(), Readiness::default()).await;
        let message = taken.unwrap_err().to_string();
        assert!(message.starts_with(&format!("metrics.query_listen: {address}: ")), "{message}");
        shutdown.cancel();
        running.await.unwrap().unwrap();
    }
}
