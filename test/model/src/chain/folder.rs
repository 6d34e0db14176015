//! Folding: a checkpoint is created, and what lies below it is swept away.

use super::config::Naive;
use super::set::{IDS, Offsets, Seq};
use super::view::View;
use super::{Event, Steps};

/// What the folder did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folding {
    /// Created the checkpoint at an entry of the chain.
    Checkpoint(Seq),
    /// Deleted one entry below it.
    Deletes(Seq),
    /// Deleted all of them.
    DeletesAll,
}

impl Steps<'_> {
    /// A slow folder may fold any prefix: a checkpoint is a function of the chain up to its number.
    pub(super) fn fold(&mut self) {
        let state = self.from;
        if state.left.folds > 0 {
            let stored = state.stored();
            for view in state.checkpoint.walk(&state.entries, &state.chunks).skip(1).filter_map(Result::ok) {
                let mut checkpoint = view;
                for (id, _) in view.removals().filter(|(id, _)| !stored.has(*id)) {
                    checkpoint.removed[id.0 as usize] = 0;
                }
                if self.config.is(Naive::FoldForgetsRemoved) {
                    checkpoint = View { removed: [0; IDS], ..checkpoint };
                }
                if self.config.is(Naive::FoldForgetsGap) {
                    checkpoint = View { gaps: Offsets::NONE, ..checkpoint };
                }
                self.to(Event::Folder(Folding::Checkpoint(view.seq)), |state| {
                    state.checkpoint = checkpoint;
                    state.left.folds -= 1;
                });
            }
        }
        let folded: Vec<Seq> = (1..=state.checkpoint.seq).filter(|seq| state.at(*seq).is_some()).collect();
        if self.config.sweeps_each {
            for seq in folded {
                self.to(Event::Folder(Folding::Deletes(seq)), |state| state.entries[seq as usize - 1] = None);
            }
        } else if !folded.is_empty() {
            self.to(Event::Folder(Folding::DeletesAll), |state| {
                state.entries[..state.checkpoint.seq as usize].fill(None);
            });
        }
    }
}
