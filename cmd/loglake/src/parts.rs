//! The parts on real servers: Kafka, S3, Redis.

use std::sync::Arc;

use anyhow::Context as _;
use loglake_broker::kafka::{self, KafkaBroker};
use loglake_broker::{Reader, Topic};
use loglake_index::{ChunkIndex, RedisIndex, redis};
use loglake_service::Config;
use loglake_store::{Backoff, ObjectStore, Retrying, S3Store, s3, self_test};
use tracing::info;

use crate::start::Start;

/// What processor and query service work with.
pub(crate) struct Parts {
    pub(crate) broker: Arc<KafkaBroker>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) index: Arc<dyn ChunkIndex>,
    pub(crate) incarnation: u32,
}

/// Connects to all three, and finds out which life of the topic this is.
pub(crate) async fn connect(start: &Start, role: &str) -> anyhow::Result<Parts> {
    let config = &start.config;
    let cluster = config.cluster.as_str();
    let broker = kafka(config, role).await?;
    let topic = topic(&*broker).await?;
    let store = store(config).await?;
    let accepts_new = config.broker.accept_new_topic;
    let incarnation =
        loglake_commit::incarnation(&*store, cluster, &topic.id, topic.partitions, &*start.clock, accepts_new).await?;
    let addr = config.index.addr.as_ref().context("index.addr is not set")?;
    let index = RedisIndex::connect(index_settings(config, addr.url(), incarnation)?).await;
    let index = Arc::new(index.with_context(|| format!("Redis (index.addr) at {addr:?}"))?);
    info!(incarnation, topic = topic.id, partitions = topic.partitions, "connected");
    Ok(Parts { broker, store, index, incarnation })
}

/// Connects to Kafka, making the topic where it is missing.
pub(crate) async fn kafka(config: &Config, role: &str) -> anyhow::Result<Arc<KafkaBroker>> {
    let of = &config.broker;
    let brokers = of.brokers.as_ref().context("broker.brokers is not set")?.joined();
    let settings = kafka::Config {
        brokers: brokers.clone(),
        topic: of.topic.clone(),
        group: of.group.clone(),
        client_id: format!("loglake-{role}"),
        partitions: of.partitions,
        replication: of.replication,
        session_timeout: of.session_timeout,
        ..kafka::Config::default()
    };
    KafkaBroker::connect(settings).await.with_context(|| format!("Kafka (broker.brokers) at {brokers}"))
}

/// The topic's id and number of partitions.
pub(crate) async fn topic(broker: &dyn Reader) -> anyhow::Result<Topic> {
    broker.topic().await.context("Kafka's topic")
}

/// Connects to the object store, and proves that it keeps what the commit protocol stands on.
async fn store(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let store = bucket(config, config.store.create_bucket).await?;
    self_test(&store, &format!("{:016x}", rand::random::<u64>())).await.with_context(|| place(config))?;
    Ok(retrying(store))
}

/// Connects to the object store and writes nothing to it.
pub(crate) async fn store_as_it_is(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    Ok(retrying(bucket(config, false).await?))
}

fn retrying(store: S3Store) -> Arc<dyn ObjectStore> {
    Arc::new(Retrying::new(store, Backoff::default(), rand::random()))
}

/// How the index in Redis is reached.
pub(crate) fn index_settings(config: &Config, addr: &str, incarnation: u32) -> anyhow::Result<redis::Config> {
    let authorities = loglake_service::trust(config)?.pem().map(<[u8]>::to_vec);
    Ok(redis::Config { authorities, ..redis::Config::new(addr, config.cluster.as_str(), incarnation) })
}

/// Where the store is, for people.
fn place(config: &Config) -> String {
    format!("object store (store.endpoint) at {}", config.store.endpoint.as_deref().unwrap_or("Amazon S3"))
}

async fn bucket(config: &Config, create_bucket: bool) -> anyhow::Result<S3Store> {
    let of = &config.store;
    let settings = s3::Config {
        endpoint: of.endpoint.clone(),
        region: of.region.clone(),
        path_style: of.path_style,
        create_bucket,
        authorities: loglake_service::trust(config)?.pem().map(<[u8]>::to_vec),
        ..s3::Config::new(of.bucket.as_deref().context("store.bucket is not set")?)
    };
    S3Store::connect(settings).await.with_context(|| place(config))
}
