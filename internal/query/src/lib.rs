//! The query role: plan → scan → merge → page.
//!
//! `Query` is what was asked, `plan` decides which chunks and which un-flushed rows answer it (the reading rule stands there),
//! `merge` opens best-first what may hold the next row and stops when the page is full. Each page is planned afresh from
//! its signed cursor; there is no state between them. Every answer says what it lacks.
//!
//! Start with [`QueryService`]; then read `src/plan.rs` and `src/merge.rs`.

mod aggregate;
mod answer;
mod blocks;
mod budget;
mod conditions;
mod config;
mod cursor;
mod disk_cache;
mod error;
mod expand;
mod failing;
mod footers;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heads;
mod http;
mod merge;
mod metrics;
mod missing;
mod older;
mod order;
mod owners;
mod page;
mod plan;
mod query;
mod replay;
mod request;
mod room;
mod run;
mod service;
mod services;
mod shared;
mod spans;
mod stats;
mod surroundings;
mod tail_ask;
mod tail_client;
mod unsent;

#[cfg(test)]
mod tests;

pub use config::{Config, Parts};
pub use error::Error;
pub use service::QueryService;
pub use surroundings::{Dial, Surroundings};
