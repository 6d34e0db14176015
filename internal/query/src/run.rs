use std::ops::Range;

use loglake_chunk::{BlockRow, decode_block_with};
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
        let rows = decode_block_with(row, member, |lines| Self::of_lines(query, matcher, lines));
        let rows = rows.map_err(|error| error.to_string())?;
        rows.ok_or_else(|| format!("a line of the block at byte {} has no id", row.offset))
    }

    /// The same of the block's lines; `None` when a row has no id.
    fn of_lines(query: &Query, matcher: &Matcher, lines: &[u8]) -> Option<Self> {
        let mut is_broken = false;
        let mut found: Vec<(i64, &[u8])> = Vec::new();
        matcher.scan(lines, query.rest(), |timestamp_ns, line| {
            // Only at the moment where the page before ended the id decides.
            let is_past = match query.after {
                Some((at_ns, _)) if at_ns == timestamp_ns => match line::id_of(line) {
                    Some(id) => query.is_past((timestamp_ns, id)),
                    None => {
                        is_broken = true;
                        false
                    }
                },
                _ => true,
            };
            if is_past {
                found.push((timestamp_ns, line));
            }
        });
        // What is cut off cannot be on the page: it is full by then. One row more than it takes shows that there is more.
        let most = query.limit.saturating_add(1);
        if found.len() > most {
            let first = |(at_ns, _): &(i64, &[u8])| query.direction.first_at(*at_ns);
            let (_, last, _) = found.select_nth_unstable_by_key(most - 1, first);
            let last = first(last);
            // All of the last moment: their ids decide.
            found.retain(|row| first(row) <= last);
        }
        let rows = found.into_iter().map(|(timestamp_ns, line)| Some(((timestamp_ns, line::id_of(line)?), line)));
        let mut rows: Vec<(Position, &[u8])> = rows.collect::<Option<_>>().filter(|_| !is_broken)?;
        rows.sort_unstable_by_key(|(position, _)| query.direction.rank(*position));
        rows.truncate(most);
        let mut run = Self {
            buffer: Vec::with_capacity(rows.iter().map(|(_, line)| line.len()).sum()),
            rows: Vec::with_capacity(rows.len()),
            next: 0,
        };
        for (position, line) in rows {
            let start = run.buffer.len();
            run.buffer.extend_from_slice(line);
            run.rows.push(Row { position, line: start..run.buffer.len() });
        }
        Some(run)
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
