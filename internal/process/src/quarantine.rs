use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use loglake_model::Timestamp;
use serde::Serialize;

use crate::held::Held;

/// A message that could not be read, as a line of its quarantine object.
#[derive(Serialize)]
struct Line<'a> {
    partition: u32,
    offset: u64,
    appended_at: String,
    reason: &'a str,
    /// The whole message, base64.
    payload: String,
}

/// The messages among `messages` that cannot be read, as gzip NDJSON, with their offsets; `None` when all can be.
pub(crate) fn object(messages: &[Arc<Held>], partition: u32) -> Option<(Bytes, Vec<u64>)> {
    let mut out = GzEncoder::new(Vec::new(), Compression::new(6));
    let mut offsets = Vec::new();
    for held in messages {
        let Err(reason) = &held.batch else { continue };
        offsets.push(held.offset());
        let line = Line {
            partition,
            offset: held.offset(),
            appended_at: Timestamp(held.message.append_time_ns).to_string(),
            reason,
            payload: STANDARD.encode(&held.message.payload),
        };
        serde_json::to_writer(&mut out, &line).expect("text and numbers always become JSON, and a Vec takes all");
        out.write_all(b"\n").expect("a Vec takes all");
    }
    let bytes = out.finish().expect("a Vec takes all");
    (!offsets.is_empty()).then(|| (bytes.into(), offsets))
}
