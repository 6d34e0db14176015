//! Ways in for the fuzz targets.

use crate::cursor::CursorKey;

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
