//! Folding in its own steps: checkpoints, the segments that they share, and sweeping, with folders that stall.
//!
//! Two days: the first grows with every entry, so that each checkpoint has a segment of its own for it; the second never
//! changes, so that a checkpoint names the segment of the one before. What the segments say is a function of the chain, and
//! is left out; whether they are there is not. A reading of the chain is one step, as in the model of the chain: it looks
//! twice. A reader finds what it needs if and only if the newest checkpoint's segments are there in every state.

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

/// A segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment {
    /// The number of the checkpoint that it was made for.
    pub seq: u8,
    /// Who made it: its nonce.
    pub folder: usize,
    /// Which day.
    pub day: u8,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Checkpoint {
    /// The last entry in it.
    pub seq: u8,
    /// One for each day.
    pub segments: Vec<Segment>,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Folder {
    /// Not at work.
    Idle,
    /// Has read the chain.
    Read {
        /// Its tail.
        tail: u8,
        /// The newest checkpoint then.
        base: Option<Checkpoint>,
    },
    /// Has PUT the segments.
    Wrote(Checkpoint),
}

/// A sweeper.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sweeper {
    /// Not at work.
    Idle,
    /// Has listed the segments.
    Listed(Vec<Segment>),
    /// Has listed the checkpoints, and reads those that it keeps.
    Reads {
        /// Segments that none of those read so far names.
        unnamed: Vec<Segment>,
        /// The checkpoints still to be read.
        kept: Vec<u8>,
    },
    /// Deletes.
    Deletes(Vec<Segment>),
}

/// The chain's length, and what folding has made of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The chain's last entry.
    pub tail: u8,
    /// Checkpoints in the store, ascending.
    pub checkpoints: Vec<Checkpoint>,
    /// Segments in the store, ascending.
    pub segments: Vec<Segment>,
    /// Those who fold.
    pub folders: Vec<Folder>,
    /// Who sweeps.
    pub sweeper: Sweeper,
    /// Folds that may still end before their time.
    pub crashes: u8,
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

    fn fold(&self, state: &State, at: usize, steps: &mut Vec<Step<Event, State>>) {
        let newest = state.checkpoints.last();
        let mut next = state.clone();
        let event = match &state.folders[at] {
            Folder::Idle if newest.is_none_or(|newest| newest.seq < state.tail) && state.tail > 0 => {
                next.folders[at] = Folder::Read { tail: state.tail, base: newest.cloned() };
                Event::Reads { folder: at, tail: state.tail, base: newest.map_or(0, |newest| newest.seq) }
            }
            Folder::Idle => return,
            Folder::Read { tail, base } => {
                let made = |day| Segment { seq: *tail, folder: at, day };
                let near =
                    base.as_ref().filter(|base| tail - base.seq <= self.0.slack || self.0.is(Naive::ReusesAlways));
                let second = near.map_or(made(1), |base| base.segments[1]);
                let checkpoint = Checkpoint { seq: *tail, segments: vec![made(0), second] };
                next.segments.extend(checkpoint.segments.iter().filter(|one| one.folder == at && one.seq == *tail));
                next.segments.sort_unstable();
                next.segments.dedup();
                next.folders[at] = Folder::Wrote(checkpoint.clone());
                Event::Writes { folder: at, checkpoint }
            }
            Folder::Wrote(checkpoint) => {
                if !state.checkpoints.iter().any(|there| there.seq == checkpoint.seq) {
                    next.checkpoints.push(checkpoint.clone());
                    next.checkpoints.sort_unstable();
                }
                next.folders[at] = Folder::Idle;
                Event::Creates { folder: at, seq: checkpoint.seq }
            }
        };
        steps.push(Step { event, next });
        if state.crashes > 0 && state.folders[at] != Folder::Idle {
            let mut next = state.clone();
            next.crashes -= 1;
            next.folders[at] = Folder::Idle;
            steps.push(Step { event: Event::Dies { folder: at }, next });
        }
    }

    fn sweep(&self, state: &State, steps: &mut Vec<Step<Event, State>>) {
        let mut next = state.clone();
        let event = match &state.sweeper {
            Sweeper::Idle => {
                next.sweeper = Sweeper::Listed(state.segments.clone());
                Event::ListsSegments
            }
            Sweeper::Listed(segments) => {
                let newest = state.checkpoints.last().map_or(0, |newest| newest.seq);
                next.checkpoints.retain(|checkpoint| checkpoint.seq + self.0.slack >= newest);
                let is_kept = |seq: u8| seq == newest || !self.0.is(Naive::KeepsNewestOnly);
                let kept =
                    next.checkpoints.iter().map(|checkpoint| checkpoint.seq).filter(|seq| is_kept(*seq)).collect();
                let is_old = |segment: &&Segment| segment.seq <= newest || self.0.is(Naive::SweepsNewer);
                next.sweeper = Sweeper::Reads { unnamed: segments.iter().filter(is_old).copied().collect(), kept };
                Event::ListsCheckpoints { newest }
            }
            Sweeper::Reads { unnamed, kept } => match kept.split_last() {
                Some((seq, rest)) => {
                    let named = state.checkpoints.iter().find(|checkpoint| checkpoint.seq == *seq);
                    let is_named = |segment: &Segment| named.is_some_and(|named| named.segments.contains(segment));
                    let unnamed = unnamed.iter().filter(|segment| !is_named(segment)).copied().collect();
                    next.sweeper = Sweeper::Reads { unnamed, kept: rest.to_vec() };
                    Event::ReadsCheckpoint { seq: *seq }
                }
                None => return self.delete(state, unnamed, steps),
            },
            Sweeper::Deletes(unnamed) => return self.delete(state, unnamed, steps),
        };
        steps.push(Step { event, next });
    }

    fn delete(&self, state: &State, unnamed: &[Segment], steps: &mut Vec<Step<Event, State>>) {
        if unnamed.is_empty() {
            let mut next = state.clone();
            next.sweeper = Sweeper::Idle;
            // Over without an event of its own: the next sweep begins.
            steps.push(Step { event: Event::ListsSegments, next });
        }
        for segment in unnamed {
            let mut next = state.clone();
            next.segments.retain(|there| there != segment);
            next.sweeper = Sweeper::Deletes(unnamed.iter().filter(|other| *other != segment).copied().collect());
            steps.push(Step { event: Event::Deletes(*segment), next });
        }
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
