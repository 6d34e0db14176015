//! The broker: a durable log of partitions that ingestors append to and processors consume.

mod error;
mod traits;

pub use error::Error;
pub use traits::{
    Appended, Assignment, Consumer, Fetched, Message, Offsets, PartitionConsumer, Producer, Reader, Topic, Trim,
};
