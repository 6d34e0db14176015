//! Tells right answers from wrong ones. Pure: it is itself tested with wrong answers.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Instant;

use serde_json::Value;

use crate::entry::Returned;
use crate::ledger::Ledger;

/// What can be wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Acknowledged, and not returned.
    Lost(u64),
    /// Returned more often than it can have been stored.
    Repeated(u64),
    /// Returned, and never sent.
    NeverSent(u64),
    /// Returned otherwise than it was sent.
    Altered(u64),
    /// Not a record of the asking tenant.
    Foreign(String),
    /// One id for two rows.
    SameId(String),
    /// Not in the order asked for.
    OutOfOrder(String),
    /// The two directions disagree.
    Directions(usize, usize),
    /// An answer with success that cannot be read.
    Unreadable(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(number) => write!(f, "record {number} was acknowledged and is lost"),
            Self::Repeated(number) => write!(f, "record {number} came back more often than it was sent"),
            Self::NeverSent(number) => write!(f, "record {number} was never sent"),
            Self::Altered(number) => write!(f, "record {number} is not what was sent"),
            Self::Foreign(row) => write!(f, "not a record of the asking tenant: {row}"),
            Self::SameId(id) => write!(f, "two rows have the id {id}"),
            Self::OutOfOrder(row) => write!(f, "out of order: {row}"),
            Self::Directions(forward, backward) => {
                write!(f, "forward has {forward} rows, backward {backward}, or they differ")
            }
            Self::Unreadable(text) => write!(f, "an answer with success that cannot be read: {text}"),
        }
    }
}

/// What an answer must hold.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// Anything: it said that it is not complete, or is one page of many.
    Part,
    /// All of the tenant that was acknowledged before the time.
    Since(Instant),
    /// All of the tenant that was acknowledged.
    All,
}

/// Judges `items`, returned to the tenant at place `tenant` in the order of `is_forward`.
pub fn judge(ledger: &Ledger, tenant: usize, items: &[Value], is_forward: bool, extent: Extent) -> Vec<Wrong> {
    let name = &ledger.tenants()[tenant];
    let mut wrong = Vec::new();
    let mut returned = HashMap::<u64, u32>::new();
    let mut ids = HashSet::new();
    let mut last: Option<(String, [u64; 4])> = None;
    let entries = ledger.entries();
    for item in items {
        let Some(row) = Returned::read(name, item) else {
            wrong.push(Wrong::Foreign(item.to_string()));
            continue;
        };
        let entry = usize::try_from(row.number).ok().and_then(|at| entries.get(at));
        match entry {
            None => wrong.push(Wrong::NeverSent(row.number)),
            Some(entry) if entry.tenant != tenant => wrong.push(Wrong::Foreign(item.to_string())),
            Some(entry) if entry.attempts == 0 => wrong.push(Wrong::NeverSent(row.number)),
            Some(entry) if entry.hash != row.hash => wrong.push(Wrong::Altered(row.number)),
            Some(entry) => {
                let count = returned.entry(row.number).or_default();
                *count += 1;
                if *count > entry.most() {
                    wrong.push(Wrong::Repeated(row.number));
                }
            }
        }
        if !ids.insert(row.place.1) {
            wrong.push(Wrong::SameId(format!("{:?}", row.place.1)));
        }
        if let Some(last) = last
            && !(if is_forward { last < row.place } else { last > row.place })
        {
            wrong.push(Wrong::OutOfOrder(item.to_string()));
        }
        last = Some(row.place);
    }
    for (number, entry) in (0u64..).zip(entries.iter()) {
        let Some(acknowledged) = entry.acknowledged.filter(|_| entry.tenant == tenant) else { continue };
        let is_due = match extent {
            Extent::Part => false,
            Extent::Since(began) => acknowledged < began,
            Extent::All => true,
        };
        if is_due && !returned.contains_key(&number) {
            wrong.push(Wrong::Lost(number));
        }
    }
    wrong
}

#[cfg(test)]
mod tests;
