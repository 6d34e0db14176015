//! Ways in for the fuzz targets.

use bytes::Bytes;
use loglake_search::Filter;

use crate::cursor::CursorKey;
use crate::{aggregate, disk_cache, http, request};

fn key() -> CursorKey {
    CursorKey::new([7; 32])
}

/// The text of a cursor that says `said`, whatever it is, rightly signed.
#[must_use]
pub fn sign_as_cursor(said: &[u8]) -> String {
    key().seal(said.to_vec())
}

/// Reads the text of a cursor and writes it again; `None` when it is refused.
#[must_use]
pub fn reread_cursor(text: &str) -> Option<String> {
    key().read(text).map(|cursor| key().sign(&cursor))
}

/// Reads the body of a query; `None` when it is refused.
#[must_use]
pub fn read_question(body: &[u8]) -> Option<Filter> {
    request::Request::parse(body).ok().map(|asked| asked.filter)
}

/// Reads the body of a count; whether it is taken.
#[must_use]
pub fn read_count(body: &[u8]) -> bool {
    aggregate::Request::parse(body).is_ok()
}

/// The trace that a `traceparent` names.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    http::trace_id(traceparent)
}

/// The file in the folder of a cache that holds `piece`, which is `what`.
#[must_use]
pub fn wrap_piece(what: &str, piece: &[u8]) -> Vec<u8> {
    [&disk_cache::header(what, piece)[..], what.as_bytes(), piece].concat()
}

/// The piece in the bytes of such a file; `None` when it is damaged, or is something else than `what`.
#[must_use]
pub fn unwrap_piece(file: &Bytes, what: &str) -> Option<Bytes> {
    disk_cache::unwrap(file, what)
}
