use crate::Level;

/// A record as a decoder hands it over, before it is validated: texts as sent, times as nanoseconds, nothing enriched.
///
/// `loglake_pipeline` turns it into a canonical line or says what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Event time, ns UTC since the epoch; `None` when it was missing or 0 (receipt time is taken).
    pub timestamp_ns: Option<i64>,
    /// The level, where the sender gave one that is known.
    pub level: Option<Level>,
    /// The sender's spelling of a level that is not known; kept as the attribute `level_text`.
    pub level_text: Option<String>,
    /// The service; required.
    pub service: String,
    /// The message; required.
    pub message: String,
    /// The trace this belongs to; empty when absent, as are the next three.
    pub trace_id: String,
    /// The span this belongs to.
    pub span_id: String,
    /// The parent of that span.
    pub parent_span_id: String,
    /// The host it was written on.
    pub host: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// Attributes in the order sent: the key, and its value as compact JSON text that was checked by the decoder.
    pub attributes: Vec<(String, String)>,
}
