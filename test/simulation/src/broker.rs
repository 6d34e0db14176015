//! The broker: what it tells comes late, or not at all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_broker::{
    Appended, Assignment, Consumer, Error, Fetched, MemoryBroker, MemoryMember, Offsets, PartitionConsumer, Producer,
    Reader, Topic, Trim,
};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dice::Dice;
use crate::faults::{Faults, Life, Part, Reply};
use crate::mutation::Mutation;
use crate::trace::Trace;

/// What all processes share of the broker.
#[derive(Debug)]
pub struct SharedBroker {
    /// The log.
    pub log: Arc<MemoryBroker>,
    /// The group's offsets, which nothing may read back.
    pub group: Mutex<BTreeMap<u32, u64>>,
    /// Offsets told before, for a broker that lies.
    pub told: Mutex<BTreeMap<u32, Offsets>>,
    /// The rule that it breaks.
    pub mutation: Option<Mutation>,
}

/// The broker as one process sees it.
#[derive(Clone, Debug)]
pub struct FaultyBroker {
    /// What all processes share.
    pub shared: Arc<SharedBroker>,
    /// What becomes of calls.
    pub faults: Faults,
    /// Who calls.
    pub life: Life,
    /// For lies.
    pub dice: Dice,
}

impl FaultyBroker {
    async fn call<T: std::fmt::Debug + Send + 'static>(
        &self,
        what: String,
        is_write: bool,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match self.faults.call(&self.life, Part::Broker, what.clone(), is_write, work).await {
            Reply::Done(outcome) => outcome,
            Reply::Refused | Reply::Lost => Err(Error::Unavailable(format!("{what}: simulated"))),
        }
    }
}

#[async_trait]
impl Producer for FaultyBroker {
    fn max_message_bytes(&self) -> usize {
        self.shared.log.max_message_bytes()
    }

    async fn append(&self, partition: u32, payload: Bytes) -> Result<Appended, Error> {
        let shared = Arc::clone(&self.shared);
        let is_forgotten = shared.mutation == Some(Mutation::BrokerForgets) && self.dice.chance(20);
        let append = async move {
            if is_forgotten {
                return Ok(Appended { offset: 0, append_time_ns: 0 });
            }
            shared.log.append(partition, payload).await
        };
        self.call(format!("append {partition}"), true, append).await
    }
}

#[async_trait]
impl Reader for FaultyBroker {
    async fn topic(&self) -> Result<Topic, Error> {
        let shared = Arc::clone(&self.shared);
        self.call("topic".to_owned(), false, async move { shared.log.topic().await }).await
    }

    async fn offsets(&self, partitions: &[u32]) -> Result<Vec<Offsets>, Error> {
        let (shared, partitions) = (Arc::clone(&self.shared), partitions.to_vec());
        let lies = shared.mutation == Some(Mutation::BrokerTellsOldOffsets);
        let read = async move {
            let mut all = shared.log.offsets(&partitions).await?;
            if lies {
                let mut told = shared.told.lock();
                for offsets in &mut all {
                    let before = told.insert(offsets.partition, *offsets).unwrap_or(*offsets);
                    *offsets = before;
                }
            }
            Ok(all)
        };
        self.call("offsets".to_owned(), false, read).await
    }

    async fn read(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, Error> {
        let shared = Arc::clone(&self.shared);
        let read = async move { shared.log.read(partition, from, to, max_bytes).await };
        self.call(format!("read {partition} {from}..{to}"), false, read).await
    }
}

#[async_trait]
impl Trim for FaultyBroker {
    async fn trim(&self, partition: u32, below: u64) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        self.call(
            format!("trim {partition} below {below}"),
            true,
            async move { shared.log.trim(partition, below).await },
        )
        .await
    }
}

/// A member of the group as its process sees it: what it is told comes late.
#[derive(Debug)]
pub struct FaultyMember {
    broker: FaultyBroker,
    trace: Trace,
    /// Told when the broker throws it out.
    out: Notify,
    state: Mutex<Membership>,
}

#[derive(Debug)]
struct Membership {
    member: Arc<MemoryMember>,
    /// The broker has thrown it out: it joins anew once it was told.
    is_out: bool,
    /// Hears nothing until then.
    deaf_until: Instant,
    /// What it is going to be told, and when.
    waiting: VecDeque<(Instant, Assignment)>,
    /// How many milliseconds news may take.
    lag_ms: u64,
}

impl FaultyMember {
    /// Joins the group; news take up to `lag_ms` milliseconds.
    #[must_use]
    pub fn join(broker: FaultyBroker, trace: Trace, lag_ms: u64) -> Self {
        let state = Membership {
            member: Arc::new(broker.shared.log.member()),
            is_out: false,
            deaf_until: Instant::now(),
            waiting: VecDeque::new(),
            lag_ms,
        };
        Self { broker, trace, out: Notify::new(), state: Mutex::new(state) }
    }

    /// The broker gives its partitions to others; it learns of it only after `wait`.
    pub async fn evict(&self, wait: Duration) {
        let member = {
            let mut state = self.state.lock();
            state.deaf_until = Instant::now() + wait;
            state.is_out = true;
            Arc::clone(&state.member)
        };
        member.leave().await;
        self.out.notify_one();
    }

    /// The seat in the group: it stays taken as long as this is kept, as after a crash until the session times out.
    #[must_use]
    pub fn seat(&self) -> Arc<MemoryMember> {
        Arc::clone(&self.state.lock().member)
    }
}

#[async_trait]
impl Consumer for FaultyMember {
    async fn next_assignment(&self) -> Result<Assignment, Error> {
        loop {
            let first = self.state.lock().waiting.front().map(|(due, _)| *due);
            if let Some(due) = first {
                // Dropped here, the news is still waiting.
                sleep_until(due).await;
                let told = self.state.lock().waiting.pop_front();
                if let Some((_, news)) = told {
                    self.trace.say(self.broker.life.name(), format_args!("told {news:?}"));
                    return Ok(news);
                }
                continue;
            }
            let (member, is_out) = {
                let state = self.state.lock();
                (Arc::clone(&state.member), state.is_out)
            };
            let news = if is_out {
                // What was left to say to the old seat; then a new one.
                match tokio::time::timeout(Duration::ZERO, member.next_assignment()).await {
                    Ok(news) => news?,
                    Err(_) => {
                        let heard = self.state.lock().deaf_until;
                        sleep_until(heard).await;
                        let mut state = self.state.lock();
                        state.member = Arc::new(self.broker.shared.log.member());
                        state.is_out = false;
                        continue;
                    }
                }
            } else {
                tokio::select! {
                    biased;
                    news = member.next_assignment() => news?,
                    () = self.out.notified() => continue,
                }
            };
            let mut state = self.state.lock();
            let lag = self.broker.dice.millis(0..state.lag_ms.max(1));
            let due = state.deaf_until.max(Instant::now() + lag);
            // In order, as they came.
            let due = state.waiting.back().map_or(due, |(last, _)| due.max(*last));
            state.waiting.push_back((due, news));
        }
    }

    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, Error> {
        let shared = &self.broker.shared;
        let offset = if shared.mutation == Some(Mutation::ConsumerBeginsAtGroupOffset) {
            shared.group.lock().get(&partition).copied().unwrap_or(offset)
        } else {
            offset
        };
        let member = self.seat();
        let inner = member.open(partition, offset).await?;
        Ok(Box::new(FaultyPartition { inner, broker: self.broker.clone(), partition }))
    }

    async fn commit(&self, partition: u32, next: u64) -> Result<(), Error> {
        let shared = Arc::clone(&self.broker.shared);
        let commit = async move {
            shared.group.lock().insert(partition, next);
            Ok(())
        };
        self.broker.call(format!("commit {partition} {next}"), true, commit).await
    }

    async fn leave(&self) {
        let member = {
            let mut state = self.state.lock();
            state.deaf_until = Instant::now();
            Arc::clone(&state.member)
        };
        member.leave().await;
    }
}

struct FaultyPartition {
    inner: Box<dyn PartitionConsumer>,
    broker: FaultyBroker,
    partition: u32,
}

#[async_trait]
impl PartitionConsumer for FaultyPartition {
    async fn fetch(&mut self, max_bytes: usize, wait: Duration) -> Result<Fetched, Error> {
        // Everything that may fail or wait comes before: a call that is dropped loses no message.
        let partition = self.partition;
        self.broker.call(format!("fetch {partition}"), false, async { Ok(()) }).await?;
        let mut fetched = self.inner.fetch(max_bytes, wait).await?;
        let skips = self.broker.shared.mutation == Some(Mutation::ConsumerSkipsMessages);
        if skips && !fetched.messages.is_empty() && self.broker.dice.chance(50) {
            fetched.messages.remove(0);
        }
        if !fetched.messages.is_empty() {
            self.broker.faults.note(&self.broker.life, format_args!("fetched {partition} up to {}", fetched.position));
        }
        Ok(fetched)
    }
}

/// Keeps a seat for `wait`, as the broker does for a member that it does not hear from.
pub async fn keep_seat(seat: Arc<MemoryMember>, wait: Duration) {
    sleep(wait).await;
    drop(seat);
}
