//! `LogBatch`, the message that stands in the broker: records of one tenant and one partition, each already rendered as its
//! canonical line without `id` ([`loglake_model::line`]). Written once by the ingestor with a [`BatchBuilder`], read by
//! the processor and by everybody who reads the raw tail with [`LogBatch::decode`]. No I/O.
//!
//! It is durable: brokers keep messages for days, embedded logs across upgrades. So the layout below changes only with a new
//! version number, and the golden message of each version stays in `testdata/` for ever.
//!
//! # Version 1
//!
//! Integers are little-endian; times are nanoseconds UTC since the epoch. A message has at most [`MAX_BYTES`].
//!
//! ```text
//!  at      bytes  what
//!  0       4      magic, "LLB1"
//!  4       1      format version, 1
//!  5       1      kind of origin: 0 none, 1 session, 2 idempotency key
//!  6       1      t, length of the tenant's name (1..=64)
//!  7       1      0
//!  8       8      i64, time of receipt
//!  16      4      u32, number of records (at least 1)
//!  20      4      u32, number of groups (at least 1)
//!  24      t      tenant's name
//!  24+t    o      origin: 0 bytes for kind 0, 52 for kinds 1 and 2
//!  ...            groups
//!  end-4   4      u32, CRC-32C of everything before
//!
//!  origin, kind 1 (session)               origin, kind 2 (idempotency key)
//!  16  id of the session                  32  hash of the key
//!  8   i64, when it was opened            8   i64, when the request was received
//!  4   u32, partitions of its routing     4   u32, partitions of its routing
//!  8   u64, number of the client's batch  4   u32, part
//!  8   u64, oldest number without         4   u32, parts
//!      acknowledgement
//!  4   u32, part
//!  4   u32, parts
//!
//!  group                                  record
//!  1  s, length of the service (1..=128)  8  i64, timestamp
//!  4  u32, number of records (>= 1)       1  level: 0 none, 1 trace, 2 debug, 3 info, 4 warn, 5 error, 6 fatal
//!  4  u32, bytes of its records           2  u16, y, length of the trace id (0..=256)
//!  s  service                             4  u32, l, length of the line
//!  .. records                             y  trace id
//!                                         l  canonical line without id and without line feed
//! ```
//!
//! A service has one group. A record's place in the message, the last part of its id, counts records in this order from 0.
//!
//! A client's batch is split by partition; what goes to one partition and is larger than one message is cut into several, whose
//! `part` counts from 0 to `parts` - 1. So (session, number, part) names a message among those of its partition, and stays the
//! same when the client's batch is sent again. Limits: `number` lies less than [`repeats::MAX_OUTSTANDING`] above the oldest
//! without acknowledgement, `parts` is at most [`repeats::MAX_PARTS`]. [`repeats`] tells which messages are repeats.

mod builder;
mod error;
mod group;
mod group_buffer;
mod layout;
mod log_batch;
mod origin;
pub mod repeats;
mod wire;

#[cfg(test)]
mod tests;

pub use builder::{BatchBuilder, Head, Written};
pub use error::Error;
pub use group::{BatchRecord, Group, Groups, Line, Lines, Records};
pub use layout::{MAX_BYTES, MAX_MINUTES, MAX_TRACE_ID_BYTES, VERSION};
pub use log_batch::LogBatch;
pub use origin::{IdempotencyKey, Origin, SessionPart};
pub use repeats::{KEY_GOOD_NS, Repeats, Verdict};
