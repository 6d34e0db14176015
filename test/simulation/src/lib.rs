//! The real roles over parts in memory, with a simulated clock and faults that are drawn from a seed.
//!
//! ```text
//! writers ──► ingestor's HTTP surface ──► FaultyBroker ─┐            one thread, paused time:
//!                                                       ├─ Faults ──► what each call comes to follows from the seed
//! processors (start, crash, evicted, stopped) ──────────┤
//!    ▲ gRPC over Network                                ├─ FaultyStore, FaultyIndex
//! readers ──► query's HTTP surface ─────────────────────┘
//! ```
//! Half of what writers send has an idempotency key, and is sent again, at either of two ingestors, until it is answered and now
//! and then after that; it must be kept once. Client sessions need a gRPC stream, which has no way in here: what tells their
//! repetitions is kept, saved and taken over by the same code as for keys (`loglake_batch::repeats`), and `test/fault` has them.
//!
//! Everything is decided by one [`Dice`](dice::Dice) and happens in one order, so a seed is a whole history: the same seed gives
//! the same [`Trace`](trace::Trace). [`run::run`] is one run; [`oracle`] says what answers may be, [`judge`] what must hold in the
//! end; [`mutation`] breaks rules on purpose, to prove that a break is found.

pub mod broker;
pub mod client;
pub mod clock;
pub mod dice;
pub mod faults;
pub mod index;
pub mod judge;
pub mod memory_index;
pub mod mutation;
pub mod network;
pub mod oracle;
pub mod processor;
pub mod run;
pub mod store;
pub mod trace;
pub mod world;
