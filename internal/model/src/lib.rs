//! The nouns that every part of Loglake shares. No I/O.
//!
//! Start with [`RecordId`] (what makes a record itself), [`TenantId`] (who may see it), [`mod@line`] (how it is written down)
//! and [`ChunkMeta`] (where it ends up).

mod audit;
mod chunk_meta;
mod clock;
mod error_kind;
mod failpoint_macros;
#[cfg(feature = "failpoints")]
pub mod failpoints;
mod fault;
mod level;
pub mod limits;
pub mod line;
mod partition;
mod peer;
mod raw_record;
mod readiness;
mod record;
mod record_id;
mod service;
mod tenant;
mod tenant_labels;
mod time_range;
mod timestamp;
mod timestamp_text;
mod window;

pub use audit::AuditEntry;
pub use chunk_meta::{ChunkMeta, LevelCounts};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error_kind::ErrorKind;
pub use fault::{Fault, FaultCode};
pub use level::Level;
pub use partition::partition_of;
pub use peer::Peer;
pub use raw_record::RawRecord;
pub use readiness::{Readiness, ReadyFlag};
pub use record::Record;
pub use record_id::{InvalidRecordId, RecordId};
pub use service::{InvalidService, Service};
pub use tenant::{InvalidTenant, TenantId, TenantName};
pub use tenant_labels::TenantLabels;
pub use time_range::TimeRange;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use timestamp_text::TimestampText;
pub use window::Window;
