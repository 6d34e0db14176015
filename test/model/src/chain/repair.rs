//! Whoever finds the index behind or missing mends it: a rebuild under a token, or catching up, only forwards.

use super::config::{Naive, Reading};
use super::set::{Ids, Seq};
use super::state::{Index, State};
use super::view::View;
use super::{Event, Steps};

/// How far one is. `is_fresh` means that the token it put into the empty index is still there: the index was not lost
/// since the chain was read.
#[allow(missing_docs, reason = "its fields say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repair {
    /// Not at work.
    Idle,
    /// Has put its token, and read a checkpoint.
    AtCheckpoint { base: View, is_fresh: bool },
    /// Has read the entries after it, and has to look at the newest checkpoint again.
    LooksAgain { base: View, view: View, is_fresh: bool },
    /// Is about to write.
    Writes { view: View, is_fresh: bool },
}

/// What a repair did.
#[allow(missing_docs, reason = "its fields say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repairing {
    /// Read the whole chain.
    ReadsChain { tail: Seq },
    /// Read the newest checkpoint.
    ReadsCheckpoint(Seq),
    /// Read the entries after it.
    ReadsEntries { tail: Seq, live: Ids },
    /// Found the same checkpoint again.
    FindsSame,
    /// Found a newer one: starts again.
    FindsNewer,
    /// Wrote the index.
    Writes { watermark: Seq, live: Ids },
    /// Its write was refused.
    Refused,
}

impl Repair {
    pub(super) fn ids(&self) -> Ids {
        match self {
            Self::Idle => Ids::NONE,
            Self::AtCheckpoint { base, .. } => base.ids(),
            Self::LooksAgain { base, view, .. } => base.ids().and(view.ids()),
            Self::Writes { view, .. } => view.ids(),
        }
    }

    /// After a loss of the index, its token is gone.
    pub(super) fn outlives_loss(self) -> Self {
        match self {
            Self::Idle => self,
            Self::AtCheckpoint { base, .. } => Self::AtCheckpoint { base, is_fresh: false },
            Self::LooksAgain { base, view, .. } => Self::LooksAgain { base, view, is_fresh: false },
            Self::Writes { view, .. } => Self::Writes { view, is_fresh: false },
        }
    }
}

impl Steps<'_> {
    pub(super) fn lose_index(&mut self) {
        if self.from.left.losses > 0 && self.from.index.is_some() {
            self.to(Event::IndexLost, |state| {
                state.index = None;
                state.left.losses -= 1;
                state.repairs = state.repairs.map(Repair::outlives_loss);
            });
        }
    }

    fn repairing(&mut self, at: usize, what: Repairing, change: impl FnOnce(&mut State) -> Repair) {
        self.to(Event::Repair(at, what), |state| state.repairs[at] = change(state));
    }

    pub(super) fn repair(&mut self, at: usize) {
        let state = self.from;
        match state.repairs[at] {
            Repair::Idle => self.begin_repair(at),
            Repair::AtCheckpoint { base, is_fresh } => {
                let view = base.tail(&state.entries, &state.chunks);
                let next = match self.config.repairing {
                    Reading::Once => Repair::Writes { view: slim(view), is_fresh },
                    _ => Repair::LooksAgain { base, view, is_fresh },
                };
                self.repairing(at, Repairing::ReadsEntries { tail: view.seq, live: view.live }, |_| next);
            }
            Repair::LooksAgain { base, view, is_fresh } if base.seq == state.checkpoint.seq => {
                self.repairing(at, Repairing::FindsSame, |_| Repair::Writes { view: slim(view), is_fresh });
            }
            Repair::LooksAgain { .. } => self.repairing(at, Repairing::FindsNewer, |_| Repair::Idle),
            Repair::Writes { view, is_fresh } => {
                let is_taken = match state.index {
                    None => is_fresh || self.config.is(Naive::RebuildFromOldView),
                    Some(index) => index.watermark < view.seq || self.config.is(Naive::RebuildBackwards),
                };
                if is_taken {
                    let what = Repairing::Writes { watermark: view.seq, live: view.live };
                    self.repairing(at, what, |state| {
                        state.index = Some(index_at(&view));
                        Repair::Idle
                    });
                } else {
                    self.repairing(at, Repairing::Refused, |_| Repair::Idle);
                }
            }
        }
    }

    fn begin_repair(&mut self, at: usize) {
        let (state, tail) = (self.from, self.from.tail());
        match self.config.repairing {
            Reading::Off => {}
            Reading::Once | Reading::Twice => {
                self.repairing(at, Repairing::ReadsCheckpoint(state.checkpoint.seq), |state| Repair::AtCheckpoint {
                    base: state.checkpoint,
                    is_fresh: true,
                });
            }
            Reading::Whole => {
                if state.index.is_none_or(|index| index.watermark < tail.seq) {
                    let next = Repair::Writes { view: slim(tail), is_fresh: true };
                    self.repairing(at, Repairing::ReadsChain { tail: tail.seq }, |_| next);
                }
                if self.config.is(Naive::RebuildInSteps) && state.index.is_none() && state.checkpoint.seq < tail.seq {
                    let base = state.checkpoint;
                    let next = Repair::Writes { view: slim(base), is_fresh: true };
                    self.repairing(at, Repairing::ReadsCheckpoint(base.seq), |_| next);
                }
            }
        }
    }
}

/// The index does not hold removed chunks.
fn slim(view: View) -> View {
    View { removed: [0; super::set::IDS], ..view }
}

fn index_at(view: &View) -> Index {
    Index { watermark: view.seq, next: view.next, live: view.live, gaps: view.gaps, deleted: view.deleted }
}
