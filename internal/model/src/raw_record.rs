use crate::Level;

/// A record as slices of what came in: what a [`crate::Record`] says, for records that need nothing special. A decoder makes one
/// where it can without copying a text, and leaves all others, the faulty ones too, to the way through a `Record`; both come to
/// the same line.
///
/// Bytes are UTF-8 only as far as the decoder has looked: whoever writes the line checks the whole of it once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Event time, ns UTC since the epoch; `None` when it was missing or 0 (receipt time is taken).
    pub timestamp_ns: Option<i64>,
    /// The level, where the sender gave one.
    pub level: Option<Level>,
    /// Whether the texts below stand as they do inside a JSON string in the one form of [`crate::line::escape_into`]. Service and
    /// trace id then hold no escape.
    pub is_escaped: bool,
    /// The service; empty when absent, as are all below.
    pub service: &'a str,
    /// The message.
    pub message: &'a [u8],
    /// The trace this belongs to.
    pub trace_id: &'a str,
    /// The span this belongs to.
    pub span_id: &'a [u8],
    /// The parent of that span.
    pub parent_span_id: &'a [u8],
    /// The host it was written on.
    pub host: &'a [u8],
    /// The inside of the list of tags as it stands in a line, `"a","b"`, within the limits.
    pub tags: &'a [u8],
    /// The inside of the object of attributes as it stands in a line, `"a":1,"b":{}`, within the limits.
    pub attributes: &'a [u8],
}
