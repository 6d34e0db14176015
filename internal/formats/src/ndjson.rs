use loglake_model::TenantName;

use crate::Decoded;
use crate::json_record::record;

/// The byte order mark that some editors put first.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body of one JSON object a line. Blank lines are counted but yield nothing; a CR before the LF is ignored; the last
/// line needs no LF. A record that names another tenant than `tenant` is a fault.
pub fn ndjson<'a>(body: &'a [u8], tenant: &'a TenantName) -> Ndjson<'a> {
    Ndjson { rest: body.strip_prefix(MARK).unwrap_or(body), line: 0, tenant }
}

/// The records of a body of lines, in its order.
#[derive(Clone, Debug)]
pub struct Ndjson<'a> {
    rest: &'a [u8],
    line: u64,
    tenant: &'a TenantName,
}

impl Iterator for Ndjson<'_> {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        while !self.rest.is_empty() {
            let (line, rest) = match memchr::memchr(b'\n', self.rest) {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, self.rest.split_at(self.rest.len()).1),
            };
            self.rest = rest;
            self.line += 1;
            if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                return Some(Decoded { line: self.line, record: record(line, self.tenant) });
            }
        }
        None
    }
}
