//! A job: reads the chain, writes live chunks again, claims the next number. One that died is one that never moves again.

use super::claim::{Claim, Claimed, Then};
use super::config::{Config, Naive, Work};
use super::set::{Id, Ids, Offsets, Seq};
use super::state::State;
use super::view::{Entry, Kind};
use super::{Event, Steps};

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Job {
    /// It may begin.
    Idle,
    /// It claims its entry.
    Claiming(Claim),
    /// It is over, or there is none.
    Done,
}

/// What a job did.
#[allow(missing_docs, reason = "its fields say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Working {
    /// Read the chain and uploaded what shall replace the chunks `removes`.
    Uploads { id: Id, seq: Seq, removes: Ids },
    /// Its claim went on.
    Claim(Seq, Claimed),
}

impl Job {
    pub(super) fn ids(&self) -> Ids {
        if let Self::Claiming(claim) = self { claim.ids() } else { Ids::NONE }
    }
}

impl Steps<'_> {
    pub(super) fn job(&mut self, at: usize) {
        match self.from.jobs[at] {
            Job::Done => {}
            Job::Idle => self.rewrite(at),
            Job::Claiming(claim) => {
                let (config, from, work) = (self.config, self.from, self.config.jobs[at]);
                claim.steps(config, &from, |what, mut next, then| {
                    next.jobs[at] = match then {
                        Then::Still(claim) => Job::Claiming(claim),
                        Then::Lost => lost(config, &next, claim),
                        Then::Done => Job::Done,
                    };
                    // Acknowledged once the index shows it.
                    let is_told = match what {
                        Claimed::Applied | Claimed::AlreadyApplied => true,
                        Claimed::Won => config.is(Naive::DeletionToldAtCommit),
                        _ => false,
                    };
                    next.is_deletion_told |= is_told && work == Work::Delete;
                    self.push(Event::Job(at, Working::Claim(claim.seq, what)), next);
                });
            }
        }
    }

    fn rewrite(&mut self, at: usize) {
        let (config, from, tail) = (self.config, self.from, self.from.tail());
        let first = Offsets::range(0, 1);
        let removes = match config.jobs[at] {
            Work::Merge if tail.live.len() < 2 => Ids::NONE,
            Work::Merge => tail.live,
            Work::Delete => tail.live.that(|id| from.content(id).has(0)),
        };
        if tail.seq >= config.seqs || removes.is_empty() {
            return;
        }
        let before = removes.iter().fold(Offsets::NONE, |all, id| all.and(from.content(id)));
        let deletes = if config.jobs[at] == Work::Delete { first } else { Offsets::NONE };
        let seq = tail.seq + 1;
        self.to(Event::Job(at, Working::Uploads { id: from.next_id(), seq, removes }), |state| {
            let id = state.upload(seq, before.without(deletes));
            let entry = Entry { kind: Kind::Rewrite, start: tail.next, next: tail.next, id, removes, deletes };
            state.jobs[at] = Job::Claiming(Claim::new(seq, entry));
        });
    }
}

/// Goes on with the new `next` while what it removes is still live; else it gives up, and may begin again.
fn lost(config: &Config, state: &State, claim: Claim) -> Job {
    let tail = state.tail();
    let entry = Entry { start: tail.next, next: tail.next, ..claim.entry };
    if tail.seq >= config.seqs {
        Job::Done
    } else if (tail.live.covers(entry.removes) || config.is(Naive::JobClaimsBlindly))
        && Claim::is_within_slack(config, state, tail.seq + 1, &entry)
    {
        Job::Claiming(Claim::new(tail.seq + 1, entry))
    } else {
        Job::Idle
    }
}
