use super::state::{Processor, State, Tenure};
use super::{Event, Lineage, Naive, Steps};
use crate::step::Step;

/// What a processor did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "its fields say it")]
pub enum Processing {
    /// Its process ended; another began, and looked the topic's id up.
    Restarts { k: usize },
    /// Began at the chain's tail.
    TakesOver { k: usize, next: usize },
    /// Read a record.
    Reads { offset: usize, number: u8 },
    /// Found that what it reads is not what was read before: dropped its buffers.
    Halts { position: usize },
    /// Found another topic under the name: dropped its buffers.
    OtherTopic,
    /// Committed what it had read.
    Commits { k: usize, start: usize, next: usize },
    /// Lost its claim.
    Loses,
}

impl Lineage {
    pub(super) fn processor(&self, state: &State, at: usize, steps: &mut Steps) {
        let config = &self.0;
        let processor = &state.processors[at];
        let mut to = |what, after: Processor, commit: Option<&Tenure>| {
            let mut next = state.clone();
            if let Some(tenure) = commit {
                next.chains[processor.k].records.extend_from_slice(&tenure.rows);
            }
            next.processors[at] = after;
            next.processors.sort_unstable();
            steps.push(Step { event: Event::Processor(at, what), next });
        };
        let idle = Processor { k: processor.k, tenure: None };
        let is_own_topic = processor.k == state.k || config.is(Naive::OldIncarnation);
        if processor.k != state.k {
            to(Processing::Restarts { k: state.k }, Processor { k: state.k, tenure: None }, None);
        }
        let Some(tenure) = &processor.tenure else {
            let chain = &state.chains[processor.k];
            let (next, epoch_before) = (chain.next(), chain.records.last().map(|record| record.epoch));
            let is_there = next <= state.log.len() || config.is(Naive::WaitsForOffset);
            if is_own_topic && is_there && self.is_continued(state, next, epoch_before) {
                let tenure = Some(Tenure { start: next, epoch_before, rows: Vec::new() });
                to(Processing::TakesOver { k: processor.k, next }, Processor { k: processor.k, tenure }, None);
            }
            return;
        };
        let position = tenure.position();
        if let Some(record) = state.log.get(position) {
            let is_continued = config.is(Naive::GoesOnAfterCut)
                || config.is(Naive::LengthOnly)
                || config.is(Naive::WaitsForOffset)
                || self.is_continued(state, position, tenure.last_epoch());
            // Another topic's log has nothing to do with this one's epochs: only the id tells.
            if is_continued || processor.k != state.k {
                let mut tenure = tenure.clone();
                tenure.rows.push(*record);
                let what = Processing::Reads { offset: position, number: record.number };
                to(what, Processor { k: processor.k, tenure: Some(tenure) }, None);
            } else {
                to(Processing::Halts { position }, idle.clone(), None);
            }
        } else if position > state.log.len() && !config.is(Naive::WaitsForOffset) {
            to(Processing::Halts { position }, idle.clone(), None);
        }
        if tenure.rows.is_empty() {
            return;
        }
        if !is_own_topic && !config.is(Naive::IdBeforeReading) {
            to(Processing::OtherTopic, idle, None);
        } else if tenure.start == state.chains[processor.k].next() {
            let what = Processing::Commits { k: processor.k, start: tenure.start, next: position };
            let (start, epoch_before) = (position, tenure.last_epoch());
            let after = Some(Tenure { start, epoch_before, rows: Vec::new() });
            to(what, Processor { k: processor.k, tenure: after }, Some(tenure));
        } else {
            to(Processing::Loses, idle, None);
        }
    }

    /// Whether the log below `offset` is of the history that was read: the record before it has the epoch that it had. Two
    /// logs that have a record of one epoch at one offset are the same up to there.
    fn is_continued(&self, state: &State, offset: usize, epoch_before: Option<u8>) -> bool {
        if self.0.is(Naive::LengthOnly) || self.0.is(Naive::WaitsForOffset) {
            return true;
        }
        let Some(before) = offset.checked_sub(1) else { return true };
        state.log.get(before).is_none_or(|record| Some(record.epoch) == epoch_before)
    }
}
