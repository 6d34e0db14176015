//! What happened.

use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::SimulatedClock;

/// FNV-1a, 64 bits.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// What happened, line by line, with a hash over all of it: two runs that took the same way have the same. Clones share it.
#[derive(Clone, Debug)]
pub struct Trace {
    clock: SimulatedClock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    hash: u64,
    lines: Vec<String>,
    is_printed: bool,
}

impl Trace {
    /// An empty trace; `is_printed`: each line is also printed at once.
    #[must_use]
    pub fn new(clock: SimulatedClock, is_printed: bool) -> Self {
        Self { clock, state: Arc::new(Mutex::new(State { hash: OFFSET, lines: Vec::new(), is_printed })) }
    }

    /// Adds what `who` did.
    pub fn say(&self, who: &str, what: impl Display) {
        let line = format!("{:>10.3} {who:<12} {what}", self.clock.elapsed().as_secs_f64());
        let mut state = self.state.lock();
        for byte in line.bytes() {
            state.hash = (state.hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        if state.is_printed {
            println!("{line}");
        }
        state.lines.push(line);
    }

    /// The hash of all lines.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.state.lock().hash
    }

    /// The last `count` lines.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<String> {
        let state = self.state.lock();
        state.lines[state.lines.len().saturating_sub(count)..].to_vec()
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().lines.len()
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
