//! Steps 3 to 5 of writing: one conditional create, and what its answers mean. Processors and jobs share it.

use super::config::{Config, Naive};
use super::set::{Ids, Seq};
use super::state::{Fault, State};
use super::view::{Entry, Kind};

/// How far a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// About to create.
    Create,
    /// The create's answer does not tell who won.
    Doubt,
    /// The own entry is there; whether it counts is to be seen.
    Created,
    /// Won, and not in the index yet.
    Apply,
}

/// A claim of one number for one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    pub(super) phase: Phase,
    pub(super) seq: Seq,
    pub(super) entry: Entry,
}

/// What happened to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The create was done.
    Created,
    /// It was done, and the answer was lost.
    CreatedReplyLost,
    /// There is an object already.
    Exists,
    /// No answer; the create is still on its way.
    NoAnswer,
    /// Reads back, finds nothing: tries again.
    Absent,
    /// Reads back its own entry.
    OwnFound,
    /// Reads back another's entry: lost.
    OtherFound,
    /// The newest checkpoint is at or past it: lost.
    FoldedAway,
    /// The newest checkpoint is below it: won.
    Won,
    /// The index had it already.
    AlreadyApplied,
    /// Applied to the index.
    Applied,
}

/// How the writer goes on.
pub(super) enum Then {
    Still(Claim),
    Lost,
    Done,
}

impl Claim {
    pub(super) fn new(seq: Seq, entry: Entry) -> Self {
        Self { phase: Phase::Create, seq, entry }
    }

    pub(super) fn ids(&self) -> Ids {
        self.entry.removes.with(self.entry.id)
    }

    /// Whether the number may be claimed with a chunk that first aimed at `target`.
    pub(super) fn is_within_slack(config: &Config, state: &State, seq: Seq, entry: &Entry) -> bool {
        let target = state.chunks[entry.id.0 as usize].target;
        entry.kind == Kind::Gap || seq <= target + config.slack || config.is(Naive::ClaimBeyondSlack)
    }

    /// Gives `each` whatever may happen next.
    pub(super) fn steps(self, config: &Config, state: &State, mut each: impl FnMut(Claimed, State, Then)) {
        let there = state.at(self.seq);
        let in_phase = |phase| Then::Still(Self { phase, ..self });
        let mut next = *state;
        match self.phase {
            Phase::Create => {
                if there.is_none() {
                    next.entries[self.seq as usize - 1] = Some(self.entry);
                    each(Claimed::Created, next, in_phase(Phase::Created));
                    each(Claimed::CreatedReplyLost, next, in_phase(Phase::Doubt));
                } else {
                    each(Claimed::Exists, next, in_phase(Phase::Doubt));
                }
                if state.left.late > 0 {
                    let mut next = *state;
                    next.left.late -= 1;
                    next.put_in_flight(self.seq, self.entry);
                    each(Claimed::NoAnswer, next, in_phase(Phase::Doubt));
                }
            }
            Phase::Doubt => match there {
                None => each(Claimed::Absent, next, in_phase(Phase::Create)),
                Some(there) if there.id == self.entry.id => each(Claimed::OwnFound, next, in_phase(Phase::Created)),
                Some(_) if config.is(Naive::ExistsIsWon) => each(Claimed::OwnFound, next, in_phase(Phase::Created)),
                Some(_) => each(Claimed::OtherFound, next, Then::Lost),
            },
            Phase::Created if state.checkpoint.seq >= self.seq && !config.is(Naive::WonWithoutCheckpoint) => {
                each(Claimed::FoldedAway, next, Then::Lost);
            }
            Phase::Created => {
                let counts = state.checkpoint.seq < self.seq
                    && state.tail().seq >= self.seq
                    && there.is_some_and(|there| there.id == self.entry.id);
                if !counts {
                    next.fault = Some(Fault::WonOutsideChain);
                }
                each(Claimed::Won, next, in_phase(Phase::Apply));
            }
            Phase::Apply => match state.index {
                Some(index) if index.watermark >= self.seq => each(Claimed::AlreadyApplied, next, Then::Done),
                Some(index) if index.watermark + 1 == self.seq || config.is(Naive::ApplyOutOfOrder) => {
                    let entry = self.entry;
                    let mut index = index;
                    index.watermark = self.seq;
                    index.next = entry.next;
                    index.live = index.live.without(entry.removes);
                    match entry.kind {
                        Kind::Gap if config.is(Naive::IndexForgetsGap) => {}
                        Kind::Gap => index.gaps = index.gaps.and(state.content(entry.id)),
                        Kind::Flush | Kind::Rewrite => index.live = index.live.with(entry.id),
                    }
                    index.deleted = index.deleted.and(entry.deletes);
                    next.index = Some(index);
                    each(Claimed::Applied, next, Then::Done);
                }
                // Behind or missing: a repair comes first.
                _ => {}
            },
        }
    }
}
