//! Cursors: no text that was not signed is taken, and what is signed has one form.

use loglake_query::fuzzing;

use crate::memory;

/// Takes an input. 0: the text of a cursor; else the bytes under a right signature.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, text)) => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            memory::at_most(text.len().min(4 << 10) + (4 << 10), || {
                assert_eq!(fuzzing::reread_cursor(text), None, "nobody signed this");
            });
        }
        Some((_, said)) => {
            let signed = fuzzing::sign_as_cursor(said);
            if let Some(again) = fuzzing::reread_cursor(&signed) {
                assert_eq!(again, signed, "one form");
            }
        }
        None => {}
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut said = vec![1, 4];
    said.extend_from_slice(b"acme");
    said.extend_from_slice(&[7; 16]);
    said.extend_from_slice(&0_i64.to_le_bytes());
    said.extend_from_slice(&i64::MAX.to_le_bytes());
    said.push(1);
    said.extend_from_slice(&1_700_000_000_000_000_000_i64.to_le_bytes());
    said.extend_from_slice(&[0; 20]);
    said.extend_from_slice(&i64::MAX.to_le_bytes());
    let mut text = fuzzing::sign_as_cursor(&said).into_bytes();
    // One letter of the signature is another one.
    if let Some(last) = text.last_mut() {
        *last = if *last == b'A' { b'Q' } else { b'A' };
    }
    vec![[&[1], &said[..]].concat(), [&[0], &text[..]].concat()]
}
