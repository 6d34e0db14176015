use loglake_model::{TimeRange, Timestamp, line};
use memchr::{memchr, memrchr};

use crate::Matcher;

/// What a scan looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Lines looked at one by one; the others were passed over by a search of the raw bytes.
    pub scanned: u64,
    /// Lines that matched.
    pub matched: u64,
}

/// A range of time as the texts that lines carry: they sort as the moments do.
struct TextRange {
    start: [u8; Timestamp::TEXT_BYTES],
    end: [u8; Timestamp::TEXT_BYTES],
}

impl TextRange {
    fn of(range: TimeRange) -> Self {
        // No record is older than 1970, so that an earlier bound means that one.
        let text = |ns: i64| Timestamp(ns.max(0)).to_text();
        Self { start: text(range.start_ns()), end: text(range.end_ns()) }
    }

    fn timestamp_of(&self, line: &[u8]) -> Option<i64> {
        let text = line.get(line::TIMESTAMP_AT..line::TIMESTAMP_AT + Timestamp::TEXT_BYTES)?;
        (self.start.as_slice() <= text && text < self.end.as_slice()).then(|| line::timestamp_of(line))?
    }
}

impl Matcher {
    /// Calls `each` with the timestamp (ns UTC) and the line, without line feed, of every record of `block` that lies in `range`
    /// and matches, in the order they stand there. `block` is canonical lines, each ended by a line feed.
    ///
    /// When a matching line must hold certain bytes, these are searched for in the whole block, and only lines with them are
    /// looked at.
    pub fn scan<'a>(&self, block: &'a [u8], range: TimeRange, mut each: impl FnMut(i64, &'a [u8])) -> ScanStats {
        let range = TextRange::of(range);
        let mut stats = ScanStats::default();
        let mut from = 0;
        while let Some(rest) = block.get(from..).filter(|rest| !rest.is_empty()) {
            let found = match &self.ahead {
                None => 0,
                Some(needle) => match needle.find(rest) {
                    Some(found) => found,
                    None => break,
                },
            };
            let start = from + memrchr(b'\n', &rest[..found]).map_or(0, |feed| feed + 1);
            let end = memchr(b'\n', &block[from + found..]).map_or(block.len(), |feed| from + found + feed);
            let line = &block[start..end];
            stats.scanned += 1;
            if let Some(timestamp_ns) = range.timestamp_of(line)
                && self.matches(line)
            {
                stats.matched += 1;
                each(timestamp_ns, line);
            }
            from = end + 1;
        }
        stats
    }
}

#[cfg(test)]
mod tests;
