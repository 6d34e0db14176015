//! Folding in its own steps: checkpoints, the segments that they share, and sweeping, with folders that stall.
//!
//! Two days: the first grows with every entry, so that each checkpoint has a segment of its own for it; the second never
//! changes, so that a checkpoint names the segment of the one before. What the segments say is a function of the chain, and
//! is left out; whether they are there is not. A reading of the chain is one step, as in the model of the chain: it looks
//! twice. A reader finds what it needs if and only if the newest checkpoint's segments are there in every state.

mod folder;
mod state;
mod sweeper;

pub use state::{Checkpoint, Folder, Segment, State, Sweeper};
use stateright::{Model, Property};

use crate::step::Step;

/// Whoever reads the newest checkpoint can read what it names.
pub const READABLE: &str = "the newest checkpoint names only segments that are there";
/// From every state the whole chain can be folded.
pub const PROGRESS: &str = "the chain can still be folded up to its tail";

/// One rule taken away, or done the obvious way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// A fold names segments again however far back their checkpoint is.
    ReusesAlways,
    /// A sweep keeps what the newest checkpoint names, and nothing of those before.
    KeepsNewestOnly,
    /// A sweep deletes segments of folds that have not created their checkpoint yet.
    SweepsNewer,
}

/// The size of a model.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Entries of the chain.
    pub entries: u8,
    /// How far back a fold goes, and a sweep keeps (512 in the product).
    pub slack: u8,
    /// Folders: 1 or 2.
    pub folders: usize,
    /// How many folds each may begin and never end.
    pub crashes: u8,
    /// The rule left out.
    pub naive: Option<Naive>,
}

impl Config {
    /// Four entries, two folders.
    pub const SMALL: Self = Self { entries: 4, slack: 1, folders: 2, crashes: 0, naive: None };

    fn is(&self, naive: Naive) -> bool {
        self.naive == Some(naive)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "its fields say it")]
pub enum Event {
    /// The chain has one more entry.
    Committed { seq: u8 },
    /// A folder read the chain.
    Reads { folder: usize, tail: u8, base: u8 },
    /// A folder PUT segments.
    Writes { folder: usize, checkpoint: Checkpoint },
    /// A folder created its checkpoint, or found one there.
    Creates { folder: usize, seq: u8 },
    /// A folder died.
    Dies { folder: usize },
    /// The sweeper listed the segments.
    ListsSegments,
    /// The sweeper listed the checkpoints, and deleted those that are far below the newest.
    ListsCheckpoints { newest: u8 },
    /// The sweeper read a checkpoint, or found it gone.
    ReadsCheckpoint { seq: u8 },
    /// The sweeper deleted a segment.
    Deletes(Segment),
}

/// The model of folding.
#[derive(Clone, Copy, Debug)]
pub struct Folding(pub Config);

impl Folding {
    /// Whether the newest checkpoint is the tail.
    #[must_use]
    pub fn is_goal(&self, state: &State) -> bool {
        state.tail == self.0.entries && state.checkpoints.last().is_some_and(|newest| newest.seq == state.tail)
    }
}

impl Model for Folding {
    type State = State;
    type Action = Step<Event, State>;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            tail: 0,
            checkpoints: Vec::new(),
            segments: Vec::new(),
            folders: vec![Folder::Idle; self.0.folders],
            sweeper: Sweeper::Idle,
            crashes: self.0.crashes,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Self::Action>) {
        if state.tail < self.0.entries {
            let mut next = state.clone();
            next.tail += 1;
            actions.push(Step { event: Event::Committed { seq: next.tail }, next });
        }
        (0..state.folders.len()).for_each(|at| self.fold(state, at, actions));
        self.sweep(state, actions);
    }

    fn next_state(&self, _: &State, step: Self::Action) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(READABLE, |_, state: &State| {
            state.checkpoints.last().is_none_or(|newest| {
                newest.segments.iter().all(|segment| state.segments.binary_search(segment).is_ok())
            })
        })]
    }
}
