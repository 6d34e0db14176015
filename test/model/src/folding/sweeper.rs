//! Lists the segments, then the checkpoints, reads those it keeps, deletes what none of them names.

use super::state::{Segment, State, Sweeper};
use super::{Event, Folding, Naive};
use crate::step::Step;

impl Folding {
    pub(super) fn sweep(&self, state: &State, steps: &mut Vec<Step<Event, State>>) {
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
