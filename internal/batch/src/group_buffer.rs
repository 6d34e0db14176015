use loglake_model::{Service, Timestamp, line};

use crate::builder::Head;
use crate::layout::service_part;

/// The records of one service in a message that is being built, as they will stand in it.
#[derive(Debug)]
pub(crate) struct GroupBuffer {
    pub(crate) service: Service,
    pub(crate) records: u32,
    pub(crate) bytes: Vec<u8>,
    /// What stands in each line after timestamp and level, up to the text of the message.
    service_part: Vec<u8>,
    /// The minute of the last record, since the epoch.
    pub(crate) last_minute: Option<i64>,
}

/// Where a record has the length of its line.
const LINE_LEN_AT: usize = 11;

impl GroupBuffer {
    pub(crate) fn new(service: Service) -> Self {
        Self { service_part: service_part(&service), service, records: 0, bytes: Vec::new(), last_minute: None }
    }

    /// Appends what stands before a record's line, the length of the line missing, and the line's beginning, up to the text of the
    /// message. Returns where the line begins.
    pub(crate) fn begin(&mut self, timestamp: &[u8; Timestamp::TEXT_BYTES], head: Head<'_>, trace_len: u16) -> usize {
        let out = &mut self.bytes;
        out.extend_from_slice(&head.timestamp_ns.to_le_bytes());
        out.push(head.level.map_or(0, |level| level as u8));
        out.extend_from_slice(&trace_len.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(head.trace_id.as_bytes());
        let line_from = out.len();
        out.extend_from_slice(line::HEAD);
        out.extend_from_slice(timestamp);
        out.extend_from_slice(line::level_part(head.level));
        out.extend_from_slice(&self.service_part);
        line_from
    }

    /// Ends the record that begins at `start`, whose line has `line_bytes`.
    pub(crate) fn end(&mut self, start: usize, line_bytes: usize) {
        let length = u32::try_from(line_bytes).expect("a message has at most MAX_BYTES");
        self.bytes[start + LINE_LEN_AT..start + LINE_LEN_AT + 4].copy_from_slice(&length.to_le_bytes());
        self.records += 1;
    }
}
