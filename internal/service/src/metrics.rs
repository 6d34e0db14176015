use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use loglake_model::Readiness;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::Error;

/// A role's own port for Prometheus and probes: `GET /metrics`, `/health`, `/ready`. Needs no credential, so it is for those who run this.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
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
    /// [`Error::Bind`].
    pub async fn bind(
        key: &'static str,
        address: SocketAddr,
        registry: Registry,
        readiness: Readiness,
    ) -> Result<Self, Error> {
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (bound, listener) = bind.await.map_err(|source| Error::Bind { key, address, source })?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(|| async { "ok\n" }))
            .route("/ready", get(ready))
            .with_state(Source { registry, readiness });
        Ok(Self { listener, address: bound, router })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets what runs finish.
    ///
    /// # Errors
    /// [`Error::Serve`] when the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        axum::serve(self.listener, self.router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .map_err(Error::Serve)
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

        let taken = MetricsServer::bind("metrics.query_listen", address, Registry::new(), Readiness::default()).await;
        let message = taken.unwrap_err().to_string();
        assert!(message.starts_with(&format!("metrics.query_listen: {address}: ")), "{message}");
        shutdown.cancel();
        running.await.unwrap().unwrap();
    }
}
