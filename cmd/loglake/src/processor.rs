//! Builds chunks out of what is in Kafka, commits them, and serves what is not flushed yet.

use std::net::SocketAddr;
use std::time::Duration;

use loglake_auth::internal::InternalKey;
use loglake_service::config::LostRecords;
use loglake_service::{Config, Listener, Role};
use prometheus::Registry;
use tracing::info;

use crate::cli::RoleArgs;
use crate::parts::{self, Parts};
use crate::roles::Roles;
use crate::start::{self, Start, explained};

/// `loglake processor`.
pub(crate) fn main(args: RoleArgs) -> anyhow::Result<()> {
    start::role(Role::Processor, &args.into(), run)
}

async fn run(start: Start) -> anyhow::Result<()> {
    let config = &start.config;
    let registry = Registry::new();
    let ready = start.readiness.role("processor");
    let metrics = start.metrics(Role::Processor, metrics_listener(config), &registry).await?;
    let Parts { broker, store, index, incarnation } = parts::connect(&start, "processor").await?;
    let parts = loglake_process::Parts {
        consumer: broker.clone(),
        reader: broker,
        trim: None,
        store,
        index,
        incarnation,
        clock: start.clock.clone(),
        internal: InternalKey::new(&start.cluster_secret()?),
        registry,
        ready,
    };
    let processor = explained(loglake_process::Processor::bind(settings(config), parts).await, &listeners(config))?;
    let processor = processor.with_tls(start.tls.clone().filter(|_| config.is_tail_secured()));
    info!(tail = %processor.tail_addr(), metrics = %metrics.address(), incarnation, "listening");

    let mut roles = Roles::new(start.shutdown.clone());
    start.watch(&mut roles);
    roles.start("metrics", |stop| metrics.run(stop));
    roles.start("processor", |stop| processor.run(stop));
    start.until_ready().await;
    roles.run(config.grace).await
}

/// How long a removed chunk stays: longer than the longest query that `query.timeout` allows.
const REMOVED_GRACE: Duration = Duration::from_secs(90 * 60);

/// How long the broker's log may end before a chain until the partition halts: an election is long over by then.
const TRUNCATION_GRACE: Duration = Duration::from_secs(60);

/// What the role is told.
pub(crate) fn settings(config: &Config) -> loglake_process::Config {
    let of = &config.processor;
    loglake_process::Config {
        cluster: config.cluster.as_str().to_owned(),
        tail_listen: of.tail_listen,
        tail_advertise: (of.tail_advertise.is_some() || config.is_tail_secured()).then(|| tail_url(config)),
        flush_bytes: of.flush_bytes.0,
        flush_interval: of.flush_interval,
        memory_bytes: of.memory_bytes.0,
        max_open_chunks: usize::try_from(of.max_open_chunks).unwrap_or(usize::MAX),
        window: of.window,
        block_bytes: of.block_bytes.as_usize(),
        tail_hold: of.tail_hold,
        fold_entries: of.fold_entries.into(),
        fold_grace: of.fold_grace,
        collect_interval: of.collect_interval,
        removed_grace: REMOVED_GRACE,
        on_lost_records: match of.on_lost_records {
            LostRecords::Halt => loglake_process::LostRecords::Halt,
            LostRecords::Gap => loglake_process::LostRecords::Gap,
        },
        truncation_grace: TRUNCATION_GRACE,
        metric_tenants: config.metrics.tenant_labels(),
    }
}

/// Where the others reach the tail service.
pub(crate) fn tail_url(config: &Config) -> String {
    let scheme = if config.is_tail_secured() { "https" } else { "http" };
    let advertised = config.processor.tail_advertise.as_ref().map(|address| address.url().to_owned());
    advertised.unwrap_or_else(|| format!("{scheme}://{}", config.processor.tail_listen))
}

/// Where its metrics are, with their key.
pub(crate) fn metrics_listener(config: &Config) -> (&'static str, SocketAddr) {
    ("metrics.processor_listen", config.metrics.processor_listen)
}

/// Where it listens, by key.
pub(crate) fn listeners(config: &Config) -> [Listener; 1] {
    [Listener { key: "processor.tail_listen", address: config.processor.tail_listen }]
}
