//! Decoders of what comes in: from bytes that nobody has checked to [`loglake_model::Record`]s, one fault for each record that
//! cannot be read, and the good ones beside it kept. No I/O; what a record must satisfy beyond being readable is the pipeline's.
//!
//! - [`native`]: the record of our own gRPC protocol.
//! - [`ndjson`], [`json`]: bodies of `POST /v1/ingest`, a record a line or an array of them.
//! - [`RawDecoder`]: both of these again, for records that are written plainly: slices instead of a `Record`.
//! - [`inflate`]: compressed bodies, with a cap; the one place where such decoders are made.
//!
//! # JSON records
//!
//! | field | also | value |
//! |---|---|---|
//! | `timestamp` | `ts`, `time`, `@timestamp` | RFC 3339, or a number (also as text) of s, ms, us or ns by its size; 0, `""` and null for none |
//! | `level` | `severity` | text, or a syslog, OpenTelemetry or pino number |
//! | `service`, `trace_id`, `span_id`, `host` | | text |
//! | `message` | `msg` | text |
//! | `parent_span_id` | `parent_id` | text |
//! | `tags` | | list of texts |
//! | `attributes` | `attrs`, `metadata` | object; all that are sent are joined |
//! | `tenant_id` | | text; may repeat the tenant of the credential, is not kept |
//! | any other | | any value: it becomes an attribute |
//!
//! A null is the same as nothing, but in attributes, where it is kept. Two fields of the same meaning, or two equal keys in any
//! object, are a fault. Attributes keep the order of their keys and their numbers digit by digit; blanks go, and text is escaped
//! anew in the one form of [`loglake_model::line::escape_into`].

mod error;
mod field;
mod inflate;
mod json_body;
mod json_record;
mod json_text;
mod native;
mod ndjson;
mod number;
mod raw;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use inflate::inflate;
pub use json_body::{JsonRecords, json};
pub use json_record::json_record;
pub use native::{native, native_fits};
pub use ndjson::{Lines, lines, ndjson};
pub use raw::RawDecoder;

use loglake_model::{Fault, Record};

/// One record of a body, or why it cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Where it stood: the line of NDJSON, or the place in an array, from 1.
    pub line: u64,
    /// The record, not yet validated.
    pub record: Result<Record, Fault>,
}
