use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::Error;
use crate::kafka::millis;

/// Settings of the broker over Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to begin looking for the cluster: `host:port`, several separated by commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The consumer group that divides the partitions.
    pub group: String,
    /// How this process calls itself in Kafka's own logs and quotas.
    pub client_id: String,
    /// How many partitions the topic gets when it is made; default 12. A topic that exists keeps what it has.
    pub partitions: u32,
    /// How many replicas a partition gets when the topic is made; default 1. From 3 on, an append needs two of them in sync.
    pub replication: u32,
    /// How long a member may be silent before others get its partitions; default 10 s. Kafka itself allows 6 s and more.
    /// Shorter hands over faster, longer bears longer pauses.
    pub session_timeout: Duration,
    /// How long an append is tried before it fails; default 30 s.
    pub delivery_timeout: Duration,
    /// How long any other request is tried before it fails; default 10 s.
    pub request_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic: "logs.raw".to_owned(),
            group: "loglake".to_owned(),
            client_id: "loglake".to_owned(),
            partitions: 12,
            replication: 1,
            session_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Says everything that is wrong at once.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_name = |name: &str| {
            (1..=249).contains(&name.len())
                && name != "."
                && name != ".."
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let mut wrong = Vec::new();
        if self.brokers.trim().is_empty() || self.brokers.contains('\0') {
            wrong.push(format!("the list of Kafka brokers {:?} names none", self.brokers));
        }
        if !is_name(&self.topic) {
            wrong.push(format!("{:?} is no name of a topic: 1..=249 of A-Z a-z 0-9 . _ -", self.topic));
        }
        for (what, name) in [("group", &self.group), ("client id", &self.client_id)] {
            if name.is_empty() || name.contains('\0') {
                wrong.push(format!("{name:?} is no {what}"));
            }
        }
        if !(1..=10_000).contains(&self.partitions) {
            wrong.push(format!("a topic has 1..=10,000 partitions, not {}", self.partitions));
        }
        if !(1..=100).contains(&self.replication) {
            wrong.push(format!("a partition has 1..=100 replicas, not {}", self.replication));
        }
        for (what, timeout) in
            [("session", self.session_timeout), ("delivery", self.delivery_timeout), ("request", self.request_timeout)]
        {
            if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&timeout) {
                wrong.push(format!("a {what} time-out has 1..=3,600 s, not {timeout:?}"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::Config(wrong.join("; "))) }
    }

    /// What every client of ours has.
    pub(super) fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// What every consumer of ours has.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_uncommitted")
            .set("check.crcs", "true")
            .set("fetch.error.backoff.ms", "100")
            .set("session.timeout.ms", millis(self.session_timeout).to_string())
            .set("heartbeat.interval.ms", (millis(self.session_timeout) / 4).clamp(250, 3_000).to_string());
        config
    }

    /// The consumer of the open partitions: what is fetched ahead is bounded a partition.
    pub(super) fn data_consumer(&self) -> ClientConfig {
        let mut config = self.consumer();
        config
            // A partition that is opened joins the next fetch, so a fetch at the end of the log must not wait long.
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.min.messages", "10000")
            .set("queued.max.messages.kbytes", "4096");
        config
    }

    /// The consumers of ranges: they read what is there, and do not wait for more.
    pub(super) fn range_consumer(&self) -> ClientConfig {
        let mut config = self.data_consumer();
        config.set("fetch.wait.max.ms", "10");
        config
    }

    /// The member of the group: partitions move one by one, not all of them at every change.
    pub(super) fn member(&self) -> ClientConfig {
        let mut config = self.consumer();
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config
    }

    /// The producer. `message_bytes` is the largest batch that the topic takes.
    pub(super) fn producer(&self, message_bytes: usize, batch_bytes: usize) -> ClientConfig {
        let mut config = self.base();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "2")
            .set("batch.size", batch_bytes.to_string())
            .set("message.max.bytes", message_bytes.to_string())
            .set("message.timeout.ms", millis(self.delivery_timeout).to_string())
            // Callers are held back before these: see `producer`.
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "131072");
        config
    }
}
