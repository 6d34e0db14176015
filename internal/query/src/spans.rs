//! Blocks that lie near each other are read with one request.

use std::ops::Range;

use bytes::Bytes;
use loglake_chunk::BlockRow;

/// The most bytes that are read and thrown away to save a request. Over a network a request costs as much time as some
/// hundred KiB of it do; from a local disk so many are read in tens of microseconds.
pub(crate) const MAX_GAP_BYTES: u64 = 256 << 10;
/// The most bytes of one request, so that several are under way and decoding begins early. (A larger block has one of its own.)
pub(crate) const MAX_SPAN_BYTES: u64 = 1 << 20;

/// A range of an object, and the blocks that are wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) range: Range<u64>,
    /// Ascending by offset, at least one.
    pub(crate) rows: Vec<BlockRow>,
}

impl Span {
    /// The bytes of `row`, one of its blocks, out of those of the span.
    pub(crate) fn member(&self, bytes: &Bytes, row: &BlockRow) -> Bytes {
        let start = usize::try_from(row.offset.saturating_sub(self.range.start)).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(row.length as usize).min(bytes.len());
        bytes.slice(start..end)
    }

    /// How many records its blocks hold.
    pub(crate) fn records(&self) -> u64 {
        self.rows.iter().map(|row| u64::from(row.records)).sum()
    }
}

/// Joins `rows`, ascending by offset, into spans.
pub(crate) fn spans(rows: impl IntoIterator<Item = BlockRow>) -> Vec<Span> {
    let mut spans = Vec::<Span>::new();
    for row in rows {
        let end = row.offset.saturating_add(u64::from(row.length));
        if let Some(last) = spans.last_mut()
            && row.offset.saturating_sub(last.range.end) <= MAX_GAP_BYTES
            && end.saturating_sub(last.range.start) <= MAX_SPAN_BYTES
        {
            last.range.end = last.range.end.max(end);
            last.rows.push(row);
        } else {
            spans.push(Span { range: row.offset..end, rows: vec![row] });
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_block_is_in_one_span_and_nothing_far_is_joined(
            lengths in proptest::collection::vec((1..600_000_u32, any::<bool>()), 0..30),
        ) {
            let mut offset = 0;
            let mut rows = Vec::new();
            for (length, is_wanted) in lengths {
                let row = BlockRow {
                    offset, length, raw_length: 1, records: 1, min_ns: 0, max_ns: 0, levels: [0; 7], checksum: 0,
                };
                offset += u64::from(length);
                rows.extend(is_wanted.then_some(row));
            }
            let spans = spans(rows.clone());
            let joined: Vec<BlockRow> = spans.iter().flat_map(|span| span.rows.clone()).collect();
            prop_assert_eq!(joined, rows);
            for span in &spans {
                prop_assert!(span.rows.len() == 1 || span.range.end - span.range.start <= MAX_SPAN_BYTES);
                for pair in span.rows.windows(2) {
                    prop_assert!(pair[1].offset - (pair[0].offset + u64::from(pair[0].length)) <= MAX_GAP_BYTES);
                }
                let bytes = Bytes::from((span.range.start..span.range.end).map(|at| at as u8).collect::<Vec<_>>());
                for row in &span.rows {
                    let member = span.member(&bytes, row);
                    prop_assert_eq!((member.len(), member[0]), (row.length as usize, row.offset as u8));
                }
            }
        }
    }
}
