use std::collections::VecDeque;

use crate::Batch;

/// The batches without a final result, in the order of their numbers, which have no holes.
///
/// A batch leaves only when all before it have left: a session that is resumed starts at a number without a result and goes
/// on from there one by one, over the answered ones too.
#[derive(Debug)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: u64,
    /// How many slots, from the front, were sent over this connection.
    sent: usize,
}

#[derive(Debug)]
struct Slot {
    batch: Batch,
    state: State,
    /// An earlier connection may have delivered it, or some of it.
    is_doubtful: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    InFlight,
    /// The server said to send it again.
    Failed,
    Done,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { slots: VecDeque::new(), first: 1, sent: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The lowest number without a final result, or the next one: below it nothing is sent again.
    pub(super) fn oldest(&self) -> u64 {
        self.first
    }

    /// Whether batches wait to be sent over this connection.
    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.slots.len()
    }

    fn in_flight(&self) -> impl Iterator<Item = &Batch> {
        self.slots.iter().filter(|slot| slot.state == State::InFlight).map(|slot| &slot.batch)
    }

    /// Whether results are awaited.
    pub(super) fn is_waiting(&self) -> bool {
        self.in_flight().next().is_some()
    }

    /// Bytes that were sent over this connection and have no result.
    pub(super) fn in_flight_bytes(&self) -> u64 {
        self.in_flight().map(Batch::bytes).sum()
    }

    /// Records of all batches without a final result.
    pub(super) fn unanswered_records(&self) -> u64 {
        self.slots.iter().filter(|slot| slot.state != State::Done).map(|slot| slot.batch.records()).sum()
    }

    pub(super) fn push(&mut self, batch: Batch) {
        self.slots.push_back(Slot { batch, state: State::Waiting, is_doubtful: false });
    }

    /// The next batch to send, and its number.
    pub(super) fn next_unsent(&self) -> Option<(u64, &Batch)> {
        self.slots.get(self.sent).map(|slot| (self.first + self.sent as u64, &slot.batch))
    }

    /// Says that [`Window::next_unsent`] was sent. Returns how many records of it the server may now hold twice: an earlier
    /// connection may have delivered them, and no resumed session tells the server so.
    pub(super) fn mark_sent(&mut self, is_resumed: bool) -> u64 {
        let Some(slot) = self.slots.get_mut(self.sent) else { return 0 };
        self.sent += 1;
        if slot.state == State::Done {
            return 0;
        }
        slot.state = State::InFlight;
        if std::mem::take(&mut slot.is_doubtful) && !is_resumed { slot.batch.records() } else { 0 }
    }

    /// The batch that awaits a result under `number`; `None` when none does.
    pub(super) fn awaiting(&self, number: u64) -> Option<&Batch> {
        self.place(number)
            .and_then(|at| self.slots.get(at))
            .filter(|slot| slot.state == State::InFlight)
            .map(|slot| &slot.batch)
    }

    /// Whether `number` has had its result, so that another one for it is no news.
    pub(super) fn is_answered(&self, number: u64) -> bool {
        let slot = self.place(number).and_then(|at| self.slots.get(at));
        (1..self.first).contains(&number) || slot.is_some_and(|slot| slot.state != State::InFlight)
    }

    fn place(&self, number: u64) -> Option<usize> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (at < self.sent).then_some(at)
    }

    /// Takes the result of `number` as final.
    pub(super) fn complete(&mut self, number: u64) {
        let Some(slot) = self.place(number).and_then(|at| self.slots.get_mut(at)) else { return };
        slot.state = State::Done;
        while self.sent > 0 && self.slots.front().is_some_and(|slot| slot.state == State::Done) {
            self.slots.pop_front();
            self.first += 1;
            self.sent -= 1;
        }
    }

    /// Takes `number` as not delivered, for a reason that the server gave: it goes out again with the next connection.
    /// `is_partial`: some of its records are durable already.
    pub(super) fn fail(&mut self, number: u64, is_partial: bool) {
        if let Some(slot) = self.place(number).and_then(|at| self.slots.get_mut(at)) {
            slot.state = State::Failed;
            slot.is_doubtful |= is_partial;
        }
    }

    /// The connection is gone: what has no result is to be sent again.
    pub(super) fn disconnect(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.state != State::Done) {
            slot.is_doubtful |= slot.state == State::InFlight;
            slot.state = State::Waiting;
        }
        self.sent = 0;
    }

    /// A new connection stands. In a resumed session the numbers stay; else the answered batches leave and the rest is numbered
    /// from 1 again.
    pub(super) fn connect(&mut self, is_resumed: bool) {
        if !is_resumed {
            self.slots.retain(|slot| slot.state != State::Done);
            self.first = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use loglake_api::ingest::v1::LogRecord;

    use super::*;
    use crate::BatchBuilder;

    fn window(batches: usize) -> Window {
        let mut window = Window::new();
        window.connect(false);
        for place in 0..batches {
            window.push(BatchBuilder::new("o", 1, 1_000).push(&LogRecord::default(), place as u64).unwrap());
        }
        window
    }

    fn send_all(window: &mut Window, is_resumed: bool) -> (Vec<u64>, u64) {
        let (mut numbers, mut doubtful) = (Vec::new(), 0);
        while let Some((number, _)) = window.next_unsent() {
            numbers.push(number);
            doubtful += window.mark_sent(is_resumed);
        }
        (numbers, doubtful)
    }

    #[test]
    fn a_resumed_session_sends_from_the_first_number_without_a_result() {
        let mut window = window(4);
        assert_eq!(send_all(&mut window, false), (vec![1, 2, 3, 4], 0));
        window.complete(1);
        window.complete(3);
        assert_eq!(window.unanswered_records(), 2);
        window.disconnect();
        window.connect(true);
        assert_eq!(send_all(&mut window, true), (vec![2, 3, 4], 0), "no holes in the numbers, nothing doubtful");
        assert!(
            window.awaiting(3).is_none() && window.is_answered(3) && window.is_answered(1) && !window.is_answered(5)
        );
        assert!(window.awaiting(2).is_some());
        window.complete(2);
        window.complete(4);
        assert!(window.is_empty() && !window.is_waiting());
    }

    #[test]
    fn without_a_session_only_the_unanswered_go_out_again_and_are_counted_as_doubtful() {
        let mut window = window(4);
        send_all(&mut window, false);
        window.complete(2);
        window.fail(3, false);
        assert_eq!(window.len(), 4);
        window.disconnect();
        window.connect(false);
        // 1 and 4 may have arrived; 3 was said not to have.
        assert_eq!(send_all(&mut window, false), (vec![1, 2, 3], 2));
        assert_eq!(window.awaiting(2).unwrap().places, [2]);
        for number in 1..=3 {
            window.complete(number);
        }
        assert!(window.is_empty());
    }
}
