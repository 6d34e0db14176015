//! Partitions are added: streams move, and everyone learns of it at another time.
//!
//! One stream, one client session, up to three counts of partitions. A batch lies in one partition, which follows from the
//! stream and a count. What a partition's chain takes is a function of its log from where its consumer began, with repeats
//! dropped; so the state holds the logs and those beginnings, and every state is judged for a query that comes then.

mod state;

pub use state::{Ingestor, State};
use stateright::{Model, Property};

use crate::step::Step;

/// Every acknowledged batch is in the answer, once, of a query that names the stream.
pub const COMPLETE: &str = "a query that names a stream sees each of its acknowledged batches exactly once";

/// One rule taken away, or done the obvious way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// A batch of a session goes where the ingestor's own count puts it.
    RoutesByOwnCount,
    /// A query asks only the partition that today's count gives.
    AsksToday,
    /// A query asks only the partition that the first count gives.
    AsksFirst,
    /// A query asks the partitions of the counts that its service knew when it started.
    AsksKnown,
    /// A query asks the partitions of the first and of today's count, and of none between.
    AsksEnds,
    /// The consumer of a new partition begins at its end.
    NewAtLatest,
    /// The first count is written down by whoever comes first, after batches were appended under an earlier one.
    WrittenDownLate,
}

/// The size of a model.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The stream's hash: its partition is the remainder by the count.
    pub hash: u8,
    /// Partitions in the beginning.
    pub first: u8,
    /// Partitions in the end.
    pub last: u8,
    /// Batches.
    pub batches: u8,
    /// Retries.
    pub retries: u8,
    /// The rule left out.
    pub naive: Option<Naive>,
}

impl Config {
    /// Two batches while one partition becomes three.
    pub const SMALL: Self = Self { hash: 5, first: 1, last: 3, batches: 2, retries: 1, naive: None };

    fn is(&self, naive: Naive) -> bool {
        self.naive == Some(naive)
    }

    fn partition(&self, count: u8) -> usize {
        usize::from(self.hash % count)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "its fields say it")]
pub enum Event {
    /// A partition was added.
    PartitionAdded { count: u8 },
    /// An ingestor learnt the count.
    IngestorLearns { ingestor: usize, count: u8 },
    /// The life of the topic was written down, with its count.
    WrittenDown { count: u8 },
    /// A query service started.
    QueryServiceStarts { count: u8 },
    /// The client opened a session with an ingestor.
    Opens { ingestor: usize, count: u8 },
    /// The session ended; the client will open another one.
    Closes,
    /// An ingestor appended a batch. It is acknowledged, or its acknowledgement is lost.
    Appends { ingestor: usize, batch: u8, partition: usize, acknowledged: bool },
    /// A consumer found a partition, and began.
    Assigned { partition: usize, start: usize },
}

/// The model of one stream over a growing topic.
#[derive(Clone, Copy, Debug)]
pub struct Routing(pub Config);

impl Routing {
    /// The partitions that a query which names the stream asks.
    fn asked(&self, state: &State) -> Vec<usize> {
        let config = &self.0;
        let of = |counts: std::ops::RangeInclusive<u8>| counts.map(|count| config.partition(count));
        // What nobody has written down is not known: all are asked.
        let Some(first) = state.written_down else { return (0..usize::from(state.count)).collect() };
        let mut asked: Vec<usize> = match config.naive {
            Some(Naive::AsksToday) => of(state.count..=state.count).collect(),
            Some(Naive::AsksFirst) => of(first..=first).collect(),
            Some(Naive::AsksKnown) => of(first..=state.known_to_query.max(first)).collect(),
            Some(Naive::AsksEnds) => of(first..=first).chain(of(state.count..=state.count)).collect(),
            _ => of(first..=state.count).collect(),
        };
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    fn is_complete(&self, state: &State) -> bool {
        let mut seen = vec![0; usize::from(self.0.batches)];
        for partition in self.asked(state) {
            let log = state.logs[partition].get(state.starts[partition].unwrap_or(0)..).unwrap_or_default();
            let mut taken: Vec<u8> = log.to_vec();
            // Each partition drops the repeats that it sees.
            taken.sort_unstable();
            taken.dedup();
            taken.iter().for_each(|batch| seen[usize::from(*batch)] += 1);
        }
        seen.iter()
            .enumerate()
            .all(|(batch, count)| *count == 1 || (*count == 0 && state.acknowledged >> batch & 1 == 0))
    }

    fn append(&self, state: &State, at: usize, batch: u8, is_retry: bool, steps: &mut Vec<Step<Event, State>>) {
        let Some(session) = state.session else { return };
        let count = if self.0.is(Naive::RoutesByOwnCount) { state.ingestors[at].count } else { session };
        let partition = self.0.partition(count);
        for acknowledged in [true, false] {
            let mut next = state.clone();
            next.logs[partition].push(batch);
            next.retries -= u8::from(is_retry);
            next.sent = next.sent.max(batch + 1);
            next.acknowledged |= u8::from(acknowledged) << batch;
            steps.push(Step { event: Event::Appends { ingestor: at, batch, partition, acknowledged }, next });
        }
    }
}

impl Model for Routing {
    type State = State;
    type Action = Step<Event, State>;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.0)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Self::Action>) {
        let config = &self.0;
        let mut to = |event, change: &dyn Fn(&mut State)| {
            let mut next = state.clone();
            change(&mut next);
            actions.push(Step { event, next });
        };
        let count = state.count;
        let may_grow = state.written_down.is_some() || config.is(Naive::WrittenDownLate);
        if count < config.last && may_grow {
            to(Event::PartitionAdded { count: count + 1 }, &|state| state.count += 1);
        }
        if state.written_down.is_none() {
            to(Event::WrittenDown { count }, &|state| state.written_down = Some(count));
        }
        if config.is(Naive::AsksKnown) && state.known_to_query != count {
            to(Event::QueryServiceStarts { count }, &|state| state.known_to_query = count);
        }
        for at in 0..state.ingestors.len() {
            if state.ingestors[at].count != count {
                to(Event::IngestorLearns { ingestor: at, count }, &|state| state.ingestors[at].count = count);
            }
            if state.session.is_none() {
                let count = state.ingestors[at].count;
                to(Event::Opens { ingestor: at, count }, &|state| state.session = Some(count));
            }
        }
        // Batches that have no acknowledgement are repeated in the session that they were sent in.
        let is_settled = (0..state.sent).all(|batch| state.acknowledged >> batch & 1 == 1);
        if state.session.is_some() && is_settled {
            to(Event::Closes, &|state| state.session = None);
        }
        for partition in 0..usize::from(count) {
            if state.starts[partition].is_none() {
                let is_new = partition >= usize::from(config.first);
                let start = if config.is(Naive::NewAtLatest) && is_new { state.logs[partition].len() } else { 0 };
                to(Event::Assigned { partition, start }, &|state| state.starts[partition] = Some(start));
            }
        }
        for at in 0..state.ingestors.len() {
            if state.sent < config.batches {
                self.append(state, at, state.sent, false, actions);
            }
            for batch in (0..state.sent).filter(|batch| state.acknowledged >> batch & 1 == 0) {
                if state.retries > 0 {
                    self.append(state, at, batch, true, actions);
                }
            }
        }
    }

    fn next_state(&self, _: &State, step: Self::Action) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(COMPLETE, |model: &Self, state: &State| model.is_complete(state))]
    }
}
