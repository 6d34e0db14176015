//! One client session in one partition: a client that retries through any ingestor, two processors, and readers of the tail.
//!
//! A batch is a number and one or two messages. Messages wait at an ingestor until they are appended, in any order, or never;
//! an acknowledgement comes at any later moment, or never. Every state is judged for a reader of the index and the raw tail,
//! and for one that takes the tail out of each processor's memory.

mod client;
mod processor;
mod repeats;
mod state;

pub use state::{Appended, Part, Processor, Seen, State, Tail};
use stateright::{Model, Property};

use crate::step::Step;

/// A batch that was acknowledged counts, and each part once, whichever way it is read.
pub const EXACTLY_ONCE: &str = "each acknowledged batch counts exactly once for every reader";
/// What is remembered does not grow.
pub const BOUNDED: &str = "a session's state stays within its window";
/// From every state the client can get an acknowledgement for what it still wants (while the session lives).
pub const PROGRESS: &str = "every batch can still be settled and committed";

/// One rule taken away, or done the obvious way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// A processor keeps its state when it loses a claim.
    KeepsState,
    /// Whatever is not above the highest number is a repeat.
    HighestOnly,
    /// Only the last numbers are remembered, without a low mark.
    LastNumbers,
    /// The ingestor does not enforce the window.
    NoWindow,
    /// Entries do not save the state.
    Unsaved,
    /// A reader of the raw tail does not apply the state.
    RawReader,
    /// A reader of the raw tail begins with an empty state, not with the one at T.
    ReaderFromNothing,
    /// What is appended after the session's end counts as new.
    LateCounts,
    /// What is appended after the session's end is dropped, and acknowledged.
    LateAcknowledged,
    /// A batch counts as seen once one of its messages was.
    NumberOnly,
    /// A batch is acknowledged once one of its messages is durable.
    AcknowledgesHalf,
    /// The low mark is the next number, not the oldest without an acknowledgement.
    LowIsNext,
}

/// The size of a session's model.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Batches.
    pub batches: u8,
    /// Messages of each: 1 or 2.
    pub parts: u8,
    /// How many numbers may be without an acknowledgement.
    pub window: u8,
    /// Retries, of any batch.
    pub retries: u8,
    /// How often the client gives a batch up.
    pub give_ups: u8,
    /// Whether the session may end while messages are on their way.
    pub ends: bool,
    /// Processors.
    pub processors: u8,
    /// The rule left out.
    pub naive: Option<Naive>,
}

impl Config {
    /// Three batches, a window of two, two retries, two processors.
    pub const SMALL: Self =
        Self { batches: 3, parts: 1, window: 2, retries: 2, give_ups: 0, ends: false, processors: 2, naive: None };

    fn is(&self, naive: Naive) -> bool {
        self.naive == Some(naive)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "its fields say it")]
pub enum Event {
    /// The client sent the next batch.
    Sends { number: u8, low: u8 },
    /// The client sent a batch again, to any ingestor.
    Retries { number: u8, low: u8 },
    /// The client gave a batch up.
    GivesUp(u8),
    /// An ingestor appended a message.
    Appends(Part, usize),
    /// The client got the acknowledgement of a batch.
    Acknowledged(u8),
    /// The session's time is over.
    SessionEnds,
    /// A processor took the partition over.
    Assigned { processor: usize, next: usize },
    /// A processor read a message.
    Reads { processor: usize, part: Part, counts: bool },
    /// A processor committed what it read.
    Commits { processor: usize, start: usize, next: usize },
    /// A processor lost its claim and began again.
    Loses { processor: usize, next: usize },
}

/// The model of one session in one partition.
#[derive(Clone, Copy, Debug)]
pub struct Sessions(pub Config);

impl Sessions {
    /// Whether everything that the client wants is acknowledged, and all of the log is committed.
    #[must_use]
    pub fn is_goal(&self, state: &State) -> bool {
        state.is_late
            || (1..=self.0.batches).all(|number| number < state.next && !state.is_open(number))
                && state.tail.next == state.log.len()
    }

    fn judge(&self, state: &State, taken: &[(u8, u8)]) -> bool {
        (1..=self.0.batches).all(|number| {
            (0..self.0.parts).all(|part| {
                let count = taken.iter().filter(|taken| **taken == (number, part)).count();
                count == 1 || (count == 0 && state.acknowledged >> number & 1 == 0)
            })
        })
    }

    /// What a reader of the raw log from `from` on takes for new, beginning with `seen`.
    fn raw(&self, state: &State, mut seen: Seen, from: usize) -> Vec<(u8, u8)> {
        let is_raw = self.0.is(Naive::RawReader);
        let tail = state.log.get(from..).unwrap_or_default();
        let counts = tail.iter().filter(|message| seen.take(&self.0, **message) || is_raw);
        counts.map(|message| (message.part.number, message.part.part)).collect()
    }

    fn is_exact(&self, state: &State) -> bool {
        let tail = &state.tail;
        let seen = if self.0.is(Naive::ReaderFromNothing) { Seen::default() } else { tail.seen.clone() };
        let with = |rest: Vec<(u8, u8)>| [tail.taken.clone(), rest].concat();
        if !self.judge(state, &with(self.raw(state, seen, tail.next))) {
            return false;
        }
        state.processors.iter().flatten().all(|processor| {
            let covers = processor.start <= tail.next && processor.position >= tail.next;
            let mut rows: Vec<_> =
                processor.rows.iter().filter(|(offset, _)| *offset >= tail.next).map(|(_, part)| *part).collect();
            let seen = Seen { low: processor.low, parts: processor.parts.clone() };
            rows.extend(self.raw(state, seen, processor.position));
            !covers || self.judge(state, &with(rows))
        })
    }
}

impl Model for Sessions {
    type State = State;
    type Action = Step<Event, State>;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            next: 1,
            acknowledged: 0,
            given_up: 0,
            air: Vec::new(),
            log: Vec::new(),
            durable: [0; 2],
            tail: Tail::default(),
            processors: vec![None; usize::from(self.0.processors)],
            is_late: false,
            retries: self.0.retries,
            give_ups: self.0.give_ups,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Self::Action>) {
        self.client(state, actions);
        self.ingestors(state, actions);
        (0..state.processors.len()).for_each(|at| self.processor(state, at, actions));
    }

    fn next_state(&self, _: &State, step: Self::Action) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(EXACTLY_ONCE, |model: &Self, state| model.is_exact(state)),
            Property::always(BOUNDED, |model: &Self, state: &State| {
                let of = |low, parts: &Vec<_>| Seen { low, parts: parts.clone() }.is_bounded(&model.0);
                of(0, &state.tail.seen.parts)
                    && state.processors.iter().flatten().all(|processor| of(processor.low, &processor.parts))
            }),
        ]
    }
}
