//! The broker under the chain: leaders that change, logs that are cut, topics that are made anew.
//!
//! One partition. Every record in the log is acknowledged; a record that the broker loses by itself is not ours to save, but
//! what it holds must come back exactly once, and a halt is better than an offset used for two records. Claims are atomic
//! here, and the index is the chain: how they fail is what the model of the chain is about.

mod processor;
mod reader;
mod state;

pub use processor::Processing;
pub use reader::Querying;
pub use state::{Chain, Processor, Reader, Record, State, Tenure};
use stateright::{Model, Property};

use crate::step::Step;

/// Nothing is committed past a place where the chain and the log are of different histories.
pub const NO_SKIP: &str = "nothing is committed past records that were skipped";
/// No record is committed twice, in whatever life of the topic.
pub const ONCE: &str = "no record is committed twice";
/// An answer told complete has, exactly once, every record that was acknowledged before and is still in the log.
pub const COMPLETE: &str = "a complete answer has every record that the log has";
/// What the log holds can still be committed, unless it was cut below the tail: that halts.
pub const PROGRESS: &str = "what the log has can still be committed, or the partition is halted by a cut";

/// One rule taken away, or done the obvious way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// At the start only "is the latest offset below the tail" is asked: a log that has grown again looks whole.
    LengthOnly,
    /// Not even that: a consumer whose place is not there yet waits for it.
    WaitsForOffset,
    /// A consumer goes on after the log was cut under it, if its offset is there again.
    GoesOnAfterCut,
    /// A processor works on for the life of the topic that it started with.
    OldIncarnation,
    /// The topic's id is asked for now and then, not between the last read and the claim.
    IdBeforeReading,
    /// A re-created topic gets the same number.
    SameIncarnation,
    /// A reader takes H without the epoch of the record below it.
    HeadWithoutEpoch,
    /// A reader joins the tail to the index without comparing the epochs of the record below T.
    JoinsWithoutEpoch,
    /// A reader does not ask whether the topic is still the one it started with.
    ReaderOldIncarnation,
}

/// The size of a model.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Records that will be appended.
    pub records: u8,
    /// Processors.
    pub processors: usize,
    /// Clean elections.
    pub elections: u8,
    /// Unclean elections: the new leader lacks some of the end.
    pub cuts: u8,
    /// How often the topic is deleted and made anew.
    pub remakes: u8,
    /// Queries.
    pub queries: u8,
    /// The rule left out.
    pub naive: Option<Naive>,
}

impl Config {
    /// Three records and two processors; nothing goes wrong.
    pub const SMALL: Self =
        Self { records: 3, processors: 2, elections: 0, cuts: 0, remakes: 0, queries: 0, naive: None };

    fn is(&self, naive: Naive) -> bool {
        self.naive == Some(naive)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record was acknowledged.
    Appended {
        /// Which.
        number: u8,
        /// Where.
        offset: usize,
    },
    /// A new leader, which has everything.
    Elected {
        /// Its epoch.
        epoch: u8,
    },
    /// A new leader, which has only the beginning.
    Cut {
        /// The log's new length.
        to: usize,
        /// The leader's epoch.
        epoch: u8,
    },
    /// The topic was deleted and made anew.
    Remade {
        /// The number of its new life.
        k: usize,
    },
    /// A processor moved.
    Processor(usize, Processing),
    /// A query moved.
    Reader(Querying),
}

/// The model of one partition's broker.
#[derive(Clone, Copy, Debug)]
pub struct Lineage(pub Config);

type Steps = Vec<Step<Event, State>>;

impl Lineage {
    /// Whether all that the log has is committed, or a cut halts the partition.
    #[must_use]
    pub fn is_goal(&self, state: &State) -> bool {
        state.is_cut_below_tail() || state.chains[state.k].next() == state.log.len()
    }

    fn broker(&self, state: &State, steps: &mut Steps) {
        let mut to = |event, change: &dyn Fn(&mut State)| {
            let mut next = state.clone();
            change(&mut next);
            steps.push(Step { event, next });
        };
        if state.appended < self.0.records {
            let record = Record { number: state.appended, epoch: state.epoch };
            to(Event::Appended { number: record.number, offset: state.log.len() }, &|state| {
                state.log.push(record);
                state.appended += 1;
            });
        }
        let epoch = state.epoch + 1;
        if state.elections > 0 {
            to(Event::Elected { epoch }, &|state| {
                state.epoch = epoch;
                state.elections -= 1;
            });
        }
        if state.cuts > 0 {
            for length in 0..state.log.len() {
                to(Event::Cut { to: length, epoch }, &|state| {
                    state.log.truncate(length);
                    state.epoch = epoch;
                    state.cuts -= 1;
                });
            }
        }
        if state.remakes > 0 {
            let k = if self.0.is(Naive::SameIncarnation) { state.k } else { state.k + 1 };
            to(Event::Remade { k }, &|state| {
                state.log.clear();
                state.epoch = 0;
                state.remakes -= 1;
                state.k = k;
                state.chains.resize_with(k + 1, Chain::default);
            });
        }
    }
}

impl Model for Lineage {
    type State = State;
    type Action = Step<Event, State>;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            k: 0,
            epoch: 0,
            log: Vec::new(),
            appended: 0,
            chains: vec![Chain::default()],
            processors: vec![Processor { k: 0, tenure: None }; self.0.processors],
            reader: None,
            elections: self.0.elections,
            cuts: self.0.cuts,
            remakes: self.0.remakes,
            queries: self.0.queries,
            is_answer_wrong: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Self::Action>) {
        self.broker(state, actions);
        (0..state.processors.len()).for_each(|at| self.processor(state, at, actions));
        self.read(state, actions);
    }

    fn next_state(&self, _: &State, step: Self::Action) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_SKIP, |_, state: &State| {
                let chain = &state.chains[state.k].records;
                let is_same = |offset: usize| state.log.get(offset) == chain.get(offset);
                // A record of this log above one that is not the log's.
                let first_apart = (0..chain.len().min(state.log.len())).find(|offset| !is_same(*offset));
                first_apart.is_none_or(|apart| (apart..chain.len()).all(|offset| !is_same(offset)))
            }),
            Property::always(ONCE, |_, state: &State| {
                let mut numbers: Vec<u8> =
                    state.chains.iter().flat_map(|chain| &chain.records).map(|record| record.number).collect();
                let count = numbers.len();
                numbers.sort_unstable();
                numbers.dedup();
                numbers.len() == count
            }),
            Property::always(COMPLETE, |_, state: &State| !state.is_answer_wrong),
        ]
    }
}
