//! The processor: consumes the broker's partitions, builds chunks, commits them, and serves what is not flushed yet.
//!
//! ```text
//! consumer ──► PartitionTail (messages in memory, bounded) ──► flush: gather, sort, compress ──► PUT chunks
//!                      │                                                                          │
//!                      └──► TailService: un-flushed rows to queries          claim entry ◄────────┘
//!                                                                                 │
//!                                              index ◄── apply ◄──────────────────┘──► group offset, trim
//! ```
//!
//! One worker a partition (`worker.rs`); the order of a flush, and what a crash between its steps means, stands in
//! `flush.rs`. Messages stay in memory as they came until they are flushed: a flush sorts references to their lines and
//! writes the blocks in one go, so no line is copied before.

mod admin_service;
mod budget;
mod build;
mod collect;
mod config;
mod counts;
mod error;
mod flush;
mod flush_client;
mod fold;
mod guard;
mod held;
mod may_match;
mod metrics;
mod older;
mod pending;
mod quarantine;
mod role;
mod scan;
mod serving;
mod sessions;
mod shared;
mod supervisor;
mod surroundings;
mod tail;
mod tail_server;
mod tail_service;
mod tenure;
mod worker;
mod workshop;

pub use config::{Config, LostRecords};
pub use error::Error;
pub use flush_client::{AskError, FlushedPartition, ask_to_flush};
pub use role::{Parts, Processor};
pub use surroundings::{Incoming, Surroundings};
