//! The broker over Apache Kafka, by librdkafka.
//!
//! One [`KafkaBroker`] is one topic seen by one process. It holds up to four kinds of client, so that none can disturb
//! another:
//!
//! - a **producer**: idempotent, `acks=all`; what waits is bounded by bytes, callers wait past that;
//! - a **data consumer** for the open partitions: assigned by hand, each with a queue of its own that begins at the caller's
//!   offset. It also answers for topic id and offsets;
//! - a **member** of the group, from the first [`Consumer::next_assignment`] on: it only learns which partitions are
//!   its own, and never fetches;
//! - a few **readers** for ranges, made when they are asked for.
//!
//! Guards that hold for all of them: no automatic commit or offset store, `auto.offset.reset=error` (a position outside of the
//! log is the caller's decision), `enable.partition.eof` (the end of a partition moves the position past trailing holes),
//! `isolation.level=read_uncommitted` (a foreign transaction must not hide what was acknowledged), and a topic whose append
//! times are the broker's own.

mod clients;
mod config;
mod consumer;
mod context;
mod member;
mod native;
mod offsets;
mod producer;
mod reader;
mod topic;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::clients::Clients;
pub use self::config::Config;
use self::member::Member;
use self::producer::Sender;
use crate::{Appended, Assignment, Consumer, Error, Fetched, Offsets, PartitionConsumer, Producer, Reader, Topic};

/// The broker over Apache Kafka: one topic.
#[derive(Debug)]
pub struct KafkaBroker {
    clients: Arc<Clients>,
    sender: Sender,
    member: Member,
    partitions: AtomicU32,
}

impl KafkaBroker {
    /// Connects, makes the topic if there is none, and checks its settings.
    ///
    /// # Errors
    /// `Invalid` for settings that cannot be used, also those of a topic that exists: its append times must be the broker's
    /// own (`message.timestamp.type=LogAppendTime`) and it must not be compacted; `Unavailable` when Kafka does not answer.
    pub async fn connect(config: Config) -> Result<Arc<Self>, Error> {
        config.check()?;
        let limits = topic::ensure(&config).await?;
        let sender = Sender::new(&config, limits.message_bytes)?;
        let clients = Clients::new(&config)?;
        let member = Member::new(&config);
        let broker = Self { clients, sender, member, partitions: AtomicU32::new(0) };
        // Leaders of a topic that was just made may still be on their way: `offsets` waits for them.
        let all: Vec<u32> = (0..broker.topic().await?.partitions).collect();
        broker.offsets(&all).await?;
        Ok(Arc::new(broker))
    }

    /// Checks that the topic has `partition`; asks Kafka again when it seems not to, since partitions may be added.
    async fn check(&self, partition: u32) -> Result<(), Error> {
        if partition < self.partitions.load(Ordering::Relaxed) || partition < self.topic().await?.partitions {
            return Ok(());
        }
        Err(Error::NoPartition(partition))
    }
}

#[async_trait]
impl Producer for KafkaBroker {
    fn max_message_bytes(&self) -> usize {
        self.sender.max_message_bytes()
    }

    async fn append(&self, partition: u32, payload: Bytes) -> Result<Appended, Error> {
        self.check(partition).await?;
        self.sender.append(partition, payload).await
    }
}

#[async_trait]
impl Consumer for KafkaBroker {
    async fn next_assignment(&self) -> Result<Assignment, Error> {
        self.member.next().await
    }

    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, Error> {
        self.check(partition).await?;
        Ok(Box::new(consumer::OpenPartition::open(Arc::clone(&self.clients), partition, offset).await?))
    }

    async fn commit(&self, partition: u32, next: u64) -> Result<(), Error> {
        self.check(partition).await?;
        self.member.commit(partition, next)
    }

    async fn leave(&self) {
        self.member.leave().await;
    }
}

#[async_trait]
impl Reader for KafkaBroker {
    async fn topic(&self) -> Result<Topic, Error> {
        let topic = self.clients.topic().await?;
        self.partitions.store(topic.partitions, Ordering::Relaxed);
        Ok(topic)
    }

    async fn offsets(&self, partitions: &[u32]) -> Result<Vec<Offsets>, Error> {
        if let Some(highest) = partitions.iter().max() {
            self.check(*highest).await?;
        }
        offsets::offsets(&self.clients, partitions).await
    }

    async fn read(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, Error> {
        self.check(partition).await?;
        reader::read(&self.clients, partition, from, to, max_bytes).await
    }
}

/// Runs what blocks in librdkafka off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::Unavailable("a call to Kafka was stopped".to_owned())))
}

/// Milliseconds as librdkafka takes them.
fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
