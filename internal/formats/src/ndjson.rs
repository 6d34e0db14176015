use loglake_model::TenantName;

use crate::Decoded;
use crate::json_record::json_record;

/// The byte order mark that some editors put first.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body of one JSON object a line, see [`lines`]. A record that names another tenant than `tenant` is a fault.
pub fn ndjson<'a>(body: &'a [u8], tenant: &'a TenantName) -> impl Iterator<Item = Decoded> {
    lines(body).map(|(line, bytes)| Decoded { line, record: json_record(bytes, tenant) })
}

/// Cuts a body into its lines, each with its number, from 1. Blank lines are counted but yield nothing; a CR before the LF is a
/// blank of JSON; the last line needs no LF.
pub fn lines(body: &[u8]) -> Lines<'_> {
    Lines { rest: body.strip_prefix(MARK).unwrap_or(body), line: 0 }
}

/// The lines of a body, in its order.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    line: u64,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<(u64, &'a [u8])> {
        while !self.rest.is_empty() {
            let (line, rest) = match memchr::memchr(b'\n', self.rest) {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, self.rest.split_at(self.rest.len()).1),
            };
            self.rest = rest;
            self.line += 1;
            if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                return Some((self.line, line));
            }
        }
        None
    }
}
