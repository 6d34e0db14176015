//! Measures what Loglake costs: CPU of the server's processes, memory, bytes at rest, acknowledgements and latency of queries, on a
//! seeded corpus made from the Loghub samples, beside the cost of gzip alone on the same machine in the same minutes.
//!
//! Three programs: `loglake-bench` (start reading with [`bench::run`]), `loglake-load` ([`load`], [`mix`], [`noisy`]) and `loglake-scale`
//! ([`scale`], [`tenants`]). [`corpus`] says what the records are, [`floor`] what they are compared with, [`server`] and [`place`] what is
//! measured: `loglake dev` on a folder, or three roles on a [`stack`] of real servers.

pub mod args;
pub mod bench;
pub mod compare;
pub mod corpus;
pub mod floor;
mod footers;
mod freshness;
pub mod load;
pub mod machine;
pub mod mix;
mod needles;
pub mod noisy;
pub mod place;
mod proc;
pub mod process;
pub mod profile;
pub mod queries;
pub mod report;
pub mod scale;
pub mod send;
pub mod server;
pub mod stack;
pub mod stats;
pub mod targets;
pub mod tenants;
mod variable;
pub mod watch;
