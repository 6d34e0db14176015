use crate::order::Position;
use crate::query::Query;

/// The rows of an answer as they grow: their lines with commas between, which is what stands in the JSON list.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<u8>,
    pub(crate) rows: usize,
    pub(crate) last: Option<Position>,
}

impl Page {
    /// Takes a row; `false`, without taking it, when the page is full.
    pub(crate) fn push(&mut self, query: &Query, page_bytes: usize, position: Position, line: &[u8]) -> bool {
        let is_full = self.rows >= query.limit || (self.rows > 0 && self.items.len() + line.len() + 1 > page_bytes);
        if is_full {
            return false;
        }
        if self.rows > 0 {
            self.items.push(b',');
        }
        self.items.extend_from_slice(line);
        self.rows += 1;
        self.last = Some(position);
        true
    }
}
