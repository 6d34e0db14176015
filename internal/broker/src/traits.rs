//! The contract of a broker: three traits, kept by Kafka and by the embedded log alike.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Error;

/// Where an appended message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its offset in the partition.
    pub offset: u64,
    /// The broker's own append time, ns UTC since the epoch.
    pub append_time_ns: i64,
}

/// A message as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its offset in the partition.
    pub offset: u64,
    /// The broker's own append time, ns UTC since the epoch.
    pub append_time_ns: i64,
    /// The epoch of the leader that it was read from; `None` where the broker has none (the embedded log).
    pub leader_epoch: Option<i32>,
    /// What was appended.
    pub payload: Bytes,
}

/// Messages of one partition in offset order.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The messages, ascending by offset, not necessarily consecutive.
    pub messages: Vec<Message>,
    /// The offset to go on from. It may lie past the last message: offsets have holes, also trailing ones.
    pub position: u64,
    /// The partition's latest offset (the next one to be written) as far as this answer knows; for the lag.
    pub latest: u64,
}

/// Offsets of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The partition.
    pub partition: u32,
    /// The lowest offset still there.
    pub earliest: u64,
    /// The offset that the next message will get: everything acknowledged lies below it.
    pub latest: u64,
}

/// What a topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The id of this life of the topic (Kafka's topic id, KIP-516; a random id of the embedded log). A topic made anew
    /// has another one.
    pub id: String,
    /// How many partitions it has; it only ever grows.
    pub partitions: u32,
}

/// Appends messages.
#[async_trait]
pub trait Producer: Send + Sync {
    /// The largest payload that [`Producer::append`] takes, in bytes.
    fn max_message_bytes(&self) -> usize;

    /// Appends `payload` to `partition` and returns where it stands. **When it returns `Ok`, the message is durable**: on
    /// all in-sync replicas (Kafka) or fsynced (embedded).
    ///
    /// Order holds between calls of which one ended before the other began. A failed call may have appended the message;
    /// trying again may append it twice. When buffers are full it waits.
    ///
    /// # Errors
    /// `TooLarge` over [`Producer::max_message_bytes`]; `NotFound` for a partition that does not exist; `Exhausted` when the
    /// cap is reached; `NoSpace` when the disk is full or only its reserve is left; `Unavailable` when the broker did not confirm in time (outcome unknown); `Corrupt` when the
    /// log is damaged.
    async fn append(&self, partition: u32, payload: Bytes) -> Result<Appended, Error>;
}

/// A change of what a member of the group may consume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// These partitions are this member's now.
    Assigned(Vec<u32>),
    /// These no longer are: stop serving and committing at once, drop the buffers.
    Revoked(Vec<u32>),
}

/// A member of the consumer group: learns which partitions are its own, opens them where it wants.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Waits for the next change of the assignment. Must be called all the time: it keeps the membership alive.
    ///
    /// Cancel safe; for one caller at a time. The first call joins the group. After [`Consumer::leave`], what was held is told
    /// as revoked, then it waits for ever. The embedded log has one member: it assigns all partitions once, revokes none, and
    /// assigns them anew after it was left.
    ///
    /// # Errors
    /// `Unavailable` when the membership broke; call again, it is joined anew.
    async fn next_assignment(&self) -> Result<Assignment, Error>;

    /// Opens an assigned partition at `offset`; never the group's own offset, which may be ahead of what was committed. Over
    /// Kafka, opening a partition a second time takes it from the first opener, whose fetches fail as `Unavailable`.
    ///
    /// # Errors
    /// `NotFound` when there is no such partition.
    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, Error>;

    /// Tells the group how far `partition` was processed: a hint, for lag metrics only. Nothing reads it back.
    ///
    /// # Errors
    /// `Unavailable`; may be ignored.
    async fn commit(&self, partition: u32, next: u64) -> Result<(), Error>;

    /// Leaves the group in order, so that others take over without waiting for a time-out.
    async fn leave(&self);
}

/// One open partition. Dropping it closes it.
#[async_trait]
pub trait PartitionConsumer: Send {
    /// Waits at most `wait` for messages at the current position, then returns what is there: no message after a quiet
    /// wait. Returns about `max_bytes` of payload at most, but always at least one message when there is one. Reading is
    /// what makes room: nothing is buffered without bound.
    ///
    /// Cancel safe: a cancelled call loses no message.
    ///
    /// # Errors
    /// [`Error::OffsetOutOfRange`] when the position lies outside of the log (retention ran past it, or the log was
    /// truncated): the caller decides, the position stays; `Unavailable` to try again; `NotFound` when the topic is gone;
    /// `Corrupt` when stored bytes are damaged.
    async fn fetch(&mut self, max_bytes: usize, wait: std::time::Duration) -> Result<Fetched, Error>;
}

/// Reads without a group: for queries, start-up and repair.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The topic's id and partitions.
    ///
    /// # Errors
    /// `Unavailable`; `NotFound` when there is no such topic.
    async fn topic(&self) -> Result<Topic, Error>;

    /// Earliest and latest offsets of `partitions`, in the order asked, in one call. `latest` is read after the call came:
    /// a message acknowledged before it lies below.
    ///
    /// # Errors
    /// `Unavailable`; `NotFound` for a partition that does not exist.
    async fn offsets(&self, partitions: &[u32]) -> Result<Vec<Offsets>, Error>;

    /// Reads `[from, to)` of `partition`, about `max_bytes` of payload at most but at least one message. `position` of the
    /// answer says how far it got: `to` when all was read, the latest offset when that comes first (nothing is waited for).
    ///
    /// # Errors
    /// [`Error::OffsetOutOfRange`] when `from` is below the earliest offset or past the latest; `NotFound` for a partition that
    /// does not exist; `Unavailable`; `Corrupt`.
    async fn read(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, Error>;
}

/// Forgets what is no longer needed; only the embedded log has it (Kafka has its own retention).
#[async_trait]
pub trait Trim: Send + Sync {
    /// Says that no one will ask for offsets below `below` of `partition` any more. Space is given back when whole segment
    /// files are free. Going backwards does nothing.
    ///
    /// # Errors
    /// `Unavailable` when a file could not be removed.
    async fn trim(&self, partition: u32, below: u64) -> Result<(), Error>;
}
