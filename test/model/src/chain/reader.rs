//! A query: H from the broker, T and the chunks from the index in one reading, then the tail from a holder or the broker.
//!
//! The chunks below T are judged as an invariant of the index. Here only the rows from T to H are.

use super::config::Naive;
use super::set::{Ids, Offset, Offsets, Seq};
use super::state::{Fault, State};
use super::{Event, Steps};

/// How far the query is.
#[allow(missing_docs, reason = "its fields say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// None runs.
    Idle,
    /// It has read the index's entries, and will read the watermark: the naive way.
    HasEntries { live: Ids },
    /// It has H, T, and the chunks at the watermark.
    Planned { until: Offset, from: Offset, watermark: Seq },
}

/// What a query did.
#[allow(missing_docs, reason = "its fields say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Querying {
    /// Arrived, and read the index.
    Plans { until: Offset, from: Offset, watermark: Seq },
    /// Arrived, and read the index's entries only.
    ReadsEntries { live: Ids },
    /// Read the watermark afterwards.
    ReadsWatermark { from: Offset },
    /// Found no watermark, and took 0.
    TakesZero,
    /// Accepted the tail of a processor.
    AcceptsTail { processor: usize, floor: Offset, position: Offset },
    /// Read the broker from T to H, and named what is not there.
    ReadsBroker { named: Offsets },
}

impl Reader {
    pub(super) fn ids(&self) -> Ids {
        if let Self::HasEntries { live } = self { *live } else { Ids::NONE }
    }
}

impl Steps<'_> {
    fn querying(&mut self, what: Querying, change: impl FnOnce(&mut State)) {
        self.to(Event::Reader(what), change);
    }

    pub(super) fn read(&mut self) {
        let state = self.from;
        match (state.reader, state.index) {
            (Reader::Idle, Some(_)) if state.left.queries > 0 => self.plan(),
            (Reader::Idle, None) if state.left.queries > 0 && self.config.is(Naive::NoWatermarkIsZero) => {
                self.querying(Querying::TakesZero, |state| {
                    state.left.queries -= 1;
                    if state.is_deletion_told {
                        state.fault = Some(Fault::DeletedAnswered);
                    }
                });
            }
            (Reader::HasEntries { live }, Some(index)) => {
                let below = live.iter().fold(Offsets::NONE, |all, id| all.and(state.content(id)));
                let is_whole = below == Offsets::range(0, index.next).without(index.deleted).without(index.gaps);
                self.querying(Querying::ReadsWatermark { from: index.next }, |state| {
                    state.reader = Reader::Idle;
                    if !is_whole {
                        state.fault = Some(Fault::WrongAnswer);
                    }
                });
            }
            (Reader::Planned { until, from, .. }, _) => self.cover(from, until),
            _ => {}
        }
    }

    fn plan(&mut self) {
        let state = self.from;
        let Some(index) = state.index else { return };
        let (until, from, watermark) = (state.log.end, index.next, index.watermark);
        if self.config.is(Naive::ReaderReadsApart) {
            self.querying(Querying::ReadsEntries { live: index.live }, |state| {
                state.left.queries -= 1;
                state.reader = Reader::HasEntries { live: index.live };
            });
        } else {
            self.querying(Querying::Plans { until, from, watermark }, |state| {
                state.left.queries -= 1;
                state.reader = Reader::Planned { until, from, watermark };
            });
        }
    }

    /// Asks every holder, and the broker.
    fn cover(&mut self, from: Offset, until: Offset) {
        let (config, state) = (self.config, self.from);
        for (at, processor) in state.processors.iter().enumerate() {
            let Some(tenure) = processor.tenure() else { continue };
            // Where positions are not tracked, it may have read anything up to the end; the least is what it sealed.
            let position = match processor {
                super::processor::Processor::Claiming(_, claim, _) if !config.tracks_positions() => claim.entry.next,
                _ if config.tracks_positions() => tenure.position,
                _ => tenure.next,
            };
            let is_deep = tenure.floor <= from || config.is(Naive::ReaderWithoutFloor);
            let is_far = position >= until || !config.tracks_positions();
            let position = if config.is(Naive::ReaderWithoutPosition) { position } else { position.max(until) };
            if is_deep && (is_far || config.is(Naive::ReaderWithoutPosition)) {
                let rows = Offsets::range(from.max(tenure.floor), until.min(position));
                let what = Querying::AcceptsTail { processor: at, floor: tenure.floor, position };
                self.answer(what, from, until, rows, Offsets::NONE);
            }
        }
        let rows = Offsets::range(from.max(state.log.start), until);
        let lacking = Offsets::range(from, until).without(rows);
        let named = if config.is(Naive::GapReadAsEmpty) { Offsets::NONE } else { lacking };
        self.answer(Querying::ReadsBroker { named }, from, until, rows, named);
    }

    /// Ends the query with `rows`, and the offsets `named` as missing.
    fn answer(&mut self, what: Querying, from: Offset, until: Offset, rows: Offsets, named: Offsets) {
        let is_whole = rows.and(named) == Offsets::range(from, until);
        self.querying(what, |state| {
            state.reader = Reader::Idle;
            if !is_whole {
                state.fault = Some(Fault::WrongAnswer);
            }
        });
    }
}
