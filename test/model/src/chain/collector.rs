//! The collector: deletes chunks that nobody names, and removed chunks after a grace.

use super::config::{Naive, Reading};
use super::reader::Reader;
use super::set::{Id, Ids, Seq};
use super::state::State;
use super::view::View;
use super::{Event, Steps};

/// How far it is, where it reads in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collector {
    /// Not at work.
    Idle,
    /// Has read a checkpoint.
    AtCheckpoint(View),
    /// Has read the entries after it, and has to look at the newest checkpoint again.
    LooksAgain(View, Ids),
    /// Deletes what nobody names.
    Deletes(Ids),
}

/// What the collector did.
#[allow(missing_docs, reason = "its fields say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collecting {
    /// Read the newest checkpoint.
    ReadsCheckpoint(Seq),
    /// Read the entries after it.
    ReadsEntries { tail: Seq, live: Ids },
    /// Found the same checkpoint again.
    FindsSame,
    /// Found a newer one: starts again.
    FindsNewer,
    /// Deleted a chunk that nobody names.
    DeletesUnnamed(Id),
    /// Deleted a chunk that the entry removed.
    DeletesRemoved(Id, Seq),
}

impl Collector {
    pub(super) fn ids(&self) -> Ids {
        match self {
            Self::Idle => Ids::NONE,
            Self::AtCheckpoint(view) => view.ids(),
            Self::LooksAgain(view, unnamed) => view.ids().and(*unnamed),
            Self::Deletes(unnamed) => *unnamed,
        }
    }
}

impl Steps<'_> {
    pub(super) fn collect(&mut self) {
        match self.config.collecting {
            Reading::Off => return,
            Reading::Whole => {
                for id in self.unnamed(&self.from, &self.from.tail()).iter() {
                    self.collecting(Collecting::DeletesUnnamed(id), |state| state.delete(id));
                }
            }
            Reading::Once | Reading::Twice => self.collect_in_steps(),
        }
        for (id, seq) in self.from.tail().removals() {
            if self.from.stored().has(id) && self.is_grace_over(seq) {
                self.collecting(Collecting::DeletesRemoved(id, seq), |state| state.delete(id));
            }
        }
    }

    fn collecting(&mut self, what: Collecting, change: impl FnOnce(&mut State)) {
        self.to(Event::Collector(what), change);
    }

    fn collect_in_steps(&mut self) {
        let state = self.from;
        match state.collector {
            Collector::Idle => self.collecting(Collecting::ReadsCheckpoint(state.checkpoint.seq), |state| {
                state.collector = Collector::AtCheckpoint(state.checkpoint);
            }),
            Collector::AtCheckpoint(base) => {
                let view = base.tail(&state.entries, &state.chunks);
                let unnamed = self.unnamed(&state, &view);
                let next = match self.config.collecting {
                    _ if unnamed.is_empty() => Collector::Idle,
                    Reading::Once => Collector::Deletes(unnamed),
                    _ => Collector::LooksAgain(base, unnamed),
                };
                let what = Collecting::ReadsEntries { tail: view.seq, live: view.live };
                self.collecting(what, |state| state.collector = next);
            }
            Collector::LooksAgain(base, unnamed) if base.seq == state.checkpoint.seq => {
                self.collecting(Collecting::FindsSame, |state| state.collector = Collector::Deletes(unnamed));
            }
            Collector::LooksAgain(..) => {
                self.collecting(Collecting::FindsNewer, |state| state.collector = Collector::Idle);
            }
            Collector::Deletes(unnamed) => {
                for id in unnamed.iter() {
                    let rest = unnamed.without(Ids::one(id));
                    self.collecting(Collecting::DeletesUnnamed(id), |state| {
                        state.delete(id);
                        state.collector = if rest.is_empty() { Collector::Idle } else { Collector::Deletes(rest) };
                    });
                }
            }
        }
    }

    /// Chunks that neither `view` nor any entry to come can name.
    fn unnamed(&self, state: &State, view: &View) -> Ids {
        let config = self.config;
        let named = if config.is(Naive::RemovedIsUnnamed) { view.live } else { view.ids() };
        state.stored().without(named).that(|id| {
            let target = state.chunks[id.0 as usize].target;
            view.seq > target + config.slack
                || config.is(Naive::CollectAtTarget) && view.seq >= target
                || config.is(Naive::CollectByAge)
        })
    }

    /// Whether no query can still use what entry `seq` removed: the index shows the removal, and every query that planned
    /// before has ended since.
    fn is_grace_over(&self, seq: Seq) -> bool {
        if let Reader::Planned { watermark, .. } = self.from.reader
            && watermark < seq
        {
            return false;
        }
        self.config.is(Naive::GraceFromCommit) || self.from.index.is_some_and(|index| index.watermark >= seq)
    }
}
