//! What an operator does to a topic.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::Offset;

/// How long Kafka may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Works on one topic.
pub(super) struct Admin {
    client: AdminClient<DefaultClientContext>,
    consumer: BaseConsumer,
    topic: String,
}

impl Admin {
    /// For `topic` on `brokers`.
    pub(super) fn new(brokers: &str, topic: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", "faults");
        Ok(Self { client: config.create()?, consumer: config.create()?, topic: topic.to_owned() })
    }

    fn options() -> AdminOptions {
        AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
    }

    /// How many partitions it has.
    pub(super) fn partitions(&self) -> Result<i32> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        let topic = metadata.topics().first().context("the topic is not known")?;
        Ok(i32::try_from(topic.partitions().len())?)
    }

    /// The earliest and the latest offset of each partition.
    pub(super) fn ends(&self) -> Result<Vec<(i64, i64)>> {
        let all = 0..self.partitions()?;
        all.map(|partition| Ok(self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE)?)).collect()
    }

    /// Gives it more partitions.
    pub(super) async fn grow(&self, partitions: usize) -> Result<()> {
        let wanted = NewPartitions::new(&self.topic, partitions);
        let results = self.client.create_partitions([&wanted], &Self::options()).await?;
        results
            .into_iter()
            .try_for_each(|one| one.map(drop))
            .map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))
    }

    /// Deletes the topic, and makes it anew with the same name and other contents: none.
    pub(super) async fn recreate(&self, partitions: i32) -> Result<()> {
        let failed = |(topic, code)| anyhow::anyhow!("{topic}: {code}");
        let deleted = self.client.delete_topics(&[&self.topic], &Self::options()).await?;
        deleted.into_iter().try_for_each(|one| one.map(drop)).map_err(failed)?;
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1))
            .set("message.timestamp.type", "LogAppendTime");
        // The old one goes bit by bit.
        for _ in 0..100 {
            let made = self.client.create_topics([&topic], &Self::options()).await?;
            if made.into_iter().all(|one| one.is_ok()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::bail!("the topic cannot be made anew")
    }

    /// Deletes everything that it holds now, as retention would.
    pub(super) async fn delete_records(&self) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for (partition, (_, latest)) in self.ends()?.into_iter().enumerate() {
            list.add_partition_offset(&self.topic, i32::try_from(partition)?, Offset::Offset(latest))?;
        }
        let deleted = self.client.delete_records(&list, &Self::options()).await?;
        deleted.elements().iter().try_for_each(|element| element.error()).context("records are deleted")
    }
}
