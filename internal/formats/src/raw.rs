//! The short way of a record: its fields as slices of what came in. It takes what is written plainly, as nearly everything is, and
//! leaves anything else, every fault too, to the ordinary decoders, which decide what that means. Where it takes a record, both ways come to the
//! same line; a property test and a fuzz target hold it to that.

mod json;
mod members;
mod moment;
mod native;
mod scan;
#[cfg(test)]
mod tests;

use loglake_model::{RawRecord, TenantName};

use self::members::Members;
use self::moment::Moments;

/// Finds the fields of records, one after another. It keeps its memory: one serves a whole body.
#[derive(Debug, Default)]
pub struct RawDecoder {
    members: Members,
    tags: Vec<u8>,
    moments: Moments,
}

impl RawDecoder {
    /// Reads the bytes of a `LogRecord` of our own protocol; `None` when the ordinary way is to decide. Of its bytes only `service`
    /// and `trace_id` are known to be UTF-8.
    pub fn native<'a>(&'a mut self, bytes: &'a [u8]) -> Option<RawRecord<'a>> {
        native::read(self, bytes)
    }

    /// Reads a line of NDJSON of `tenant`; `None` when the ordinary way is to decide.
    pub fn json<'a>(&'a mut self, line: &'a [u8], tenant: &TenantName) -> Option<RawRecord<'a>> {
        json::read(self, line, tenant)
    }
}
