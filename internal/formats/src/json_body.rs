use loglake_model::{Fault, FaultCode, TenantName};

use crate::Decoded;
use crate::json_record::json_record;
use crate::ndjson::MARK;

/// Reads a body of `application/json`: an array of records, or records one after another, of which one alone is the common
/// case. `line` of what it yields is the record's place, from 1. A record that is broken inside, too deep or too long leaves the
/// others unharmed, as long as its brackets and quotes are closed; what cannot be told apart ends the reading with a last fault.
/// A record that names another tenant than `tenant` is a fault.
pub fn json<'a>(body: &'a [u8], tenant: &'a TenantName) -> JsonRecords<'a> {
    let body = body.strip_prefix(MARK).unwrap_or(body);
    let mut records = JsonRecords { body, at: 0, place: 0, state: State::Sequence, tenant };
    records.skip_blanks();
    if records.peek() == Some(b'[') {
        records.at += 1;
        records.state = State::ArrayStart;
    }
    records
}

/// The records of a JSON body, in its order.
#[derive(Clone, Debug)]
pub struct JsonRecords<'a> {
    body: &'a [u8],
    at: usize,
    place: u64,
    state: State,
    tenant: &'a TenantName,
}

/// What may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// An object or the end of the body.
    Sequence,
    /// An element or the end of the array.
    ArrayStart,
    /// A comma or the end of the array.
    ArrayNext,
    /// Nothing but blanks.
    AfterArray,
    /// Nothing more is read.
    Done,
}

impl JsonRecords<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Ends the reading with a fault of the body's shape.
    fn give_up(&mut self, expected: &str) -> Option<Decoded> {
        self.state = State::Done;
        self.place += 1;
        let message = format!("broken JSON at byte {} of the body: expected {expected}", self.at + 1);
        Some(Decoded { line: self.place, record: Err(Fault::new(FaultCode::Malformed, "", message)) })
    }

    /// Reads the value that stands here, whatever is inside.
    fn element(&mut self) -> Option<Decoded> {
        let start = self.at;
        let is_whole = self.step_over();
        self.place += 1;
        let bytes = self.body[start..self.at].trim_ascii_end();
        let mut record = json_record(bytes, self.tenant);
        if !is_whole {
            self.state = State::Done;
            // The end is missing: whatever was wrong before that, this is what to put right first.
            let message = "the body ends inside this record: its brackets or quotes are not closed";
            record = Err(Fault::new(FaultCode::Malformed, "", message));
        }
        Some(Decoded { line: self.place, record })
    }

    /// Steps over one value by its brackets and quotes alone, without a stack: an object to its last bracket, anything else
    /// to the next comma, bracket or the end. Whether it is whole.
    fn step_over(&mut self) -> bool {
        let (mut depth, mut is_text) = (0_usize, false);
        while let Some(byte) = self.peek() {
            if is_text {
                match byte {
                    b'\\' => self.at += 1,
                    b'"' => is_text = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => is_text = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' | b',' if depth == 0 => return true,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            self.at += 1;
                            return true;
                        }
                    }
                    _ => {}
                }
            }
            self.at += 1;
        }
        // An escape may have stepped past the end.
        self.at = self.body.len();
        depth == 0 && !is_text
    }
}

impl Iterator for JsonRecords<'_> {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        self.skip_blanks();
        match (self.state, self.peek()) {
            (State::Done, _) | (State::Sequence | State::AfterArray, None) => {
                self.state = State::Done;
                None
            }
            (State::Sequence, Some(b'{')) => self.element(),
            (State::Sequence, Some(_)) => self.give_up("an object or an array of objects"),
            (State::ArrayStart | State::ArrayNext, Some(b']')) => {
                self.at += 1;
                self.state = State::AfterArray;
                self.next()
            }
            (State::ArrayStart, Some(_)) => {
                self.state = State::ArrayNext;
                self.element()
            }
            (State::ArrayNext, Some(b',')) => {
                self.at += 1;
                self.skip_blanks();
                match self.peek() {
                    None => self.give_up("another record"),
                    Some(_) => self.element(),
                }
            }
            (State::ArrayStart | State::ArrayNext, _) => self.give_up("a comma or the end of the array"),
            (State::AfterArray, Some(_)) => self.give_up("nothing after the array"),
        }
    }
}
