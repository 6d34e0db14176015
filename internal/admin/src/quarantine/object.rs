use std::io::{BufRead as _, BufReader, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use loglake_batch::LogBatch;
use loglake_commit::Quarantined;
use loglake_model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::{Error, Lake};

/// The longest line: a message of the largest kind a broker takes, in base64, and its reason.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// The longest object, stored.
const MAX_OBJECT_BYTES: u64 = 1 << 30;

/// A line of a quarantine object, as the processor writes it.
#[derive(Deserialize)]
struct Line {
    offset: u64,
    appended_at: String,
    reason: String,
    payload: String,
}

/// A message that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its offset in the partition.
    pub offset: u64,
    /// When the broker took it, RFC 3339.
    pub appended_at: String,
    /// Why the processor could not read it.
    pub reason: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Whether this program can read it.
    pub is_readable: bool,
}

/// Reads the object that a chain names: each message with its payload, or what is wrong with the object.
pub(super) async fn read(lake: &Lake, named: &Quarantined) -> Result<Result<Vec<(Message, Bytes)>, String>, Error> {
    let body = match lake.store.get(&named.key, named.length.min(MAX_OBJECT_BYTES)).await {
        Ok(body) => body,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TooLarge) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    if body.len() as u64 != named.length || crc32c::crc32c(&body) != named.checksum {
        return Ok(Err("its length or checksum is not what the chain says".to_owned()));
    }
    Ok(tokio::task::spawn_blocking(move || lines(&body)).await?)
}

fn lines(body: &[u8]) -> Result<Vec<(Message, Bytes)>, String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "every line is capped right below, and the object is ours by its checksum"
    )]
    let mut lines = BufReader::new(MultiGzDecoder::new(body));
    let mut messages = Vec::new();
    loop {
        let mut text = Vec::new();
        let read = lines.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut text);
        match read.map_err(|error| error.to_string())? {
            0 => return Ok(messages),
            length if length as u64 > MAX_LINE_BYTES => return Err(format!("a line is over {MAX_LINE_BYTES} bytes")),
            _ => {}
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let payload = Bytes::from(STANDARD.decode(&line.payload).map_err(|error| error.to_string())?);
        let message = Message {
            offset: line.offset,
            appended_at: line.appended_at,
            reason: line.reason,
            bytes: payload.len() as u64,
            is_readable: LogBatch::decode(payload.clone()).is_ok(),
        };
        messages.push((message, payload));
    }
}
