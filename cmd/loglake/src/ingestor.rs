//! Takes records in and hands them to Kafka.

use std::net::SocketAddr;
use std::sync::Arc;

use loglake_auth::session::SessionKey;
use loglake_service::{Config, Listener, Role};
use prometheus::Registry;
use tracing::info;

use crate::cli::RoleArgs;
use crate::roles::Roles;
use crate::start::{self, Start, explained};
use crate::{limits, parts, registry, stored};

/// `loglake ingestor`.
pub(crate) fn main(args: RoleArgs) -> anyhow::Result<()> {
    start::role(Role::Ingestor, &args.into(), run)
}

async fn run(start: Start) -> anyhow::Result<()> {
    let config = &start.config;
    let registry = Registry::new();
    let ready = start.readiness.role("ingestor");
    let metrics = start.metrics(Role::Ingestor, metrics_listener(config), &registry).await?;
    let broker = parts::kafka(config, "ingestor").await?;
    let topic = parts::topic(&*broker).await?;
    // It needs no store but for this; without one only the configuration's tokens and limits are known.
    let mut doors =
        if config.store.bucket.is_some() { registry::open_later(&start).await? } else { registry::configured(&start)? };
    doors.show(&registry)?;
    let parts = loglake_ingest::Parts {
        producer: broker.clone(),
        partitions: topic.partitions,
        clock: start.clock.clone(),
        auth: Arc::clone(&doors.auth),
        limits: limits::of(config, doors.tenants.clone()),
        counters: limits::counters(config)?,
        stored: stored::later(config, broker.clone(), topic.id),
        session_key: SessionKey::new(&start.cluster_secret()?),
        registry,
        ready,
    };
    let ingestor = explained(loglake_ingest::Ingestor::bind(settings(config), parts).await, &listeners(config))?;
    let ingestor = ingestor.with_tls(start.tls.clone());
    info!(grpc = %ingestor.grpc_addr(), http = %ingestor.http_addr(), metrics = %metrics.address(), "listening");

    let mut roles = Roles::new(start.shutdown.clone());
    start.watch(&mut roles);
    roles.start("metrics", |stop| metrics.run(stop));
    doors.start(config, &mut roles, broker, topic.partitions, Arc::clone(&start.clock));
    roles.start("ingestor", |stop| ingestor.run(stop));
    start.until_ready().await;
    roles.run(config.grace).await
}

/// What the role is told.
pub(crate) fn settings(config: &Config) -> loglake_ingest::Config {
    let of = &config.ingest;
    loglake_ingest::Config {
        grpc_listen: of.grpc_listen,
        http_listen: of.http_listen,
        in_flight_bytes: of.in_flight_bytes.as_usize(),
        max_future: of.max_future,
        max_age: of.max_age,
        keep_received_at: of.keep_received_at,
        metric_tenants: config.metrics.tenant_labels(),
        // What comes after it, the last flush above all, needs its share.
        grace: config.grace / 3,
        ..loglake_ingest::Config::default()
    }
}

/// Where its metrics are, with their key.
pub(crate) fn metrics_listener(config: &Config) -> (&'static str, SocketAddr) {
    ("metrics.ingestor_listen", config.metrics.ingestor_listen)
}

/// Where it listens, by key.
pub(crate) fn listeners(config: &Config) -> [Listener; 2] {
    [
        Listener { key: "ingest.grpc_listen", address: config.ingest.grpc_listen },
        Listener { key: "ingest.http_listen", address: config.ingest.http_listen },
    ]
}
