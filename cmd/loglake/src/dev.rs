//! All roles in one process, on parts of its own in a folder. The same roles and the same ways between them as on real
//! servers: the query role asks the processor's tail service over loopback.

use std::sync::Arc;

use anyhow::Context as _;
use loglake_auth::internal::InternalKey;
use loglake_auth::keys;
use loglake_auth::session::SessionKey;
use loglake_broker::{EmbeddedLog, Reader as _, embedded};
use loglake_index::EmbeddedIndex;
use loglake_service::Role;
use loglake_store::FolderStore;
use prometheus::Registry;
use tracing::{info, warn};

use crate::banner::Banner;
use crate::cli::DevArgs;
use crate::data_folder::DataFolder;
use crate::roles::Roles;
use crate::start::{self, Start, explained};
use crate::stored::IndexedBytes;
use crate::{disk_metrics, ingestor, limits, processor, query, registry};

/// `loglake dev`.
pub(crate) fn main(args: DevArgs) -> anyhow::Result<()> {
    start::role(Role::Dev, &args.into(), run)
}

async fn run(mut start: Start) -> anyhow::Result<()> {
    let folder = DataFolder::open(&start.config.data)?;
    if start.config.cluster_secret.is_none() {
        start.config.cluster_secret = Some(folder.secret()?);
    }
    let secret = start.cluster_secret()?;
    let config = &start.config;
    let cluster = config.cluster.as_str();

    let log_config = embedded::Config {
        partitions: config.broker.partitions,
        segment_bytes: config.broker.segment_bytes.0,
        max_bytes: config.broker.max_bytes.0,
        disk_reserve_bytes: config.broker.disk_reserve.map(|bytes| bytes.0),
        tail_bytes: config.broker.tail_bytes.as_usize(),
    };
    let (log_folder, clock) = (folder.log(), Arc::clone(&start.clock));
    let log = tokio::task::spawn_blocking(move || EmbeddedLog::open(&log_folder, log_config, clock)).await?;
    let log = log.with_context(|| format!("log in {}", folder.log().display()))?;
    let topic = log.topic().await?;
    let store = Arc::new(FolderStore::open(folder.objects()).context("objects")?);
    let accepts_new = config.broker.accept_new_topic;
    let incarnation =
        loglake_commit::incarnation(&*store, cluster, &topic.id, topic.partitions, &*start.clock, accepts_new).await?;
    let index =
        EmbeddedIndex::open(&folder.index(), cluster, incarnation, Arc::clone(&start.clock)).context("index")?;
    let index = Arc::new(index);

    let mut doors = registry::open(&start, store.clone()).await?;
    let auth = doors.auth.clone();
    let limits = limits::of(config, doors.tenants.clone());

    let registries = [Registry::new(), Registry::new(), Registry::new()];
    let [ingestor_registry, processor_registry, query_registry] = registries.clone();
    let metrics = [
        start.metrics(Role::Ingestor, ingestor::metrics_listener(config), &registries[0]).await?,
        start.metrics(Role::Processor, processor::metrics_listener(config), &registries[1]).await?,
        start.metrics(Role::Query, query::metrics_listener(config), &registries[2]).await?,
    ];
    disk_metrics::register(&registries[0], &log).context("metrics")?;
    doors.show(&registries[0])?;
    let processor = loglake_process::Parts {
        consumer: log.clone(),
        reader: log.clone(),
        trim: Some(log.clone()),
        store: store.clone(),
        index: index.clone(),
        incarnation,
        clock: start.clock.clone(),
        internal: InternalKey::new(&secret),
        registry: processor_registry,
        ready: start.readiness.role("processor"),
    };
    let processor = loglake_process::Processor::bind(processor::settings(config), processor).await;
    let processor = explained(processor, &processor::listeners(config))?;
    let processor = processor.with_tls(start.tls.clone().filter(|_| config.is_tail_secured()));
    let query = loglake_query::Parts {
        reader: log.clone(),
        store: store.clone(),
        index: index.clone(),
        incarnation,
        clock: start.clock.clone(),
        auth: auth.clone(),
        limits: limits.clone(),
        internal: InternalKey::new(&secret),
        cursor_key: secret.derive(keys::CURSOR),
        registry: query_registry,
        readiness: start.readiness.clone(),
        ready: start.readiness.role("query"),
    };
    let query =
        explained(loglake_query::QueryService::bind(query::settings(config), query).await, &query::listeners(config))?;
    let query = query.with_tls(start.tls.clone()).trusting(start.trust.clone());
    let stored = IndexedBytes::open(index.clone(), log.clone(), &*store, cluster, incarnation).await?;
    let ingestor = loglake_ingest::Parts {
        producer: log.clone(),
        partitions: topic.partitions,
        clock: start.clock.clone(),
        auth: auth.clone(),
        limits,
        counters: None,
        stored: Some(Arc::new(stored)),
        session_key: SessionKey::new(&secret),
        registry: ingestor_registry,
        ready: start.readiness.role("ingestor"),
    };
    let ingestor = loglake_ingest::Ingestor::bind(ingestor::settings(config), ingestor).await;
    let ingestor = explained(ingestor, &ingestor::listeners(config))?;
    let ingestor = ingestor.with_tls(start.tls.clone());

    info!(
        query = %query.addr(), grpc = %ingestor.grpc_addr(), http = %ingestor.http_addr(), tail = %processor.tail_addr(),
        data = %folder.path().display(), incarnation, partitions = topic.partitions, "listening"
    );
    let banner = Banner {
        data: folder.path(),
        grpc: ingestor.grpc_addr(),
        http: ingestor.http_addr(),
        query: query.addr(),
        metrics: [metrics[0].address(), metrics[1].address(), metrics[2].address()],
        is_open: auth.is_open(),
        is_secured: start.tls.is_some(),
    };
    let mut roles = Roles::new(start.shutdown.clone());
    start.watch(&mut roles);
    for server in metrics {
        roles.start("metrics", |stop| server.run(stop));
    }
    doors.start(config, &mut roles, log.clone(), topic.partitions, start.clock.clone());
    roles.start("processor", |stop| processor.run(stop));
    roles.start("query", |stop| query.run(stop));
    roles.start("ingestor", |stop| ingestor.run(stop));
    if start.until_ready().await {
        banner.print();
    }
    let done = roles.run(config.grace).await;
    if let Err(error) = index.close().await {
        warn!(%error, "index not closed in order; it is rebuilt when it lacks something");
    }
    log.close().await;
    done
}
