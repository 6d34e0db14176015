use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::held::Held;

/// The messages of one partition that this processor holds: all of `[floor, position)`, flushed or not.
///
/// The worker appends and releases; the tail service reads.
#[derive(Debug)]
pub(crate) struct PartitionTail {
    state: Mutex<State>,
    position: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    floor: u64,
    messages: VecDeque<Arc<Held>>,
}

/// What a reader sees at one moment.
#[derive(Debug)]
pub(crate) struct TailView {
    /// The lowest offset held.
    pub(crate) floor: u64,
    /// The offset read up to (excluded).
    pub(crate) position: u64,
    /// The messages from the offset asked for on, ascending.
    pub(crate) messages: Vec<Arc<Held>>,
}

impl PartitionTail {
    /// An empty tail that begins at `next`.
    pub(crate) fn new(next: u64) -> Self {
        let state = State { floor: next, messages: VecDeque::new() };
        Self { state: Mutex::new(state), position: watch::channel(next).0 }
    }

    /// Adds messages and moves to `position`, which lies past all of them.
    pub(crate) fn extend(&self, messages: impl IntoIterator<Item = Arc<Held>>, position: u64) {
        let mut state = self.state.lock();
        state.messages.extend(messages);
        // Under the lock, so that a view never has a position without its messages.
        self.position.send_replace(position);
    }

    /// Forgets everything below `below`.
    pub(crate) fn release(&self, below: u64) {
        let mut state = self.state.lock();
        let keep_from = state.messages.partition_point(|held| held.offset() < below);
        let released: Vec<_> = state.messages.drain(..keep_from).collect();
        state.floor = state.floor.max(below);
        drop(state);
        drop(released);
    }

    /// The messages from `from` on.
    pub(crate) fn view(&self, from: u64) -> TailView {
        let state = self.state.lock();
        let first = state.messages.partition_point(|held| held.offset() < from);
        TailView {
            floor: state.floor,
            position: *self.position.borrow(),
            messages: state.messages.range(first..).cloned().collect(),
        }
    }

    /// Waits until the position reaches `until`, at most `wait`.
    pub(crate) async fn reach(&self, until: u64, wait: Duration) {
        let mut position = self.position.subscribe();
        // Late is no error here: the caller looks at the position that it gets.
        let _late = tokio::time::timeout(wait, position.wait_for(|position| *position >= until)).await;
    }
}
