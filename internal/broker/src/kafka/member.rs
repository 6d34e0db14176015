use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::{mpsc, oneshot};

use crate::kafka::config::Config;
use crate::kafka::context::{Logged, failed};
use crate::{Assignment, Error};

/// How long the thread of the member sleeps at most before it looks whether it shall leave.
const LOOK: Duration = Duration::from_millis(100);
/// How long to wait before joining again after the client broke.
const REJOIN_PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for an orderly leave.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);

type Events = mpsc::UnboundedSender<Result<Assignment, Error>>;
type MemberConsumer = BaseConsumer<Rebalances>;
type Live = Arc<Mutex<Option<Arc<MemberConsumer>>>>;

/// Our membership in the group. It learns of partitions and never fetches: all are opened with the data consumer.
pub(super) struct Member {
    config: Config,
    /// Changes that nobody has asked for yet; the rebalance itself never waits for that.
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Result<Assignment, Error>>>,
    state: Mutex<State>,
    /// The live client, for commits.
    consumer: Live,
    is_leaving: Arc<AtomicBool>,
}

enum State {
    Idle(Events),
    Joined(oneshot::Receiver<()>),
    Left,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("group", &self.config.group).finish_non_exhaustive()
    }
}

impl Member {
    pub(super) fn new(config: &Config) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            config: config.clone(),
            events: tokio::sync::Mutex::new(receiver),
            state: Mutex::new(State::Idle(sender)),
            consumer: Arc::default(),
            is_leaving: Arc::default(),
        }
    }

    /// Joins if this is the first call, then waits for the next change. After leaving it waits for ever.
    pub(super) async fn next(&self) -> Result<Assignment, Error> {
        self.join()?;
        match self.events.lock().await.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn join(&self) -> Result<(), Error> {
        let mut state = self.state.lock();
        let State::Idle(events) = &*state else { return Ok(()) };
        let (ended, has_ended) = oneshot::channel();
        let membership = Membership {
            config: self.config.clone(),
            events: events.clone(),
            consumer: Arc::clone(&self.consumer),
            is_leaving: Arc::clone(&self.is_leaving),
        };
        std::thread::Builder::new()
            .name("kafka-member".to_owned())
            .spawn(move || {
                membership.run();
                // Nobody to tell when nobody waits for the end.
                let _ = ended.send(());
            })
            .map_err(|source| Error::Io { what: "cannot start the group member's thread".to_owned(), source })?;
        *state = State::Joined(has_ended);
        Ok(())
    }

    /// Hands the commit over; how it ended is only logged.
    pub(super) fn commit(&self, partition: u32, next: u64) -> Result<(), Error> {
        let topic = &self.config.topic;
        let failed = |error| failed(topic, "an offset was not committed", &error);
        let number = i32::try_from(partition).map_err(|_| Error::NoPartition(partition))?;
        let offset = i64::try_from(next).map_err(|_| Error::Config(format!("{next} is no offset")))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, number, Offset::Offset(offset)).map_err(failed)?;
        match &*self.consumer.lock() {
            Some(consumer) => consumer.commit(&list, CommitMode::Async).map_err(failed),
            None => Err(Error::Unavailable("not a member of the group".to_owned())),
        }
    }

    pub(super) async fn leave(&self) {
        self.is_leaving.store(true, Ordering::SeqCst);
        let state = std::mem::replace(&mut *self.state.lock(), State::Left);
        if let State::Joined(ended) = state
            && tokio::time::timeout(LEAVE_PATIENCE, ended).await.is_err()
        {
            tracing::warn!(group = self.config.group, "kafka group not left in time");
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // The thread leaves by itself; a process that ends sooner is found out by its silence.
        self.is_leaving.store(true, Ordering::SeqCst);
    }
}

/// Turns rebalances into events.
struct Rebalances {
    events: Events,
    held: Mutex<BTreeSet<u32>>,
}

impl Rebalances {
    fn send(&self, event: Assignment) {
        let mut held = self.held.lock();
        match &event {
            Assignment::Assigned(partitions) => held.extend(partitions),
            Assignment::Revoked(partitions) => held.retain(|partition| !partitions.contains(partition)),
        }
        let (Assignment::Assigned(partitions) | Assignment::Revoked(partitions)) = &event;
        if !partitions.is_empty() {
            tracing::info!(?event, "kafka partitions changed");
            // Nobody to tell when the broker was dropped.
            let _ = self.events.send(Ok(event));
        }
    }

    fn revoke_all(&self) {
        let held: Vec<u32> = self.held.lock().iter().copied().collect();
        self.send(Assignment::Revoked(held));
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Logged.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logged.error(error, reason);
    }
}

impl ConsumerContext for Rebalances {
    /// Accepts every assignment with an empty list of partitions to fetch, so that this client fetches nothing.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<u32> =
            list.elements().iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect();
        let is_assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if !is_assigned {
            // First of all: whoever works on them must stop.
            self.send(Assignment::Revoked(partitions.clone()));
        }
        let nothing = TopicPartitionList::new();
        let accepted = match (consumer.rebalance_protocol(), is_assigned) {
            (RebalanceProtocol::Cooperative, true) => consumer.incremental_assign(&nothing),
            (RebalanceProtocol::Cooperative, false) => consumer.incremental_unassign(&nothing),
            (_, true) => consumer.assign(&nothing),
            (_, false) => consumer.unassign(),
        };
        match accepted {
            Ok(()) if is_assigned => self.send(Assignment::Assigned(partitions)),
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "kafka assignment not accepted"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => tracing::debug!(%error, "kafka offset not committed"),
        }
    }
}

/// What the member's thread runs.
struct Membership {
    config: Config,
    events: Events,
    consumer: Live,
    is_leaving: Arc<AtomicBool>,
}

impl Membership {
    fn run(&self) {
        while !self.is_leaving.load(Ordering::SeqCst) {
            if let Err(error) = self.run_once() {
                tracing::warn!(%error, group = self.config.group, "kafka membership broke");
                // Nobody to tell when the broker was dropped.
                let _ = self.events.send(Err(error));
                std::thread::sleep(REJOIN_PAUSE);
            }
        }
    }

    /// Joins, and serves the membership until we leave or the client breaks.
    fn run_once(&self) -> Result<(), Error> {
        let topic = &self.config.topic;
        let context = Rebalances { events: self.events.clone(), held: Mutex::default() };
        let failed = |error| failed(topic, "the group cannot be joined", &error);
        let consumer =
            Arc::new(MemberConsumer::from_config_and_context(&self.config.member(), context).map_err(failed)?);
        consumer.subscribe(&[topic]).map_err(failed)?;
        *self.consumer.lock() = Some(Arc::clone(&consumer));
        let mut ended = Ok(());
        while ended.is_ok() && !self.is_leaving.load(Ordering::SeqCst) {
            match consumer.poll(LOOK) {
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => ended = Err(failed(error)),
                Some(Err(error)) => tracing::debug!(%error, "kafka group event"),
                Some(Ok(_)) | None => {}
            }
        }
        *self.consumer.lock() = None;
        let context = Arc::clone(consumer.context());
        // The last share of it: closes, which tells the group and takes everything back.
        drop(consumer);
        context.revoke_all();
        ended
    }
}
