use std::ops::Range;

use loglake_chunk::{BlockRow, decode_block};
use loglake_model::line;
use loglake_search::Matcher;

use crate::order::{Position, Rank};
use crate::query::Query;
use crate::tail_ask::TailRow;

/// Rows in the order of the answer, of one block or one partition's tail: no more than a page takes.
#[derive(Debug)]
pub(crate) struct Run {
    buffer: Vec<u8>,
    rows: Vec<Row>,
    /// The row to answer next.
    next: usize,
}

#[derive(Debug)]
struct Row {
    position: Position,
    line: Range<usize>,
}

impl Run {
    /// The rows of one partition's tail, which are in order.
    pub(crate) fn of_tail(tail: Vec<TailRow>) -> Self {
        let mut buffer = Vec::with_capacity(tail.iter().map(|row| row.line.len()).sum());
        let mut rows = Vec::with_capacity(tail.len());
        for row in tail {
            let start = buffer.len();
            buffer.extend_from_slice(&row.line);
            rows.push(Row { position: row.position, line: start..buffer.len() });
        }
        Self { buffer, rows, next: 0 }
    }

    /// The rows of a block that match `query`; `matcher` is the query's, but for what the chunk itself decides.
    ///
    /// # Errors
    /// What is damaged.
    pub(crate) fn of_block(query: &Query, matcher: &Matcher, row: &BlockRow, member: &[u8]) -> Result<Self, String> {
        let block = decode_block(row, member).map_err(|error| error.to_string())?;
        let base = block.as_ptr() as usize;
        let mut rows = Vec::new();
        let mut is_broken = false;
        matcher.scan(&block, query.rest(), |timestamp_ns, line| match line::id_of(line) {
            Some(id) if query.is_past((timestamp_ns, id)) => {
                // The line is a slice of the block.
                let start = line.as_ptr() as usize - base;
                rows.push(Row { position: (timestamp_ns, id), line: start..start + line.len() });
            }
            Some(_) => {}
            None => is_broken = true,
        });
        if is_broken {
            return Err(format!("a line of the block at byte {} has no id", row.offset));
        }
        rows.sort_unstable_by_key(|row| query.direction.rank(row.position));
        // What is cut off cannot be on the page: it is full by then. One row more than it takes shows that there is more.
        rows.truncate(query.limit.saturating_add(1));
        let run = Self { buffer: block, rows, next: 0 };
        let kept: usize = run.rows.iter().map(|row| row.line.len()).sum();
        Ok(if kept < run.buffer.len() / 2 { run.compact(kept) } else { run })
    }

    /// Lets go of the lines that are not rows.
    fn compact(self, kept: usize) -> Self {
        let mut buffer = Vec::with_capacity(kept);
        let mut rows = self.rows;
        for row in &mut rows {
            let start = buffer.len();
            buffer.extend_from_slice(&self.buffer[row.line.clone()]);
            row.line = start..buffer.len();
        }
        Self { buffer, rows, next: 0 }
    }

    /// The row to answer next.
    pub(crate) fn head(&self) -> Option<(Position, &[u8])> {
        self.rows.get(self.next).map(|row| (row.position, &self.buffer[row.line.clone()]))
    }

    pub(crate) fn rank(&self, query: &Query) -> Option<Rank> {
        self.head().map(|(position, _)| query.direction.rank(position))
    }

    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// The rank of the last row.
    pub(crate) fn last_rank(&self, query: &Query) -> Option<Rank> {
        self.rows.last().map(|row| query.direction.rank(row.position))
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.next
    }
}
