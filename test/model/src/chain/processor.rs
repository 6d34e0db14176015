//! A processor: takes the partition over, consumes, seals, uploads, claims. One that stalled goes on believing that it owns
//! the partition: a zombie is a processor like any other.

use super::claim::{Claim, Claimed, Then};
use super::config::{Config, Naive};
use super::set::{Id, Ids, Offset, Offsets, Seq};
use super::state::State;
use super::view::{Entry, Kind};
use super::{Event, Steps};

/// What it knows and does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Processor {
    /// There is none.
    Absent,
    /// It owns nothing.
    Idle,
    /// It owns the partition, or believes so.
    Owner(Tenure),
    /// It claims an entry for what it sealed; the upload of the next flush may be done already.
    Claiming(Tenure, Claim, Option<Upload>),
}

/// What an owner has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenure {
    /// The tail that it knows.
    pub(super) seq: Seq,
    pub(super) next: Offset,
    /// The lowest offset that it still holds; tracked where there are queries.
    pub(super) floor: Offset,
    /// The offset it has read up to; tracked where the log's start moves. Elsewhere it may be anywhere up to the end.
    pub(super) position: Offset,
    /// What it skipped below its position: nothing, but for a consumer that is reset.
    pub(super) skipped: Offsets,
}

/// The chunk of a flush that waits for the claim before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upload {
    pub(super) id: Id,
    pub(super) next: Offset,
}

/// What a processor did.
#[allow(missing_docs, reason = "its fields say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processing {
    /// Found the tail, and begins there.
    TakesOver { seq: Seq, next: Offset },
    /// Found that retention ran past the tail, and gives the difference up.
    GivesUp { seq: Seq, from: Offset, to: Offset },
    /// Found that retention ran past the tail, and went on at the log's start.
    Resets { to: Offset },
    /// Read one more record.
    Consumes(Offset),
    /// The broker no longer has what comes next: it halts and starts again.
    Halts,
    /// Sealed and uploaded.
    Uploads { id: Id, seq: Seq, start: Offset, next: Offset },
    /// Sealed and uploaded the flush after the one it claims.
    UploadsNext { id: Id, start: Offset, next: Offset },
    /// Forgot flushed rows.
    Forgets { below: Offset },
    /// Died, or lost the partition.
    Dies,
    /// Died while its create was on its way.
    DiesInFlight,
    /// Its claim went on.
    Claim(Seq, Claimed),
}

impl Processor {
    pub(super) fn ids(&self) -> Ids {
        match self {
            Self::Claiming(_, claim, following) => {
                following.iter().fold(claim.ids(), |ids, upload| ids.with(upload.id))
            }
            _ => Ids::NONE,
        }
    }

    pub(super) fn tenure(&self) -> Option<&Tenure> {
        match self {
            Self::Owner(tenure) | Self::Claiming(tenure, ..) => Some(tenure),
            Self::Absent | Self::Idle => None,
        }
    }
}

impl Tenure {
    fn at(config: &Config, seq: Seq, next: Offset) -> Self {
        let floor = if config.queries > 0 { next } else { 0 };
        let position = if config.tracks_positions() { next } else { 0 };
        Self { seq, next, floor, position, skipped: Offsets::NONE }
    }

    /// The offset up to which it can seal.
    pub(super) fn sealable(&self, config: &Config, state: &State) -> Offset {
        if config.tracks_positions() { self.position } else { state.log.end }
    }

    fn held(&self, start: Offset, next: Offset) -> Offsets {
        Offsets::range(start, next).without(self.skipped)
    }
}

impl Config {
    /// Whether it matters how far a consumer has read.
    pub(super) fn tracks_positions(&self) -> bool {
        self.retentions > 0
    }
}

impl Steps<'_> {
    pub(super) fn processor(&mut self, at: usize) {
        match self.from.processors[at] {
            Processor::Absent => {}
            Processor::Idle => self.take_over(at),
            Processor::Owner(tenure) => {
                self.consume(at, tenure, Processor::Owner);
                self.seal(at, tenure);
                if self.config.queries > 0 && tenure.floor < tenure.next {
                    self.processing(at, Processing::Forgets { below: tenure.next }, |_| {
                        Processor::Owner(Tenure { floor: tenure.next, ..tenure })
                    });
                }
                self.die(at, None);
            }
            Processor::Claiming(tenure, claim, following) => {
                self.consume(at, tenure, |tenure| Processor::Claiming(tenure, claim, following));
                if self.config.overlaps && following.is_none() {
                    self.seal_next(at, tenure, claim);
                }
                self.claim(at, tenure, claim, following);
                self.die(at, Some(claim));
            }
        }
    }

    fn processing(&mut self, at: usize, what: Processing, change: impl FnOnce(&mut State) -> Processor) {
        self.to(Event::Processor(at, what), |state| state.processors[at] = change(state));
    }

    fn take_over(&mut self, at: usize) {
        let (config, tail, log) = (self.config, self.from.tail(), self.from.log);
        let tenure = Tenure::at(config, tail.seq, tail.next);
        if log.start <= tail.next {
            let what = Processing::TakesOver { seq: tail.seq, next: tail.next };
            self.processing(at, what, |_| Processor::Owner(tenure));
        } else if config.is(Naive::ResetToEarliest) {
            let skipped = Offsets::range(tail.next, log.start);
            self.processing(at, Processing::Resets { to: log.start }, |_| {
                Processor::Owner(Tenure { position: log.start, skipped, ..tenure })
            });
        } else if config.gives_up && (tail.seq as usize) < config.seqs as usize {
            let to = if config.is(Naive::GapToEnd) { log.end } else { log.start };
            self.processing(at, Processing::GivesUp { seq: tail.seq + 1, from: tail.next, to }, |state| {
                let id = state.attempt(tail.seq + 1, Offsets::range(tail.next, to));
                let entry = flush(Kind::Gap, id, tail.next, to);
                let tenure = Tenure { position: to, ..tenure };
                Processor::Claiming(tenure, Claim::new(tail.seq + 1, entry), None)
            });
        }
    }

    fn consume(&mut self, at: usize, tenure: Tenure, owner: impl Fn(Tenure) -> Processor) {
        if !self.config.tracks_positions() {
            return;
        }
        let (position, log) = (tenure.position, self.from.log);
        if position < log.start {
            self.processing(at, Processing::Halts, |_| Processor::Idle);
        } else if position < log.end {
            self.processing(at, Processing::Consumes(position), |_| owner(Tenure { position: position + 1, ..tenure }));
        }
    }

    fn seal(&mut self, at: usize, tenure: Tenure) {
        if tenure.seq >= self.config.seqs {
            return;
        }
        let (seq, start) = (tenure.seq + 1, tenure.next);
        for next in start + 1..=tenure.sealable(self.config, &self.from) {
            let id = self.from.next_id();
            self.processing(at, Processing::Uploads { id, seq, start, next }, |state| {
                let id = state.upload(seq, tenure.held(start, next));
                Processor::Claiming(tenure, Claim::new(seq, flush(Kind::Flush, id, start, next)), None)
            });
        }
    }

    /// Uploads may overlap; claims may not.
    fn seal_next(&mut self, at: usize, tenure: Tenure, claim: Claim) {
        if claim.seq >= self.config.seqs {
            return;
        }
        let start = claim.entry.next;
        for next in start + 1..=tenure.sealable(self.config, &self.from) {
            let id = self.from.next_id();
            let hasty = self.config.is(Naive::TwoEntriesInFlight);
            self.processing(at, Processing::UploadsNext { id, start, next }, |state| {
                let id = state.upload(claim.seq + 1, tenure.held(start, next));
                let key = &mut state.entries[claim.seq as usize];
                if hasty && key.is_none() {
                    *key = Some(flush(Kind::Flush, id, start, next));
                }
                Processor::Claiming(tenure, claim, Some(Upload { id, next }))
            });
        }
    }

    fn die(&mut self, at: usize, claim: Option<Claim>) {
        if self.from.left.deaths == 0 {
            return;
        }
        self.processing(at, Processing::Dies, |state| {
            state.left.deaths -= 1;
            Processor::Idle
        });
        if let Some(claim) = claim
            && claim.phase == super::claim::Phase::Create
            && self.from.left.late > 0
        {
            self.processing(at, Processing::DiesInFlight, |state| {
                state.left.deaths -= 1;
                state.left.late -= 1;
                state.put_in_flight(claim.seq, claim.entry);
                Processor::Idle
            });
        }
    }

    fn claim(&mut self, at: usize, tenure: Tenure, claim: Claim, following: Option<Upload>) {
        let (config, from) = (self.config, self.from);
        claim.steps(config, &from, |what, mut next, then| {
            next.processors[at] = match then {
                Then::Still(claim) => Processor::Claiming(tenure, claim, following),
                Then::Lost => lost(config, &mut next, tenure, claim, following),
                Then::Done => done(config, &next, tenure, claim, following),
            };
            self.push(Event::Processor(at, Processing::Claim(claim.seq, what)), next);
        });
    }
}

fn flush(kind: Kind, id: Id, start: Offset, next: Offset) -> Entry {
    Entry { kind, start, next, id, removes: Ids::NONE, deletes: Offsets::NONE }
}

/// Its entry is in the chain and in the index: the next one's turn.
fn done(config: &Config, state: &State, tenure: Tenure, claim: Claim, following: Option<Upload>) -> Processor {
    let tenure = Tenure { seq: claim.seq, next: claim.entry.next, ..tenure };
    let Some(upload) = following else { return Processor::Owner(tenure) };
    let seq = claim.seq + 1;
    let entry = flush(Kind::Flush, upload.id, claim.entry.next, upload.next);
    if Claim::is_within_slack(config, state, seq, &entry) {
        Processor::Claiming(tenure, Claim::new(seq, entry), None)
    } else {
        Processor::Owner(tenure)
    }
}

/// Another's entry stands at the number: the chain was read again.
fn lost(config: &Config, state: &mut State, tenure: Tenure, claim: Claim, following: Option<Upload>) -> Processor {
    let tail = state.tail();
    let (seq, next) = match state.at(claim.seq) {
        Some(there) if config.is(Naive::TailFromObject) => (claim.seq, there.next),
        _ => (tail.seq, tail.next),
    };
    let is_unmoved = next == claim.entry.start
        || config.is(Naive::LoserSkipsAhead)
        || (claim.entry.kind == Kind::Gap && config.is(Naive::KeepGap));
    if is_unmoved {
        // A job won: what was read is still what comes next.
        if seq < config.seqs && Claim::is_within_slack(config, state, seq + 1, &claim.entry) {
            let following = following.filter(|_| seq + 2 <= config.seqs);
            return Processor::Claiming(Tenure { seq, ..tenure }, Claim::new(seq + 1, claim.entry), following);
        }
        return Processor::Owner(Tenure { seq, ..tenure });
    }
    if config.is(Naive::LoserDeletes) {
        state.delete(claim.entry.id);
    }
    if config.is(Naive::KeepSecondUpload)
        && let Some(upload) = following
        && upload.next > next
        && seq < config.seqs
    {
        let tenure = Tenure { seq, next, ..tenure };
        return Processor::Claiming(
            tenure,
            Claim::new(seq + 1, flush(Kind::Flush, upload.id, next, upload.next)),
            None,
        );
    }
    // Drops everything that it holds, the next flush too, and consumes from the new tail.
    Processor::Owner(Tenure::at(config, seq, next))
}
