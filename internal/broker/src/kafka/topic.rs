//! Making the topic, and checking the one that is there.

use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::RDKafkaErrorCode;

use crate::Error;
use crate::kafka::blocking;
use crate::kafka::config::Config;
use crate::kafka::context::{Logged, failed, is_passing, refused};
use crate::kafka::native::{self, Description};

const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const LOG_APPEND_TIME: &str = "LogAppendTime";
const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";
/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(100);

/// What the topic's settings allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The largest batch of messages, in bytes (`max.message.bytes`).
    pub(super) message_bytes: usize,
}

/// Makes the topic if there is none, waits until it is known, and checks its settings.
pub(super) async fn ensure(config: &Config) -> Result<Limits, Error> {
    let admin = AdminClient::from_config_and_context(&config.base(), Logged)
        .map_err(|error| Error::Config(format!("cannot make a Kafka client: {error}")))?;
    let admin = Arc::new(admin);
    if describe(&admin, config).await?.is_none() {
        create(&admin, config).await?;
        let deadline = Instant::now() + config.request_timeout;
        while describe(&admin, config).await?.is_none() {
            if Instant::now() >= deadline {
                return Err(Error::Unavailable(format!("the topic {:?} was made and is not there", config.topic)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    let limits = check_settings(&admin, config).await;
    // Ending the client waits for its thread.
    blocking(move || {
        drop(admin);
        Ok(())
    })
    .await?;
    limits
}

async fn describe(admin: &Arc<AdminClient<Logged>>, config: &Config) -> Result<Option<Description>, Error> {
    let (admin, config) = (Arc::clone(admin), config.clone());
    blocking(move || {
        let name = CString::new(config.topic.as_str()).map_err(|_| Error::NoTopic(config.topic.clone()))?;
        match native::describe_topic(admin.inner(), &name, config.request_timeout) {
            Ok(description) => Ok(Some(description)),
            Err(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
            Err(code) => Err(refused(&config.topic, &format!("Kafka at {} does not answer", config.brokers), code)),
        }
    })
    .await
}

async fn create(admin: &AdminClient<Logged>, config: &Config) -> Result<(), Error> {
    let impossible = |what: &str| Error::Config(format!("{what} cannot be"));
    let partitions = i32::try_from(config.partitions).map_err(|_| impossible("so many partitions"))?;
    let replication = i32::try_from(config.replication).map_err(|_| impossible("so many replicas"))?;
    let mut topic = NewTopic::new(&config.topic, partitions, TopicReplication::Fixed(replication))
        .set(TIMESTAMP_TYPE, LOG_APPEND_TIME)
        .set(UNCLEAN_ELECTION, "false")
        .set("cleanup.policy", "delete");
    if config.replication >= 3 {
        topic = topic.set("min.insync.replicas", "2");
    }
    let options = AdminOptions::new()
        .request_timeout(Some(config.request_timeout))
        .operation_timeout(Some(config.request_timeout));
    let what = "the topic cannot be made";
    let results = admin.create_topics([&topic], &options).await.map_err(|error| failed(&config.topic, what, &error))?;
    match results.into_iter().next() {
        Some(Ok(_)) => {
            tracing::info!(topic = config.topic, partitions, replication, "kafka topic made");
            Ok(())
        }
        // Another process was first.
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((
            _,
            code @ (RDKafkaErrorCode::InvalidReplicationFactor
            | RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::PolicyViolation),
        ))) => Err(Error::Config(format!("{what} with {partitions} partitions of {replication} replicas: {code}"))),
        Some(Err((_, code))) => Err(refused(&config.topic, what, code)),
        None => Err(Error::Unavailable(format!("{what}: Kafka did not say why"))),
    }
}

async fn check_settings(admin: &AdminClient<Logged>, config: &Config) -> Result<Limits, Error> {
    let what = "the topic's settings cannot be read";
    let options = AdminOptions::new().request_timeout(Some(config.request_timeout));
    let deadline = Instant::now() + config.request_timeout;
    let resource = loop {
        let results = admin.describe_configs([&ResourceSpecifier::Topic(&config.topic)], &options).await;
        let results = results.map_err(|error| failed(&config.topic, what, &error))?;
        match results.into_iter().next() {
            Some(Ok(resource)) if !resource.entries.is_empty() => break resource,
            // A broker that has not heard yet of a topic made a moment ago: it says so, or tells no settings at all.
            Some(Ok(_) | Err(RDKafkaErrorCode::UnknownTopicOrPartition)) if Instant::now() < deadline => {}
            Some(Ok(_)) => return Err(Error::Unavailable(format!("{what}: Kafka tells none"))),
            Some(Err(code)) if is_passing(code) && Instant::now() < deadline => {}
            Some(Err(code)) => return Err(refused(&config.topic, what, code)),
            None => return Err(Error::Unavailable(format!("{what}: Kafka did not say why"))),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let setting = |name: &str| {
        let entry = resource.entries.iter().find(|entry| entry.name == name);
        entry.and_then(|entry| entry.value.clone()).unwrap_or_default()
    };
    let mut wrong = Vec::new();
    if setting(TIMESTAMP_TYPE) != LOG_APPEND_TIME {
        wrong.push(format!("{TIMESTAMP_TYPE} is {:?} and must be {LOG_APPEND_TIME:?}", setting(TIMESTAMP_TYPE)));
    }
    if setting("cleanup.policy") != "delete" {
        wrong.push(format!("cleanup.policy is {:?} and must be \"delete\"", setting("cleanup.policy")));
    }
    if setting(UNCLEAN_ELECTION) == "true" {
        wrong.push(format!("{UNCLEAN_ELECTION} is true and must be false: it throws acknowledged records away"));
    }
    let message_bytes = setting("max.message.bytes").parse().unwrap_or(0);
    if !(64 << 10..=1 << 30).contains(&message_bytes) {
        wrong.push(format!("max.message.bytes is {:?} and must be 64 KiB to 1 GiB", setting("max.message.bytes")));
    }
    if wrong.is_empty() {
        return Ok(Limits { message_bytes });
    }
    Err(Error::Config(format!("the topic {:?} cannot be used: {}", config.topic, wrong.join("; "))))
}
