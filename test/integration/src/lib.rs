//! What the integration tests share: the built programs, servers started and stopped as a user would, a client of the
//! public interfaces, and an oracle that knows what was sent.
//!
//! Tests here use public interfaces only: the binaries, gRPC, HTTP, the files in the bucket.

pub mod admin;
pub mod client;
pub mod ctl;
pub mod load;
pub mod oracle;
pub mod ports;
pub mod programs;
pub mod prometheus;
pub mod redis_set;
pub mod send;
pub mod server;
pub mod session;
pub mod stack;

pub use client::{Client, Page};
pub use load::Load;
pub use oracle::{Oracle, Sent};
pub use ports::free_port;
pub use prometheus::Prometheus;
pub use redis_set::RedisSet;
pub use server::Dev;
pub use session::Session;
pub use stack::Stack;
