//! What becomes of a call to a part.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dice::Dice;
use crate::trace::Trace;

/// How long a client waits for a reply that does not come.
const TIME_OUT: Duration = Duration::from_secs(2);

/// No write lands later than this after its caller gave up.
pub const LATEST: Duration = Duration::from_secs(8);

/// A part that calls go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The broker.
    Broker,
    /// The object store.
    Store,
    /// The index.
    Index,
}

/// How many calls of a thousand go wrong, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Take a while.
    pub slow: u64,
    /// Are refused, nothing being done.
    pub refused: u64,
    /// Are done, but the reply is lost.
    pub lost: u64,
    /// Time out and are done afterwards.
    pub late: u64,
    /// Reads of chunks that give a wrong byte.
    pub flipped: u64,
}

/// The faults of all parts. Clones share them.
#[derive(Clone, Debug)]
pub struct Faults {
    dice: Dice,
    trace: Trace,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    rates: BTreeMap<Part, Rates>,
    /// Until when a part answers nobody.
    stalled: BTreeMap<Part, Instant>,
}

/// One life of a process: what it calls once it is dead never happens.
#[derive(Clone, Debug)]
pub struct Life {
    name: Arc<str>,
    is_dead: Arc<AtomicBool>,
}

/// What a caller learns.
#[derive(Debug)]
pub enum Reply<T> {
    /// It was done.
    Done(T),
    /// Nothing was done.
    Refused,
    /// Nobody knows: it was done, or will be.
    Lost,
}

enum Fate {
    Done,
    Refused,
    Lost,
    Late(Duration),
}

impl Life {
    /// A life of the process `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self { name: name.into(), is_dead: Arc::default() }
    }

    /// Whose life it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends it.
    pub fn end(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
    }

    /// Goes on only for the living.
    async fn goes_on(&self) {
        if self.is_dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl Faults {
    /// None yet.
    #[must_use]
    pub fn new(dice: Dice, trace: Trace) -> Self {
        Self { dice, trace, state: Arc::default() }
    }

    /// From now on calls to `part` go wrong at these rates.
    pub fn set(&self, part: Part, rates: Rates) {
        self.state.lock().rates.insert(part, rates);
    }

    /// `part` answers nobody for a while.
    pub fn stall(&self, part: Part, wait: Duration) {
        self.state.lock().stalled.insert(part, Instant::now() + wait);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        *self.state.lock() = State::default();
    }

    /// Whether this read of `part` gives a wrong byte.
    pub(crate) fn is_flipped(&self, part: Part) -> bool {
        let rates = self.state.lock().rates.get(&part).copied().unwrap_or_default();
        rates.flipped > 0 && self.dice.chance(rates.flipped)
    }

    /// Writes down what a process saw.
    pub(crate) fn note(&self, life: &Life, what: impl std::fmt::Display) {
        self.trace.say(life.name(), what);
    }

    fn fate(&self, rates: Rates, is_write: bool) -> Fate {
        let throw = self.dice.within(0..1000);
        let (refused, lost) = (rates.refused, rates.refused + rates.lost);
        if throw < refused {
            Fate::Refused
        } else if throw < lost {
            Fate::Lost
        } else if throw < lost + rates.late && is_write {
            Fate::Late(self.dice.millis(1..LATEST.as_millis() as u64))
        } else {
            Fate::Done
        }
    }

    /// Calls `part`, or pretends to. `work` is done in one step.
    pub(crate) async fn call<T: Debug + Send + 'static>(
        &self,
        life: &Life,
        part: Part,
        what: String,
        is_write: bool,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Reply<T> {
        life.goes_on().await;
        let stalled = self.state.lock().stalled.get(&part).copied();
        if let Some(until) = stalled {
            sleep_until(until).await;
            life.goes_on().await;
        }
        let rates = self.state.lock().rates.get(&part).copied().unwrap_or_default();
        let fate = self.fate(rates, is_write);
        if self.dice.chance(rates.slow) {
            sleep(self.dice.millis(1..400)).await;
            life.goes_on().await;
        }
        let slow_reply = self.dice.chance(rates.slow).then(|| self.dice.millis(1..400));
        let reply = match fate {
            Fate::Done => {
                let done = work.await;
                if is_write {
                    self.trace.say(life.name(), format_args!("{what} -> {}", short(&done)));
                }
                Reply::Done(done)
            }
            Fate::Refused => {
                self.trace.say(life.name(), format_args!("{what} -> refused"));
                Reply::Refused
            }
            Fate::Lost => {
                let done = work.await;
                self.trace.say(life.name(), format_args!("{what} -> {}, reply lost", short(&done)));
                Reply::Lost
            }
            Fate::Late(after) => {
                self.trace.say(life.name(), format_args!("{what} -> late by {after:?}"));
                let (trace, name) = (self.trace.clone(), Arc::clone(&life.name));
                // Not a task of the process: what was sent cannot be called back.
                tokio::spawn(async move {
                    sleep(after).await;
                    let done = work.await;
                    trace.say(&name, format_args!("{what} -> {} at last", short(&done)));
                });
                sleep(TIME_OUT).await;
                Reply::Lost
            }
        };
        if let Some(wait) = slow_reply {
            sleep(wait).await;
        }
        life.goes_on().await;
        reply
    }
}

/// As much of `value` as fits a line.
fn short(value: &impl Debug) -> String {
    let mut text = format!("{value:?}");
    if text.len() > 160 {
        let end = (0..=160).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
