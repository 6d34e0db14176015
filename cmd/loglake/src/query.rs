//! Answers queries.

use std::net::SocketAddr;

use loglake_auth::internal::InternalKey;
use loglake_auth::keys;
use loglake_service::{Config, Listener, Role};
use prometheus::Registry;
use tracing::info;

use crate::cli::RoleArgs;
use crate::parts::{self, Parts};
use crate::roles::Roles;
use crate::start::{self, Start, explained};
use crate::{limits, registry};

/// `loglake query`.
pub(crate) fn main(args: RoleArgs) -> anyhow::Result<()> {
    start::role(Role::Query, &args.into(), run)
}

async fn run(start: Start) -> anyhow::Result<()> {
    let config = &start.config;
    let registry = Registry::new();
    let ready = start.readiness.role("query");
    let metrics = start.metrics(Role::Query, metrics_listener(config), &registry).await?;
    let Parts { broker, store, index, incarnation } = parts::connect(&start, "query").await?;
    let mut doors = registry::open(&start, store.clone()).await?;
    doors.show(&registry)?;
    let partitions = parts::topic(&*broker).await?.partitions;
    let secret = start.cluster_secret()?;
    let parts = loglake_query::Parts {
        reader: broker.clone(),
        store,
        index,
        incarnation,
        clock: start.clock.clone(),
        auth: doors.auth.clone(),
        limits: limits::of(config, doors.tenants.clone()),
        internal: InternalKey::new(&secret),
        cursor_key: secret.derive(keys::CURSOR),
        registry,
        readiness: start.readiness.clone(),
        ready,
    };
    let query = explained(loglake_query::QueryService::bind(settings(config), parts).await, &listeners(config))?;
    let query = query.with_tls(start.tls.clone()).trusting(start.trust.clone());
    info!(query = %query.addr(), metrics = %metrics.address(), incarnation, "listening");

    let mut roles = Roles::new(start.shutdown.clone());
    start.watch(&mut roles);
    roles.start("metrics", |stop| metrics.run(stop));
    doors.start(config, &mut roles, broker, partitions, start.clock.clone());
    roles.start("query", |stop| query.run(stop));
    start.until_ready().await;
    roles.run(config.grace).await
}

/// What the role is told.
pub(crate) fn settings(config: &Config) -> loglake_query::Config {
    let of = &config.query;
    loglake_query::Config {
        listen: of.listen,
        timeout: of.timeout,
        page_bytes: of.page_bytes.as_usize(),
        concurrent: usize::try_from(of.concurrent).unwrap_or(usize::MAX),
        plan_bytes: of.plan_bytes.as_usize(),
        look_ahead_bytes: of.look_ahead_bytes.as_usize(),
        footer_cache_bytes: of.footer_cache_bytes.as_usize(),
        cache_memory_bytes: of.cache_memory_bytes.as_usize(),
        cache_dir: of.cache_dir.clone(),
        cache_disk_bytes: of.cache_disk_bytes.0,
        metric_tenants: config.metrics.tenant_labels(),
        cluster: config.cluster.as_str().to_owned(),
    }
}

/// Where its metrics are, with their key.
pub(crate) fn metrics_listener(config: &Config) -> (&'static str, SocketAddr) {
    ("metrics.query_listen", config.metrics.query_listen)
}

/// Where it listens, by key.
pub(crate) fn listeners(config: &Config) -> [Listener; 1] {
    [Listener { key: "query.listen", address: config.query.listen }]
}
