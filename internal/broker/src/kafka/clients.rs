use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::kafka::blocking;
use crate::kafka::config::Config;
use crate::kafka::context::{Logged, failed, refused};
use crate::kafka::native::{self, DataConsumer, PartitionQueue};
use crate::{Error, Topic};

/// How many ranges are read at once, each by a consumer of its own.
const RANGE_READERS: usize = 4;
/// How often the clients' own events (logs, errors) are looked at.
const CARE_INTERVAL: Duration = Duration::from_millis(200);

/// The consumers that are assigned by hand, and who has what open.
pub(super) struct Clients {
    pub(super) config: Config,
    data: Arc<DataConsumer>,
    topic: CString,
    slots: Arc<Slots>,
    closing: mpsc::Sender<Claim>,
    range_permits: Arc<Semaphore>,
    ranges: Arc<Mutex<Ranges>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The partitions of the data consumer that were ever opened.
type Slots = Mutex<HashMap<i32, Slot>>;

/// A partition of the data consumer: its queue, which stays, and who may take from it.
struct Slot {
    queue: Arc<PartitionQueue>,
    claim: Claim,
}

/// The right to take from a partition's queue, until it is closed or somebody else opens the partition.
#[derive(Clone)]
struct Claim {
    partition: i32,
    /// Locked while messages are taken, so that none is taken by the old owner out of the new one's assignment.
    is_valid: Arc<Mutex<bool>>,
}

impl Claim {
    /// Ends it; says whether it was still valid.
    fn end(&self) -> bool {
        std::mem::replace(&mut *self.is_valid.lock(), false)
    }
}

/// An open partition of the data consumer, closed when it is dropped.
pub(super) struct Opened {
    clients: Arc<Clients>,
    claim: Claim,
    queue: Arc<PartitionQueue>,
    filled: watch::Receiver<u64>,
}

impl Opened {
    /// Runs `take` on the queue, which must not wait. `None` when somebody else opened the partition.
    pub(super) fn with<T>(&self, take: impl FnOnce(&PartitionQueue) -> T) -> Option<T> {
        let is_valid = self.claim.is_valid.lock();
        if *is_valid { Some(take(&self.queue)) } else { None }
    }

    /// Resolves when something came into the queue since the last time; it may have been taken already.
    pub(super) async fn filled(&mut self) {
        if self.filled.changed().await.is_err() {
            // The queue cannot go before `self`; if it did, nothing would ever come.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // The thread ends after the last `Clients`; if it is gone, so is all that was assigned.
        let _ = self.clients.closing.send(self.claim.clone());
    }
}

/// The consumers for ranges.
#[derive(Default)]
struct Ranges {
    /// All of them, for the care of their events.
    all: Vec<Arc<DataConsumer>>,
    /// Those that nobody uses.
    idle: Vec<Arc<DataConsumer>>,
}

/// A consumer for ranges that nobody else uses, given back when it is dropped.
pub(super) struct RangeReader {
    clients: Arc<Clients>,
    consumer: Arc<DataConsumer>,
    /// Whether something is assigned to it that could not be taken away.
    is_stuck: bool,
    _permit: OwnedSemaphorePermit,
}

impl RangeReader {
    /// Assigns `partition` at `offset` and runs `read` on its queue. Blocks.
    pub(super) fn with<T>(
        mut self,
        partition: i32,
        offset: u64,
        read: impl FnOnce(&Clients, &PartitionQueue) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let topic = &self.clients.config.topic;
        let queue = split(&self.consumer, &self.clients.topic, partition)?;
        assign(&self.consumer, topic, partition, offset)?;
        let done = read(&self.clients, &queue);
        let closed = unassign(&self.consumer, topic, partition);
        self.is_stuck = closed.is_err();
        done.and_then(|done| closed.map(|()| done))
    }
}

impl Drop for RangeReader {
    fn drop(&mut self) {
        let mut ranges = self.clients.ranges.lock();
        if self.is_stuck {
            ranges.all.retain(|consumer| !Arc::ptr_eq(consumer, &self.consumer));
        } else {
            ranges.idle.push(Arc::clone(&self.consumer));
        }
    }
}

impl Clients {
    pub(super) fn new(config: &Config) -> Result<Arc<Self>, Error> {
        let topic = CString::new(config.topic.as_str()).map_err(|_| Error::NoTopic(config.topic.clone()))?;
        let data = Arc::new(consumer(&config.data_consumer())?);
        let slots = Arc::new(Slots::default());
        let ranges = Arc::new(Mutex::new(Ranges::default()));
        let (closing, closed) = mpsc::channel();
        let care = Care {
            topic: config.topic.clone(),
            data: Arc::clone(&data),
            slots: Arc::clone(&slots),
            ranges: Arc::clone(&ranges),
        };
        std::thread::Builder::new()
            .name("kafka-care".to_owned())
            .spawn(move || care.run(&closed))
            .map_err(|source| Error::Io { what: "cannot start the Kafka client's thread".to_owned(), source })?;
        let range_permits = Arc::new(Semaphore::new(RANGE_READERS));
        Ok(Arc::new(Self { config: config.clone(), data, topic, slots, closing, range_permits, ranges }))
    }

    pub(super) async fn topic(self: &Arc<Self>) -> Result<Topic, Error> {
        let clients = Arc::clone(self);
        blocking(move || {
            let described =
                native::describe_topic(clients.data.client(), &clients.topic, clients.config.request_timeout);
            let described =
                described.map_err(|code| refused(&clients.config.topic, "the topic cannot be described", code))?;
            Ok(Topic { id: described.id, partitions: described.partitions })
        })
        .await
    }

    /// The consumer that answers for offsets.
    pub(super) fn data(&self) -> &DataConsumer {
        &self.data
    }

    /// Opens a partition of the data consumer at `offset`, taking it from whoever has it open.
    pub(super) async fn open(self: &Arc<Self>, partition: u32, offset: u64) -> Result<Opened, Error> {
        let clients = Arc::clone(self);
        blocking(move || clients.open_now(partition, offset)).await
    }

    fn open_now(self: Arc<Self>, partition: u32, offset: u64) -> Result<Opened, Error> {
        let number = i32::try_from(partition).map_err(|_| Error::NoPartition(partition))?;
        let topic = &self.config.topic;
        let mut slots = self.slots.lock();
        let queue = match slots.get(&number) {
            Some(slot) => {
                if slot.claim.end()
                    && let Err(error) = unassign(&self.data, topic, number)
                {
                    // If it really is still assigned, assigning it again says so.
                    tracing::warn!(%error, partition, "kafka partition not closed");
                }
                Arc::clone(&slot.queue)
            }
            None => Arc::new(split(&self.data, &self.topic, number)?),
        };
        let filled = queue.filled();
        let claim = Claim { partition: number, is_valid: Arc::new(Mutex::new(true)) };
        assign(&self.data, topic, number, offset)?;
        slots.insert(number, Slot { queue: Arc::clone(&queue), claim: claim.clone() });
        drop(slots);
        Ok(Opened { clients: self, claim, queue, filled })
    }

    /// Waits for a consumer for ranges.
    pub(super) async fn range_reader(self: &Arc<Self>) -> Result<RangeReader, Error> {
        let closed = |_| Error::Unavailable("the Kafka client is closed".to_owned());
        let permit = Arc::clone(&self.range_permits).acquire_owned().await.map_err(closed)?;
        let idle = self.ranges.lock().idle.pop();
        let consumer = match idle {
            Some(consumer) => consumer,
            None => {
                let settings = self.config.range_consumer();
                let consumer = blocking(move || consumer(&settings)).await?;
                let consumer = Arc::new(consumer);
                self.ranges.lock().all.push(Arc::clone(&consumer));
                consumer
            }
        };
        Ok(RangeReader { clients: Arc::clone(self), consumer, is_stuck: false, _permit: permit })
    }
}

fn split(consumer: &Arc<DataConsumer>, topic: &CStr, partition: i32) -> Result<PartitionQueue, Error> {
    PartitionQueue::split(Arc::clone(consumer), topic.to_owned(), partition)
        .ok_or_else(|| Error::Unavailable("a partition's queue cannot be made".to_owned()))
}

/// Gives a partition to `consumer`, at `offset`. Blocks a moment.
fn assign(consumer: &DataConsumer, topic: &str, partition: i32, offset: u64) -> Result<(), Error> {
    let failed = |error| failed(topic, "a partition cannot be opened", &error);
    let offset = i64::try_from(offset).map_err(|_| Error::Config(format!("{offset} is no offset")))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(failed)?;
    consumer.incremental_assign(&list).map_err(failed)
}

/// Takes a partition away from `consumer`. Blocks a moment.
fn unassign(consumer: &DataConsumer, topic: &str, partition: i32) -> Result<(), Error> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    consumer.incremental_unassign(&list).map_err(|error| failed(topic, "a partition cannot be closed", &error))
}

fn consumer(settings: &ClientConfig) -> Result<DataConsumer, Error> {
    DataConsumer::from_config_and_context(settings, Logged)
        .map_err(|error| Error::Config(format!("cannot make a Kafka consumer: {error}")))
}

/// The thread that closes partitions and looks at the clients' events. It ends with the last sender.
struct Care {
    topic: String,
    data: Arc<DataConsumer>,
    slots: Arc<Slots>,
    ranges: Arc<Mutex<Ranges>>,
}

impl Care {
    fn run(self, closing: &mpsc::Receiver<Claim>) {
        loop {
            match closing.recv_timeout(CARE_INTERVAL) {
                Ok(claim) => self.close(&claim),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            serve(&self.data);
            let ranges = self.ranges.lock().all.clone();
            for consumer in ranges {
                serve(&consumer);
            }
        }
    }

    fn close(&self, claim: &Claim) {
        // Held so that nobody opens the partition between the end of the claim and the unassigning.
        let _slots = self.slots.lock();
        if claim.end()
            && let Err(error) = unassign(&self.data, &self.topic, claim.partition)
        {
            tracing::warn!(%error, partition = claim.partition, "kafka partition not closed");
        }
    }
}

/// Handles what waits in a client's main queue; messages never come there, every partition has its own queue.
fn serve(consumer: &DataConsumer) {
    while let Some(event) = consumer.poll(Duration::ZERO) {
        if let Err(error) = event {
            tracing::debug!(%error, "kafka consumer event");
        }
    }
}
