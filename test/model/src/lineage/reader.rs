use super::state::{Reader, Record, State};
use super::{Event, Lineage, Naive, Steps};
use crate::step::Step;

/// What a query did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "its fields say it")]
pub enum Querying {
    /// Came, and got H and T.
    Plans { k: usize, until: usize, from: usize },
    /// Took the tail from a processor, or from the broker (`None`).
    Answers { holder: Option<usize>, is_complete: bool },
}

impl Lineage {
    pub(super) fn read(&self, state: &State, steps: &mut Steps) {
        let Some(reader) = &state.reader else {
            return self.plan(state, steps);
        };
        let (from, until) = (reader.committed.len(), reader.log.len());
        let mut answer = |holder, rows: Option<Vec<Record>>| {
            let mut next = state.clone();
            let is_complete = match rows {
                None => false,
                Some(rows) => {
                    let records = [reader.committed.clone(), rows].concat();
                    let is_complete = self.is_of_one_history(reader, &records);
                    let required = reader.log.iter().filter(|record| state.log.contains(record));
                    next.is_answer_wrong |= is_complete
                        && required.clone().any(|one| records.iter().filter(|other| *other == one).count() != 1);
                    is_complete
                }
            };
            next.reader = None;
            steps.push(Step { event: Event::Reader(Querying::Answers { holder, is_complete }), next });
        };
        if from >= until {
            return answer(None, Some(Vec::new()));
        }
        // What is joined to the index at T must be of its history: the record below T has the same epoch in both.
        let below = reader.committed.last().map(|record| record.epoch);
        let joins = |epoch: Option<u8>| from == 0 || epoch == below || self.0.is(Naive::JoinsWithoutEpoch);
        for (at, processor) in state.processors.iter().enumerate() {
            let Some(tenure) = processor.tenure.as_ref().filter(|_| processor.k == reader.k) else { continue };
            if tenure.start <= from && tenure.position() >= until {
                let (held_below, rows) = tenure.rows.split_at(from - tenure.start);
                let epoch = held_below.last().map(|row| row.epoch).or(tenure.epoch_before);
                let rows = joins(epoch).then(|| rows[..until - from].to_vec());
                answer(Some(at), rows);
            }
        }
        // The broker's own log, if it still is of this life and has what is asked for.
        let is_there = (reader.k == state.k || self.0.is(Naive::ReaderOldIncarnation))
            && state.log.len() >= until
            && joins(from.checked_sub(1).map(|below| state.log[below].epoch));
        answer(None, is_there.then(|| state.log[from..until].to_vec()));
    }

    fn plan(&self, state: &State, steps: &mut Steps) {
        if state.queries == 0 {
            return;
        }
        // A service that was started in an earlier life refuses, and is started again.
        let oldest = if self.0.is(Naive::ReaderOldIncarnation) { 0 } else { state.k };
        for k in oldest..=state.k {
            let reader = Reader { k, log: state.log.clone(), committed: state.chains[k].records.clone() };
            let event = Event::Reader(Querying::Plans { k, until: reader.log.len(), from: reader.committed.len() });
            let mut next = state.clone();
            next.queries -= 1;
            next.reader = Some(reader);
            steps.push(Step { event, next });
        }
    }

    /// Whether what was gathered is of the history that H was: the records just below H have the same epoch.
    fn is_of_one_history(&self, reader: &Reader, records: &[Record]) -> bool {
        if self.0.is(Naive::HeadWithoutEpoch) || self.0.is(Naive::ReaderOldIncarnation) {
            return true;
        }
        let Some(below) = reader.log.len().checked_sub(1) else {
            // Nothing was acknowledged.
            return true;
        };
        records.get(below).is_some_and(|record| record.epoch == reader.log[below].epoch)
    }
}
