//! Real servers, real processes, real faults.
//!
//! A **row** is one fault: a small file under `rows/`, registered in [`rows::ROWS`]. It gets a [`Lab`], starts in it what it
//! needs (a [`Site`]: one process, or the roles on real Kafka, Redis and MinIO), puts it under a [`load::Load`], lets the
//! fault fire, heals it, and has everything judged:
//!
//! - acknowledged ⊆ returned, each exactly once; returned ⊆ sent; payloads intact; only the asking tenant's ([`judge`]);
//! - fresh writes readable within 30 s of healing, and the bucket clean ([`Run::finish`]);
//! - while it lasts, answers may be errors or `complete: false`, never wrong ([`watch`]);
//! - and the fault really fired: each row proves it.
//!
//! `loglake-fault` (`make fault`) runs all rows; `tests/` run the short ones.
#![allow(clippy::disallowed_methods, reason = "the clock of a test of real processes is the real one")]

pub mod entry;
pub mod fsck;
pub mod judge;
pub mod lab;
pub mod ledger;
pub mod load;
pub mod probe;
pub mod proxy;
pub mod read;
pub mod report;
pub mod rows;
pub mod run;
pub mod runner;
pub mod servers;
pub mod site;
pub mod stack;
pub mod watch;
pub mod writer;

pub use lab::Lab;
pub use ledger::Ledger;
pub use load::Plan;
pub use rows::{Outcome, Row};
pub use run::Run;
pub use site::Site;
pub use stack::Stack;
