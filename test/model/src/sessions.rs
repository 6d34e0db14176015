//! One client session in one partition: a client that retries through any ingestor, two processors, and readers of the tail.
//!
//! A batch is a number and one or two messages. Messages wait at an ingestor until they are appended, in any order, or never;
//! an acknowledgement comes at any later moment, or never. Every state is judged for a reader of the index and the raw tail,
//! and for one that takes the tail out of each processor's memory.

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

    fn client(&self, state: &State, steps: &mut Vec<Step<Event, State>>) {
        let config = &self.0;
        let low = if config.is(Naive::LowIsNext) { state.next } else { state.low() };
        let mut to = |event, change: &dyn Fn(&mut State)| {
            let mut next = state.clone();
            change(&mut next);
            next.air.sort_unstable();
            steps.push(Step { event, next });
        };
        let send = |state: &mut State, number| {
            state.air.extend((0..config.parts).map(|part| Part { number, part, low }));
        };
        let is_good = !state.is_late;
        if is_good
            && state.next <= config.batches
            && (state.next < state.low() + config.window || config.is(Naive::NoWindow))
        {
            to(Event::Sends { number: state.next, low }, &|state| {
                send(state, state.next);
                state.next += 1;
            });
        }
        for number in (1..state.next).filter(|number| state.is_open(*number)) {
            if is_good && state.retries > 0 {
                to(Event::Retries { number, low }, &|state| {
                    send(state, number);
                    state.retries -= 1;
                });
            }
            if state.give_ups > 0 {
                to(Event::GivesUp(number), &|state| {
                    state.given_up |= 1 << number;
                    state.give_ups -= 1;
                });
            }
            let durable = state.durable.iter().take(usize::from(config.parts)).filter(|bits| **bits >> number & 1 == 1);
            let enough = if config.is(Naive::AcknowledgesHalf) { 1 } else { usize::from(config.parts) };
            if durable.count() >= enough {
                to(Event::Acknowledged(number), &|state| state.acknowledged |= 1 << number);
            }
        }
        if config.ends && is_good {
            to(Event::SessionEnds, &|state| state.is_late = true);
        }
    }

    fn ingestors(&self, state: &State, steps: &mut Vec<Step<Event, State>>) {
        for (at, part) in state.air.iter().enumerate() {
            if at > 0 && state.air[at - 1] == *part {
                continue;
            }
            let mut next = state.clone();
            next.air.remove(at);
            next.log.push(Appended { part: *part, is_late: state.is_late });
            if !state.is_late || self.0.is(Naive::LateAcknowledged) {
                next.durable[usize::from(part.part)] |= 1 << part.number;
            }
            steps.push(Step { event: Event::Appends(*part, state.log.len()), next });
        }
    }

    fn processor(&self, state: &State, at: usize, steps: &mut Vec<Step<Event, State>>) {
        let tail = &state.tail;
        let mut to = |event, processor, tail: Tail| {
            let mut next = state.clone();
            next.processors[at] = Some(processor);
            next.processors.sort_unstable();
            next.tail = tail;
            steps.push(Step { event, next });
        };
        let at_tail = |tail: &Tail| Processor {
            start: tail.next,
            position: tail.next,
            low: tail.seen.low,
            parts: tail.seen.parts.clone(),
            rows: Vec::new(),
        };
        let Some(processor) = &state.processors[at] else {
            return to(Event::Assigned { processor: at, next: tail.next }, at_tail(tail), tail.clone());
        };
        let seen = Seen { low: processor.low, parts: processor.parts.clone() };
        if let Some(message) = state.log.get(processor.position) {
            let mut after = seen.clone();
            let counts = after.take(&self.0, *message);
            let mut rows = processor.rows.clone();
            if counts {
                rows.push((processor.position, (message.part.number, message.part.part)));
            }
            let event = Event::Reads { processor: at, part: message.part, counts };
            let (position, Seen { low, parts }) = (processor.position + 1, after);
            to(event, Processor { start: processor.start, position, low, parts, rows }, tail.clone());
        }
        if processor.position > processor.start && processor.start == tail.next {
            let mut committed = tail.clone();
            committed.next = processor.position;
            committed.taken.extend(processor.rows.iter().map(|(_, part)| *part));
            committed.seen = if self.0.is(Naive::Unsaved) { Seen::default() } else { seen };
            let event = Event::Commits { processor: at, start: processor.start, next: processor.position };
            let after = Processor { start: processor.position, rows: Vec::new(), ..processor.clone() };
            to(event, after, committed);
        } else if processor.position > processor.start {
            let mut again = at_tail(tail);
            if self.0.is(Naive::KeepsState) {
                again = Processor { low: seen.low, parts: seen.parts, ..again };
            }
            to(Event::Loses { processor: at, next: tail.next }, again, tail.clone());
        }
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
