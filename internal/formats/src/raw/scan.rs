use std::ops::Range;

use loglake_model::{limits, line};

/// The most members of an object: repeated keys are looked for by comparing each with each.
const MAX_MEMBERS: usize = 32;

/// A text of JSON without its quotes, escaped in the one form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) inside: &'a [u8],
    pub(super) has_escapes: bool,
}

/// A position in JSON. Every step that returns `None` leaves the position anywhere: it is no use any more.
#[derive(Debug)]
pub(super) struct Scan<'a, 'k> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// The keys of the objects that are open, innermost last.
    keys: &'k mut Vec<(u32, u32)>,
}

impl<'a, 'k> Scan<'a, 'k> {
    /// `bytes` are less than 4 GiB.
    pub(super) fn new(bytes: &'a [u8], keys: &'k mut Vec<(u32, u32)>) -> Self {
        keys.clear();
        Self { bytes, at: 0, keys }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over `byte` if it stands here; says whether it did.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Steps over `literal`.
    pub(super) fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let is_there = self.bytes.get(self.at..)?.starts_with(literal);
        self.at += literal.len();
        is_there.then_some(())
    }

    /// Reads a text that is escaped in the one form, if at all.
    pub(super) fn text(&mut self) -> Option<Text<'a>> {
        if !self.take(b'"') {
            return None;
        }
        let start = self.at;
        let mut has_escapes = false;
        loop {
            self.at += line::plain_run(&self.bytes[self.at..]);
            match self.peek()? {
                b'"' => {
                    let inside = &self.bytes[start..self.at];
                    self.at += 1;
                    return Some(Text { inside, has_escapes });
                }
                b'\\' => self.escape()?,
                _ => return None,
            }
            has_escapes = true;
        }
    }

    /// Steps over an escape that could not be written otherwise: `"`, `\` and control characters, each in its one form.
    fn escape(&mut self) -> Option<()> {
        let length = match self.bytes[self.at + 1..] {
            [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => 2,
            [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..]
            | [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => 6,
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    /// Steps over a number.
    fn number(&mut self) -> Option<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Some(())
    }

    /// Steps over digits, at least one.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Reads a number without sign, fraction and exponent.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let start = self.at;
        self.number()?;
        self.bytes[start..self.at].iter().try_fold(0_i64, |sum, byte| {
            let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
            sum.checked_mul(10)?.checked_add(digit)
        })
    }

    /// Steps over a value in compact form with nothing to escape anew. `levels` is how many objects and lists may still be opened.
    pub(super) fn value(&mut self, levels: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.text().map(|_| ()),
            b'{' => self.object(levels.checked_sub(1)?),
            b'[' => self.list(levels.checked_sub(1)?),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }

    fn list(&mut self, levels: usize) -> Option<()> {
        self.at += 1;
        if self.take(b']') {
            return Some(());
        }
        loop {
            self.value(levels)?;
            if self.take(b']') {
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn object(&mut self, levels: usize) -> Option<()> {
        self.at += 1;
        if self.take(b'}') {
            return Some(());
        }
        let outer = self.keys.len();
        loop {
            let start = self.at;
            self.text()?;
            self.note(start + 1..self.at - 1, outer)?;
            if !self.take(b':') {
                return None;
            }
            self.value(levels)?;
            if self.take(b'}') {
                self.keys.truncate(outer);
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// Notes the key that stands at `place`, without its quotes, of the object whose keys begin at `outer`; `None` when it is there
    /// already, there are many keys, or it is long.
    pub(super) fn note(&mut self, place: Range<usize>, outer: usize) -> Option<()> {
        let before = self.keys.get(outer..)?;
        if place.len() > limits::KEY_BYTES || before.len() >= MAX_MEMBERS {
            return None;
        }
        let key = &self.bytes[place.clone()];
        if before.iter().any(|&(start, end)| &self.bytes[start as usize..end as usize] == key) {
            return None;
        }
        self.keys.push((u32::try_from(place.start).ok()?, u32::try_from(place.end).ok()?));
        Some(())
    }
}
