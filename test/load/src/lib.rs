//! Measures what Loglake costs: CPU of the server process, memory, bytes at rest and latency of queries, on a seeded corpus made
//! from the Loghub samples, beside the cost of gzip alone on the same machine in the same minutes.
//!
//! Start reading with [`bench::run`]; [`corpus`] says what the records are, [`floor`] what they are compared with.

pub mod bench;
pub mod corpus;
pub mod floor;
mod ingest;
pub mod machine;
mod needles;
mod queries;
pub mod report;
mod server;
mod stats;
mod variable;
