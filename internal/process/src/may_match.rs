//! The lines of a message's group that are worth a look.

use loglake_batch::{Group, Line, Lines};
use loglake_search::Matcher;

/// The lines of a group that may match, in the order of their places. What a matching line must hold is searched for in all bytes of
/// the group at once: most groups have it nowhere, and none of their records is looked at.
pub(crate) struct MayMatch<'a> {
    matcher: &'a Matcher,
    payload: &'a [u8],
    lines: Lines<'a>,
    /// Where the group ends in the payload.
    end: usize,
    /// Lines that end before it cannot match; `None`: no more can.
    place: Option<usize>,
}

impl<'a> MayMatch<'a> {
    /// Those of `group`, which is of the message with this `payload`.
    pub(crate) fn new(matcher: &'a Matcher, payload: &'a [u8], group: &Group<'a>) -> Self {
        let range = group.range();
        let mut lines = Self { matcher, payload, lines: group.lines(), end: range.end, place: None };
        lines.place = lines.place_from(range.start);
        lines
    }

    fn place_from(&self, from: usize) -> Option<usize> {
        self.matcher.first_place(&self.payload[from..self.end]).map(|at| from + at)
    }
}

impl<'a> Iterator for MayMatch<'a> {
    type Item = (Line, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let place = self.place?;
            let line = self.lines.next()?;
            let (start, end) = (line.range.start as usize, line.range.end as usize);
            if place < start {
                // Not in a line, but in what stands before it.
                self.place = self.place_from(start);
            }
            if self.place? < end {
                self.place = Some(end);
                return Some((line, &self.payload[start..end]));
            }
        }
    }
}
