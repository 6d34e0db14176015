//! The broker: a durable log of partitions that ingestors append to and processors consume.
//!
//! Start with the contract: [`Producer`], [`Consumer`], [`Reader`] and [`Trim`]. [`EmbeddedLog`] keeps it on a local disk,
//! `KafkaBroker` (feature `kafka`) over Apache Kafka, [`MemoryBroker`] for tests. All of them pass the suite in `conformance`
//! (feature `conformance`).

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
mod error;
#[cfg(feature = "kafka")]
pub mod kafka;
mod memory;
mod traits;

pub use embedded::EmbeddedLog;
pub use error::Error;
#[cfg(feature = "kafka")]
pub use kafka::KafkaBroker;
pub use memory::{MemoryBroker, MemoryMember};
pub use traits::{
    Appended, Assignment, Consumer, Fetched, Message, Offsets, PartitionConsumer, Producer, Reader, Topic, Trim,
};
