use std::net::SocketAddr;
use std::sync::Arc;

use loglake_auth::Authenticator;
use loglake_auth::limits::{Counters, Quotas, StoredBytes, TenantLimits};
use loglake_auth::session::SessionKey;
use loglake_broker::Producer;
use loglake_model::{Clock, ReadyFlag};
use loglake_pipeline::Pipeline;
use loglake_transport::{Places, Speaks, Tls, listen};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::budget::Budget;
use crate::inflate::Inflater;
use crate::intake::Intake;
use crate::log_time::LogTime;
use crate::metrics::Metrics;
use crate::origins::Origins;
use crate::serve::{Listener, Protocol};
use crate::shared::Shared;
use crate::{Config, Error, grpc, http, sharing, storage};

/// Calls over gRPC that need no credential, health and reflection, which go on at a time.
const MAX_STRANGERS: usize = 256;

/// The live parts this role works with.
pub struct Parts {
    /// Where records go.
    pub producer: Arc<dyn Producer>,
    /// How many partitions its topic has, at least 1.
    pub partitions: u32,
    /// The time of receipt, and what credentials expire by.
    pub clock: Arc<dyn Clock>,
    /// Who may send.
    pub auth: Arc<Authenticator>,
    /// How much each tenant may send.
    pub limits: TenantLimits,
    /// Where all ingestors add up what they took of the tenants' rates; `None` for an ingestor that is alone, or goes by itself.
    pub counters: Option<Arc<dyn Counters>>,
    /// Where it is asked how much is stored of the tenants; `None` where nobody tells: then nobody is refused for it.
    pub stored: Option<Arc<dyn StoredBytes>>,
    /// Signs the tokens of sessions: the same on every ingestor of a cluster.
    pub session_key: SessionKey,
    /// Where the metrics are registered; see [`crate::metrics`].
    pub registry: prometheus::Registry,
    /// Told when requests are taken, and when they no longer are.
    pub ready: ReadyFlag,
}

/// The role, bound to its addresses.
pub struct Ingestor {
    shared: Arc<Shared>,
    counters: Option<Arc<dyn Counters>>,
    stored: Option<Arc<dyn StoredBytes>>,
    grpc: TcpListener,
    http: TcpListener,
    grpc_addr: SocketAddr,
    http_addr: SocketAddr,
    tls: Option<Tls>,
    ready: ReadyFlag,
}

impl Ingestor {
    /// Binds both addresses; nothing is served before [`Ingestor::run`].
    ///
    /// # Errors
    /// `Unavailable` for an address that is taken, naming its key; `Invalid` for settings that do not fit together;
    /// `Internal` when the registry has such metrics already.
    pub async fn bind(config: Config, parts: Parts) -> Result<Self, Error> {
        let (ready, (grpc, http)) = (parts.ready.clone(), (config.grpc_listen, config.http_listen));
        let (counters, stored) = (parts.counters.clone(), parts.stored.clone());
        let shared = Arc::new(share(config, parts)?);
        let (grpc, grpc_addr) = bind("ingest.grpc_listen", grpc)?;
        let (http, http_addr) = bind("ingest.http_listen", http)?;
        Ok(Self { shared, counters, stored, grpc, http, grpc_addr, http_addr, tls: None, ready })
    }

    /// Secures the connections of both ports; without one they are as they come.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// What is answered on the HTTP port, for a caller with a way of its own to hand requests over: a simulation.
    ///
    /// # Errors
    /// As [`Ingestor::bind`], but for the addresses.
    pub fn http_within(config: Config, parts: Parts) -> Result<axum::Router, Error> {
        Ok(http::router(&Arc::new(share(config, parts)?)))
    }

    /// Where gRPC listens: the real port also where 0 was asked for.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where HTTP listens.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Serves until `shutdown` is cancelled. Then it is no longer ready, accepts no more, lets what has begun come to its end
    /// within the grace period, and returns.
    ///
    /// # Errors
    /// `Internal` when reflection cannot be set up.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { shared, counters, stored, grpc, http, grpc_addr, http_addr, tls, ready } = self;
        let (health, grpc_router) = grpc::router(&shared).await?;
        let listener = |socket, router, protocol, speaks, name| {
            let displaced = shared.metrics.displaced_connections.with_label_values(&[name]);
            let places = Places::new(shared.config.max_connections, displaced);
            Listener {
                socket,
                tls: tls.as_ref().map(|tls| tls.for_clients(speaks)),
                router,
                protocol,
                places,
                connections: shared.metrics.connections.with_label_values(&[name]),
            }
        };
        let grpc = listener(grpc, grpc_router, Protocol::Http2, Speaks::Http2, "grpc");
        let http = listener(http, http::router(&shared), Protocol::Http1, Speaks::Http1, "http");

        let stopping = async {
            shutdown.cancelled().await;
            ready.set(false);
            health.stop().await;
            shared.draining.cancel();
        };
        ready.set(true);
        info!(grpc = %grpc_addr, http = %http_addr, "ingestor listening");
        let (draining, grace) = (&shared.draining, shared.config.grace);
        let sharing = async {
            if let Some(counters) = counters {
                sharing::run(&shared, counters.as_ref(), &shutdown).await;
            }
        };
        let asking = async {
            if let Some(stored) = stored {
                storage::run(&shared, stored.as_ref(), &shutdown).await;
            }
        };
        tokio::join!(stopping, sharing, asking, grpc.run(draining.clone(), grace), http.run(draining.clone(), grace));
        info!("ingestor stopped");
        Ok(())
    }
}

/// Checks the settings and puts together what both surfaces work with.
fn share(config: Config, parts: Parts) -> Result<Shared, Error> {
    config.check()?;
    let Parts { producer, partitions, clock, auth, limits, counters: _, stored: _, session_key, registry, ready: _ } =
        parts;
    if partitions == 0 {
        return Err(Error::Config("the topic has no partition".to_owned()));
    }
    let (takes, needs) = (producer.max_message_bytes(), loglake_batch::MAX_BYTES);
    if takes < needs {
        return Err(Error::Config(format!(
            "the broker takes messages of at most {takes} bytes, a batch may have {needs}: raise the broker's limit"
        )));
    }
    let metrics = Metrics::register(&registry, config.metric_tenants)?;
    let pipeline = Pipeline::new(loglake_pipeline::Config {
        max_future: config.max_future,
        max_age: config.max_age,
        keep_received_at: config.keep_received_at,
    });
    let intake = Intake {
        producer,
        partitions,
        clock: Arc::clone(&clock),
        pipeline,
        append_timeout: config.append_timeout,
        log_time: LogTime::new(Arc::clone(&clock)),
        metrics: metrics.clone(),
    };
    Ok(Shared {
        budget: Budget::new(config.in_flight_bytes, Some(metrics.in_flight_bytes.clone())),
        waiting: Budget::new(config.in_flight_bytes, None),
        unfinished: Budget::new(config.in_flight_bytes, None),
        strangers: Arc::new(Semaphore::new(MAX_STRANGERS)),
        inflater: Inflater::new(),
        draining: CancellationToken::new(),
        config,
        intake,
        origins: Origins::new(session_key, partitions),
        quotas: Quotas::new(limits, clock.now_ns()),
        auth,
        clock,
        metrics,
    })
}

fn bind(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let wrong = |source| Error::Bind { key, address, source };
    let listener = listen(address).map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    Ok((listener, bound))
}
