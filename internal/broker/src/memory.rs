//! The broker in memory, for tests and simulation: the shortest reading of the contract, without durability.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_model::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    Appended, Assignment, Consumer, Error, Fetched, Message, Offsets, PartitionConsumer, Producer, Reader, Topic, Trim,
};

/// A broker in memory. Clones of the `Arc` share it; [`MemoryBroker::member`] makes consumers that divide the partitions.
#[derive(Debug)]
pub struct MemoryBroker {
    topic: Topic,
    clock: Arc<dyn Clock>,
    partitions: Vec<Partition>,
    /// The members of the group, in the order they joined.
    members: Mutex<Vec<Arc<Seat>>>,
}

#[derive(Debug)]
struct Partition {
    log: Mutex<Log>,
    /// Wakes those that wait for a message, in the order they came: a simulation depends on it.
    grown: Notify,
}

#[derive(Debug, Default)]
struct Log {
    earliest: u64,
    messages: VecDeque<Message>,
    last_time_ns: i64,
}

impl Log {
    fn latest(&self) -> u64 {
        self.earliest + self.messages.len() as u64
    }
}

impl MemoryBroker {
    /// The largest message, in bytes.
    pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

    /// Makes an empty broker whose topic has `id`.
    #[must_use]
    pub fn new(id: &str, partitions: u32, clock: Arc<dyn Clock>) -> Arc<Self> {
        let partition = || Partition { log: Mutex::default(), grown: Notify::new() };
        Arc::new(Self {
            topic: Topic { id: id.to_owned(), partitions },
            clock,
            partitions: (0..partitions).map(|_| partition()).collect(),
            members: Mutex::default(),
        })
    }

    /// Joins the group: the partitions are divided anew among its members, in the order they joined. Dropping the member
    /// leaves.
    #[must_use]
    pub fn member(self: &Arc<Self>) -> MemoryMember {
        let seat = Arc::new(Seat::default());
        let mut members = self.members.lock();
        members.push(Arc::clone(&seat));
        self.divide(&members);
        drop(members);
        MemoryMember { broker: Arc::clone(self), seat }
    }

    fn divide(&self, members: &[Arc<Seat>]) {
        for (at, seat) in members.iter().enumerate() {
            let mine =
                (0..self.topic.partitions).filter(|partition| *partition as usize % members.len() == at).collect();
            seat.give(mine);
        }
    }

    fn partition(&self, partition: u32) -> Result<&Partition, Error> {
        self.partitions.get(partition as usize).ok_or(Error::NoPartition(partition))
    }

    fn fetch(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, Error> {
        let log = self.partition(partition)?.log.lock();
        let (earliest, latest) = (log.earliest, log.latest());
        if from < earliest || from > latest {
            return Err(Error::OffsetOutOfRange { partition, offset: from, earliest, latest });
        }
        let mut fetched = Fetched { messages: Vec::new(), position: from, latest };
        let mut bytes = 0;
        for message in log.messages.range(usize::try_from(from - earliest).unwrap_or(usize::MAX)..) {
            bytes += message.payload.len();
            if message.offset >= to || (bytes > max_bytes && !fetched.messages.is_empty()) {
                break;
            }
            fetched.position = message.offset + 1;
            fetched.messages.push(message.clone());
        }
        Ok(fetched)
    }
}

#[async_trait]
impl Producer for MemoryBroker {
    fn max_message_bytes(&self) -> usize {
        Self::MAX_MESSAGE_BYTES
    }

    async fn append(&self, partition: u32, payload: Bytes) -> Result<Appended, Error> {
        if payload.len() > Self::MAX_MESSAGE_BYTES {
            return Err(Error::TooLarge { bytes: payload.len(), max: Self::MAX_MESSAGE_BYTES });
        }
        let place = self.partition(partition)?;
        let mut log = place.log.lock();
        let offset = log.latest();
        let append_time_ns = self.clock.now_ns().max(log.last_time_ns);
        log.last_time_ns = append_time_ns;
        log.messages.push_back(Message { offset, append_time_ns, leader_epoch: None, payload });
        place.grown.notify_waiters();
        Ok(Appended { offset, append_time_ns })
    }
}

#[async_trait]
impl Reader for MemoryBroker {
    async fn topic(&self) -> Result<Topic, Error> {
        Ok(self.topic.clone())
    }

    async fn offsets(&self, partitions: &[u32]) -> Result<Vec<Offsets>, Error> {
        partitions
            .iter()
            .map(|&partition| {
                let log = self.partition(partition)?.log.lock();
                Ok(Offsets { partition, earliest: log.earliest, latest: log.latest() })
            })
            .collect()
    }

    async fn read(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, Error> {
        self.fetch(partition, from, to, max_bytes)
    }
}

#[async_trait]
impl Trim for MemoryBroker {
    async fn trim(&self, partition: u32, below: u64) -> Result<(), Error> {
        let mut log = self.partition(partition)?.log.lock();
        while log.earliest < below && log.messages.pop_front().is_some() {
            log.earliest += 1;
        }
        Ok(())
    }
}

/// What a member of the group was given, and what it has not been told yet.
#[derive(Debug, Default)]
struct Seat {
    told: Mutex<(Vec<u32>, VecDeque<Assignment>)>,
    changed: Notify,
}

impl Seat {
    fn give(&self, mine: Vec<u32>) {
        let mut told = self.told.lock();
        let (held, events) = &mut *told;
        let only = |some: &[u32], others: &[u32]| -> Vec<u32> {
            some.iter().filter(|partition| !others.contains(partition)).copied().collect()
        };
        let (lost, won) = (only(held, &mine), only(&mine, held));
        if !lost.is_empty() {
            events.push_back(Assignment::Revoked(lost));
        }
        if !won.is_empty() {
            events.push_back(Assignment::Assigned(won));
        }
        *held = mine;
        self.changed.notify_one();
    }
}

/// A member of a [`MemoryBroker`]'s group.
#[derive(Debug)]
pub struct MemoryMember {
    broker: Arc<MemoryBroker>,
    seat: Arc<Seat>,
}

impl MemoryMember {
    fn quit(&self) {
        let mut members = self.broker.members.lock();
        members.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        self.seat.give(Vec::new());
        self.broker.divide(&members);
    }
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        self.quit();
    }
}

#[async_trait]
impl Consumer for MemoryMember {
    async fn next_assignment(&self) -> Result<Assignment, Error> {
        loop {
            let changed = self.seat.changed.notified();
            if let Some(event) = self.seat.told.lock().1.pop_front() {
                return Ok(event);
            }
            changed.await;
        }
    }

    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, Error> {
        self.broker.partition(partition)?;
        Ok(Box::new(OpenPartition { broker: Arc::clone(&self.broker), partition, position: offset }))
    }

    async fn commit(&self, partition: u32, _next: u64) -> Result<(), Error> {
        self.broker.partition(partition).map(|_| ())
    }

    async fn leave(&self) {
        self.quit();
    }
}

struct OpenPartition {
    broker: Arc<MemoryBroker>,
    partition: u32,
    position: u64,
}

#[async_trait]
impl PartitionConsumer for OpenPartition {
    async fn fetch(&mut self, max_bytes: usize, wait: Duration) -> Result<Fetched, Error> {
        let position = self.position;
        let place = self.broker.partition(self.partition)?;
        let mut grown = std::pin::pin!(place.grown.notified());
        grown.as_mut().enable();
        if place.log.lock().latest() == position {
            // A quiet wait is no error.
            let _ = tokio::time::timeout(wait, grown).await;
        }
        let fetched = self.broker.fetch(self.partition, position, u64::MAX, max_bytes)?;
        self.position = fetched.position;
        Ok(fetched)
    }
}

#[cfg(test)]
mod tests {
    use loglake_model::ManualClock;

    use super::*;
    use crate::conformance::{self, Broker};

    #[tokio::test]
    async fn keeps_the_contract() {
        let broker = MemoryBroker::new("memory", 3, Arc::new(ManualClock::at(1)));
        let member = broker.member();
        conformance::all(Broker { producer: &*broker, consumer: &member, reader: &*broker }).await;
        conformance::trim_never_forgets_what_is_above_the_mark(&*broker, &*broker, &*broker).await;
    }

    #[tokio::test]
    async fn members_divide_the_partitions() {
        let broker = MemoryBroker::new("memory", 3, Arc::new(ManualClock::at(1)));
        let first = broker.member();
        assert_eq!(first.next_assignment().await.unwrap(), Assignment::Assigned(vec![0, 1, 2]));
        let second = broker.member();
        assert_eq!(first.next_assignment().await.unwrap(), Assignment::Revoked(vec![1]));
        assert_eq!(second.next_assignment().await.unwrap(), Assignment::Assigned(vec![1]));
        first.leave().await;
        assert_eq!(first.next_assignment().await.unwrap(), Assignment::Revoked(vec![0, 2]));
        assert_eq!(second.next_assignment().await.unwrap(), Assignment::Assigned(vec![0, 2]));
    }
}
