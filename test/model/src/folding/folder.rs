//! Reads the chain, PUTs segments, creates the checkpoint; may stall or die between any two of them.

use super::state::{Checkpoint, Folder, Segment, State};
use super::{Event, Folding, Naive};
use crate::step::Step;

impl Folding {
    pub(super) fn fold(&self, state: &State, at: usize, steps: &mut Vec<Step<Event, State>>) {
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
}
