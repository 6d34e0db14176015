//! One partition: the log, the chain of entries, the index, and everyone who writes, folds, collects, mends or reads.
//!
//! A file an actor. [`State`] is all that there is; [`Config`] says how much of it, and which rule is left out.
//!
//! Reductions, and why each loses no violation:
//! - Where lag is free the log is full from the beginning: sealing any prefix of what is there covers every lag of the
//!   consumer. `appended` lets it grow; where retention moves the log's start, positions are tracked.
//! - A reading of the chain that looks at the newest checkpoint again after its last GET, and finds the same one, is exact at
//!   the moment of its GETs: it is one step. `Reading::Twice` and `Reading::Once` take the steps apart.
//! - A checkpoint is a function of the chain up to its number, so a slow folder is one that folds any prefix.
//! - A query's arrival, its H and its reading of the index are one step: arriving later only asks more of the answer. Its
//!   chunks are judged as an invariant of the index, so of a query only (H, T, watermark) is kept.
//! - A wrong actor stops: a state with a fault has no successors.
//! - Processors are interchangeable, repairs too: they are sorted. Ids that nothing knows any more are used again.
//! - Time is never used: "after a grace" is "at any later moment", and a dead job is one that never moves again.

mod claim;
mod collector;
mod config;
mod folder;
mod job;
mod processor;
mod properties;
mod reader;
mod repair;
mod set;
mod state;
mod view;

pub use claim::{Claim, Claimed, Phase};
pub use collector::{Collecting, Collector};
pub use config::{Config, Naive, Reading, Work};
pub use folder::Folding;
pub use job::{Job, Working};
pub use processor::{Processing, Processor, Tenure, Upload};
pub use properties::{
    COMPLETE, DELETED_STAYS, EXACTLY_ONCE, GAP_IS_GONE, INDEX_EXACT, INDEX_NO_DANGLING, NO_DANGLING, PROGRESS,
    WELL_FORMED, WINNER_COUNTS,
};
pub use reader::{Querying, Reader};
pub use repair::{Repair, Repairing};
pub use set::{IDS, Id, Ids, Offset, Offsets, Seq};
pub use state::{Fault, InFlight, Index, Left, Log, State};
use stateright::{Model, Property};
pub use view::{Chunk, Chunks, Entries, Entry, Kind, SEQS, View};

use crate::step::Step;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record was acknowledged.
    Appended(Offset),
    /// The broker's retention deleted what lies below.
    Retention {
        /// The log's new start.
        start: Offset,
    },
    /// A processor moved.
    Processor(usize, Processing),
    /// A job moved.
    Job(usize, Working),
    /// A create that was on its way was done.
    LateCreate(Seq, Id),
    /// A create that was on its way was refused.
    LateRefused(Seq, Id),
    /// The folder moved.
    Folder(Folding),
    /// The collector moved.
    Collector(Collecting),
    /// The index lost everything.
    IndexLost,
    /// A repair moved.
    Repair(usize, Repairing),
    /// A query moved.
    Reader(Querying),
}

/// The model of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Chain(pub Config);

impl Chain {
    /// Whether everything is committed (or the chain is full) and the index shows it: what must stay possible.
    #[must_use]
    pub fn is_goal(&self, state: &State) -> bool {
        properties::is_goal(&self.0, state)
    }
}

impl Model for Chain {
    type State = State;
    type Action = Step<Event, State>;

    fn init_states(&self) -> Vec<State> {
        assert!(self.0.records <= 7 && self.0.seqs as usize <= SEQS, "the configuration is too large");
        vec![State::new(&self.0)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Self::Action>) {
        if state.fault.is_some() {
            return;
        }
        let mut steps = Steps { config: &self.0, from: *state, steps: actions };
        steps.log();
        (0..2).for_each(|at| steps.processor(at));
        (0..2).for_each(|at| steps.job(at));
        steps.network();
        steps.fold();
        steps.collect();
        steps.lose_index();
        (0..self.0.repairs as usize).for_each(|at| steps.repair(at));
        steps.read();
    }

    fn next_state(&self, _: &State, step: Self::Action) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::properties()
    }
}

/// Gathers what may happen from one state.
struct Steps<'a> {
    config: &'a Config,
    from: State,
    steps: &'a mut Vec<Step<Event, State>>,
}

impl Steps<'_> {
    fn to(&mut self, event: Event, change: impl FnOnce(&mut State)) {
        let mut next = self.from;
        change(&mut next);
        self.push(event, next);
    }

    fn push(&mut self, event: Event, mut next: State) {
        next.normalise();
        self.steps.push(Step { event, next });
    }

    /// The broker's log grows, and retention shortens it.
    fn log(&mut self) {
        let log = self.from.log;
        if log.end < self.config.records {
            self.to(Event::Appended(log.end), |state| state.log.end += 1);
        }
        if self.from.left.retentions > 0 {
            for start in log.start + 1..=log.end {
                self.to(Event::Retention { start }, |state| {
                    state.log.start = start;
                    state.left.retentions -= 1;
                });
            }
        }
    }

    /// What was on its way arrives.
    fn network(&mut self) {
        for at in 0..self.from.in_flight.len() {
            let Some(InFlight { seq, entry }) = self.from.in_flight[at] else { continue };
            let is_free = self.from.at(seq).is_none();
            let event = if is_free { Event::LateCreate(seq, entry.id) } else { Event::LateRefused(seq, entry.id) };
            self.to(event, |state| {
                state.in_flight[at] = None;
                if is_free {
                    state.entries[seq as usize - 1] = Some(entry);
                }
            });
        }
    }
}
