//! Faults of the network and of the store, made in user space: no privileges, exact, countable.

mod s3;
mod tcp;

pub use s3::{S3Fault, S3Proxy};
pub use tcp::{Tcp, TcpProxy};
