//! The role that takes records in: listen, authenticate, decode, validate, append to the broker, acknowledge.
//!
//! Nothing is acknowledged before the broker has it durably. A request's records become one `LogBatch` for each partition
//! they belong to, all of them appended side by side; the answer says how many are durable and what is wrong with the
//! others. What waits is bounded in bytes: see [`Config::in_flight_bytes`].
//!
//! Start with [`Ingestor`]; the way of a request is in `gathering.rs` and `intake.rs`, the two surfaces are in `grpc/` and `http/`.

mod allowance;
mod audit;
mod budget;
mod config;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gathering;
mod grpc;
mod http;
mod inflate;
mod ingestor;
mod intake;
mod log_time;
pub mod metrics;
mod origins;
mod request_id;
mod serve;
mod shared;
mod sharing;
mod storage;
mod windows;

pub use audit::AuditWriter;
pub use config::Config;
pub use error::Error;
pub use ingestor::{Ingestor, Parts};
