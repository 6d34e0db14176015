use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::held::Held;

/// The messages of one partition that this processor holds: all of `[floor, position)`, flushed or not.
///
/// The worker appends and releases; the tail service reads.
#[derive(Debug)]
pub(crate) struct PartitionTail {
    state: Mutex<State>,
    /// Wakes those that wait for a position, in the order they came: a simulation depends on it.
    moved: Notify,
    /// Everything below is in chunks, or holds no record.
    settled: watch::Sender<u64>,
    /// Somebody asked for everything below to be flushed.
    asked: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    floor: u64,
    position: u64,
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
        let state = State { floor: next, position: next, messages: VecDeque::new() };
        let [settled, asked] = std::array::from_fn(|_| watch::Sender::new(next));
        Self { state: Mutex::new(state), moved: Notify::new(), settled, asked }
    }

    /// Asks for everything below `until` to be flushed soon. Returns what is in chunks now.
    pub(crate) fn ask(&self, until: u64) -> u64 {
        self.asked.send_if_modified(|asked| std::mem::replace(asked, until.max(*asked)) < until);
        *self.settled.borrow()
    }

    /// Up to where somebody asked for a flush.
    pub(crate) fn asked(&self) -> u64 {
        *self.asked.borrow()
    }

    /// Says that everything below `settled` is in chunks.
    pub(crate) fn settle(&self, settled: u64) {
        self.settled.send_if_modified(|there| std::mem::replace(there, settled.max(*there)) < settled);
    }

    /// Waits until everything below `until` is in chunks, at most `wait`. Returns how far it is then.
    pub(crate) async fn settled(&self, until: u64, wait: Duration) -> u64 {
        let mut settled = self.settled.subscribe();
        // Late is no error here: the caller looks at what it gets.
        let _late = tokio::time::timeout(wait, settled.wait_for(|settled| *settled >= until)).await;
        *self.settled.borrow()
    }

    /// Adds messages and moves to `position`, which lies past all of them.
    pub(crate) fn extend(&self, messages: impl IntoIterator<Item = Arc<Held>>, position: u64) {
        let mut state = self.state.lock();
        state.messages.extend(messages);
        state.position = position;
        drop(state);
        self.moved.notify_waiters();
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
            position: state.position,
            messages: state.messages.range(first..).cloned().collect(),
        }
    }

    /// Waits until the position reaches `until`, at most `wait`.
    pub(crate) async fn reach(&self, until: u64, wait: Duration) {
        let reached = async {
            loop {
                let mut moved = std::pin::pin!(self.moved.notified());
                // Before the look, so that no move falls between the two.
                moved.as_mut().enable();
                if self.state.lock().position >= until {
                    return;
                }
                moved.await;
            }
        };
        // Late is no error here: the caller looks at the position that it gets.
        let _late = tokio::time::timeout(wait, reached).await;
    }
}
