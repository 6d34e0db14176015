//! JSON, read once from left to right: bounded depth, no tree, no rounding, duplicate keys seen.

use std::borrow::Cow;
use std::ops::Range;

use loglake_model::{Fault, FaultCode, limits, line};

use crate::field::{duplicate, shortened};

/// A position in the text of one record. Faults name bytes from the start of that text, from 1.
#[derive(Debug)]
pub(crate) struct JsonText<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonText<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(crate) fn malformed<T>(&self, what: &str) -> Result<T, Fault> {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(char) => format!("{char:?}"),
            None => "the end".to_owned(),
        };
        let message = format!("broken JSON at byte {}: expected {what}, found {found}", self.at + 1);
        Err(Fault::new(FaultCode::Malformed, "", message))
    }

    /// Checks that nothing but blanks follows.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.skip_blanks();
        if self.peek().is_some() { self.malformed("the end of the record") } else { Ok(()) }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return self.malformed(what);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads `null` if it stands here.
    pub(crate) fn null(&mut self) -> Result<bool, Fault> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal("null")?;
        Ok(true)
    }

    fn literal(&mut self, literal: &'static str) -> Result<&'static str, Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            return self.malformed("a value");
        }
        self.at += literal.len();
        Ok(literal)
    }

    /// Reads an object, handing each key to `each`, which reads the value that stands there.
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.expect(b'{', "an object")?;
        self.skip_blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return self.malformed("a key in quotes");
            }
            let key = self.string()?;
            self.skip_blanks();
            self.expect(b':', "a colon after the key")?;
            self.skip_blanks();
            each(self, key)?;
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.malformed("a comma or the end of the object"),
            }
        }
    }

    /// Reads a list, calling `each` where a value stands.
    pub(crate) fn items(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.expect(b'[', "a list")?;
        self.skip_blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_blanks();
            each(self)?;
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.malformed("a comma or the end of the list"),
            }
        }
    }

    /// Reads a text; borrowed when it has no escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"', "a text in quotes")?;
        let text = self.text;
        let start = self.at;
        self.run();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&text[start..self.at - 1]));
        }
        let mut out = String::from(&text[start..self.at]);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return self.malformed("a control character to be escaped"),
                None => return self.malformed("the closing quote of a text"),
            }
            let start = self.at;
            self.run();
            out.push_str(&text[start..self.at]);
        }
    }

    /// Steps over what stands for itself in a text.
    fn run(&mut self) {
        self.at += line::plain_run(&self.text.as_bytes()[self.at..]);
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 1;
        let char = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return self.malformed("an escape that JSON knows"),
        };
        self.at += 1;
        Ok(char)
    }

    /// Reads the rest of `\uXXXX`, and the second half of a pair of surrogates. `start` is where the backslash stands.
    fn unicode_escape(&mut self, start: usize) -> Result<char, Fault> {
        let first = self.four_hex()?;
        let code = match first {
            0xd800..0xdc00 if self.text.as_bytes()[self.at..].starts_with(b"\\u") => {
                self.at += 1;
                match self.four_hex()? {
                    second @ 0xdc00..0xe000 => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => first,
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| {
            let message =
                format!("\\u{first:04x} at byte {} is half a character: send both surrogates or neither", start + 1);
            Fault::new(FaultCode::InvalidUtf8, "", message)
        })
    }

    /// Reads `uXXXX`.
    fn four_hex(&mut self) -> Result<u32, Fault> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.malformed("four hexadecimal digits after \\u");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Reads a number and returns its text as it is.
    pub(crate) fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.malformed("a value"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.malformed("a digit");
        }
        self.digits();
        Ok(())
    }

    /// Reads any value and appends it to `out` in compact form: no blanks, numbers as they are, texts escaped in the one form.
    /// `levels` is how many objects and lists may still be opened.
    pub(crate) fn value_into(&mut self, out: &mut Vec<u8>, levels: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                text_into(out, &text);
            }
            Some(b'{') => self.object_into(out, inner(levels)?)?,
            Some(b'[') => {
                let levels = inner(levels)?;
                out.push(b'[');
                let mut is_first = true;
                self.items(|json| {
                    if !std::mem::replace(&mut is_first, false) {
                        out.push(b',');
                    }
                    json.value_into(out, levels)
                })?;
                out.push(b']');
            }
            Some(b't') => out.extend_from_slice(self.literal("true")?.as_bytes()),
            Some(b'f') => out.extend_from_slice(self.literal("false")?.as_bytes()),
            Some(b'n') => out.extend_from_slice(self.literal("null")?.as_bytes()),
            _ => out.extend_from_slice(self.number()?.as_bytes()),
        }
        Ok(())
    }

    fn object_into(&mut self, out: &mut Vec<u8>, levels: usize) -> Result<(), Fault> {
        out.push(b'{');
        // Where the keys stand in `out`: escaped in one form, so equal there means equal.
        let mut keys: Vec<Range<usize>> = Vec::new();
        self.members(|json, key| {
            check_key(&key)?;
            if !keys.is_empty() {
                out.push(b',');
            }
            let start = out.len();
            text_into(out, &key);
            keys.push(start..out.len());
            out.push(b':');
            json.value_into(out, levels)
        })?;
        out.push(b'}');
        let mut sorted: Vec<&[u8]> = keys.into_iter().map(|key| &out[key]).collect();
        match first_repeated(&mut sorted) {
            Some(key) => Err(duplicate(&String::from_utf8_lossy(&key[1..key.len() - 1]))),
            None => Ok(()),
        }
    }
}

/// One level less, or the fault that there is none left.
fn inner(levels: usize) -> Result<usize, Fault> {
    levels.checked_sub(1).ok_or_else(|| {
        Fault::new(
            FaultCode::TooDeep,
            "",
            format!("an attribute nests objects and lists at most {} deep: send it flatter, or as text", limits::DEPTH),
        )
        .with_limit(limits::DEPTH as u64, limits::DEPTH as u64 + 1)
    })
}

/// Checks the length of an attribute's key.
pub(crate) fn check_key(key: &str) -> Result<(), Fault> {
    if key.len() > limits::KEY_BYTES {
        let message = format!("the key {:?} is longer than {} bytes", shortened(key), limits::KEY_BYTES);
        return Err(Fault::new(FaultCode::TooLong, "", message).with_limit(limits::KEY_BYTES as u64, key.len() as u64));
    }
    Ok(())
}

/// Appends `text` in quotes.
pub(crate) fn text_into(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    line::escape_into(out, text);
    out.push(b'"');
}

/// The first of `keys`, which are sorted on the way, that is there twice.
pub(crate) fn first_repeated<T: Ord + Copy>(keys: &mut [T]) -> Option<T> {
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
