//! Looks at each line of a block once: for the directory, the time profile, and what the filters hold.

use loglake_model::{Level, Timestamp, Window, line};

use crate::hash;
use crate::profile::TimeProfile;
use crate::text_filter::GramMap;
use crate::unescape::unescape_into;
use crate::walk::{Place, Value, walk};

/// How many earlier values are remembered, by length and place within the line.
const KNOWN: usize = 1 << 10;

/// What is found out about a block's lines, in memory that serves block after block.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) grams: GramMap,
    /// Keys of the trace ids; sorted and distinct after [`Survey::finish`].
    pub(crate) traces: Vec<u64>,
    pub(crate) profile: TimeProfile,
    /// For a hash of length and place: where an earlier value of that length begins, and its length.
    known: Vec<(u32, u32)>,
    plain: Vec<u8>,
}

impl Default for Memory {
    fn default() -> Self {
        let profile = TimeProfile::empty(Window { start_ns: 0, length_ns: Window::HOUR_NS });
        Self { grams: GramMap::default(), traces: Vec::new(), profile, known: Vec::new(), plain: Vec::new() }
    }
}

/// What the directory says of all lines together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) records: u32,
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    pub(crate) levels: [u32; Level::COUNTED],
}

/// A look at the lines of a block, one after another.
pub(crate) struct Survey<'a> {
    lines: &'a [u8],
    window: Window,
    memory: &'a mut Memory,
    counts: Counts,
    second: Second,
}

/// The second that the line before fell into, so that most timestamps need no calendar.
#[derive(Clone, Copy, Default)]
struct Second {
    /// The timestamp's text up to the seconds.
    text: [u8; 19],
    start_ns: i64,
    step: u8,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(lines: &'a [u8], window: Window, memory: &'a mut Memory) -> Self {
        memory.grams.reset(lines.len());
        memory.traces.clear();
        memory.profile.reset(window);
        memory.known.clear();
        memory.known.resize(KNOWN, (0, 0));
        let counts = Counts { records: 0, min_ns: i64::MAX, max_ns: i64::MIN, levels: [0; Level::COUNTED] };
        Self { lines, window, memory, counts, second: Second::default() }
    }

    /// Ends it; grams, traces and profile are in the memory.
    pub(crate) fn finish(self) -> Counts {
        self.memory.traces.sort_unstable();
        self.memory.traces.dedup();
        self.counts
    }

    /// Takes the next line, without its line feed.
    pub(crate) fn line(&mut self, line: &'a [u8]) -> Result<(), &'static str> {
        let at_ns = self.timestamp(line)?;
        if at_ns < self.counts.max_ns {
            return Err("is earlier than the one before it");
        }
        let lines = self.lines;
        let Memory { grams, traces, known, plain, .. } = &mut *self.memory;
        let slot = walk(line, |place, value| {
            let Value { raw, is_escaped } = value;
            let text = if is_escaped {
                plain.clear();
                unescape_into(plain, raw).ok_or("has a broken escape")?;
                &plain[..]
            } else {
                raw
            };
            match place {
                Place::Trace => {
                    let key = hash::trace_key(text);
                    if traces.last() != Some(&key) {
                        traces.push(key);
                    }
                }
                Place::Text(_) if is_escaped => grams.add(text),
                Place::Text(count) => {
                    let known = &mut known[(text.len() ^ (count << 6)) % KNOWN];
                    let (from, length) = (known.0 as usize, known.1 as usize);
                    match lines.get(from..from + length) {
                        Some(before) if length == text.len() => grams.add_unlike(text, before),
                        _ => grams.add(text),
                    }
                    // Both lie in `lines`, which is far shorter than 4 GiB.
                    *known = ((text.as_ptr() as usize - lines.as_ptr() as usize) as u32, text.len() as u32);
                }
            }
            Ok(())
        })?;
        self.memory.profile.count(self.second.step, slot);
        let counts = &mut self.counts;
        counts.levels[slot] += 1;
        counts.records += 1;
        counts.min_ns = counts.min_ns.min(at_ns);
        counts.max_ns = at_ns;
        Ok(())
    }

    /// The line's timestamp; leaves its second in `self.second`.
    fn timestamp(&mut self, line: &[u8]) -> Result<i64, &'static str> {
        const WRONG: &str = "does not begin with a timestamp as a line does";
        let text = line
            .strip_prefix(line::HEAD)
            .and_then(|rest| rest.first_chunk::<{ Timestamp::TEXT_BYTES + 1 }>())
            .ok_or(WRONG)?;
        if text[Timestamp::TEXT_BYTES] != b'"' {
            return Err(WRONG);
        }
        if text[..19] == self.second.text && text[19] == b'.' && text[29] == b'Z' {
            let nanos = text[20..29]
                .iter()
                .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')));
            return self.second.start_ns.checked_add(nanos.ok_or(WRONG)?).ok_or(WRONG);
        }
        let at_ns = Timestamp::from_text(&text[..Timestamp::TEXT_BYTES]).ok_or(WRONG)?.0;
        if !self.window.contains(at_ns) {
            return Err("lies outside the window");
        }
        let start_ns = at_ns - at_ns.rem_euclid(1_000_000_000);
        let step = (at_ns - self.window.start_ns) / (self.window.length_ns / Window::STEPS as i64);
        self.second = Second { start_ns, step: step as u8, ..self.second };
        self.second.text.copy_from_slice(&text[..19]);
        Ok(at_ns)
    }
}
