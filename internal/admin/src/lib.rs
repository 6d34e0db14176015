//! What an operator does to a lake from the command line: check it and mend what can be mended.
//!
//! Start with [`fsck()`]. It takes a [`Lake`], the parts that a cluster keeps its data in, and gives a [`Report`]; nothing is
//! printed here. A running cluster is not disturbed: everything is read as any role reads it, and a finding counts only when
//! it is still there at a second look.

mod error;
mod fsck;
mod lake;
mod progress;
mod quarantine;
mod reindex;

pub use error::Error;
pub use fsck::{Code, Finding, Options, Outcome, Report, Severity, Totals, fsck};
pub use lake::{Lake, LiveIndex};
pub use progress::{Progress, Quiet};
pub use quarantine::{Message, QuarantineObject, Redriven, Target, quarantine, redrive};
pub use reindex::{Reindexed, reindex_partition};
