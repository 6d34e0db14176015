use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::letter::Letter;

/// How many batches a session has without a result, those included whose result is taken as not heard.
const MOST: usize = 4;
/// How far the next number may lie above the oldest; the server allows 255.
const WINDOW: u64 = 200;

/// The batches of a session that have no result yet, by number.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    batches: BTreeMap<u64, Batch>,
    last: u64,
}

#[derive(Debug)]
struct Batch {
    letter: Letter,
    /// When it is to be sent; `None` while it is on the way.
    due: Option<Instant>,
    /// A result came.
    is_heard: bool,
}

impl Outstanding {
    /// How many numbers were given.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The lowest number without a result.
    pub(super) fn oldest(&self) -> u64 {
        self.batches.keys().next().copied().unwrap_or(self.last + 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.batches.len() < MOST && self.last + 1 - self.oldest() < WINDOW
    }

    /// Whether any is on the way.
    pub(super) fn is_any_on_the_way(&self) -> bool {
        self.batches.values().any(|batch| batch.due.is_none())
    }

    /// Gives `letter` the next number; it is to be sent at once.
    pub(super) fn add(&mut self, letter: Letter) {
        self.last += 1;
        self.batches.insert(self.last, Batch { letter, due: Some(Instant::now()), is_heard: false });
    }

    /// All are to be sent again: the stream broke.
    pub(super) fn rewind(&mut self) {
        for batch in self.batches.values_mut() {
            batch.due = Some(Instant::now());
        }
    }

    /// The lowest that is to be sent now, which is on the way from then on.
    pub(super) fn take_due(&mut self) -> Option<(u64, &Letter)> {
        let now = Instant::now();
        let is_due = |batch: &Batch| batch.due.is_some_and(|due| due <= now);
        let (number, batch) = self.batches.iter_mut().find(|(_, batch)| is_due(batch))?;
        batch.due = None;
        Some((*number, &batch.letter))
    }

    /// What has the number, if it has no result yet.
    pub(super) fn get(&self, number: u64) -> Option<&Letter> {
        self.batches.get(&number).map(|batch| &batch.letter)
    }

    /// It has a result.
    pub(super) fn remove(&mut self, number: u64) {
        self.batches.remove(&number);
    }

    /// It is sent again after `wait`: it has to be.
    pub(super) fn again(&mut self, number: u64, wait: Duration) {
        if let Some(batch) = self.batches.get_mut(&number) {
            batch.due = Some(Instant::now() + wait);
        }
    }

    /// Its result is taken as not heard, so that it is sent again after `wait`; once only. Returns whether it is.
    pub(super) fn mishear(&mut self, number: u64, wait: Duration) -> bool {
        let Some(batch) = self.batches.get_mut(&number).filter(|batch| !batch.is_heard) else { return false };
        batch.is_heard = true;
        batch.due = Some(Instant::now() + wait);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outstanding(count: usize) -> Outstanding {
        let mut all = Outstanding::default();
        for _ in 0..count {
            all.add(Letter { records: Vec::new(), key: None });
        }
        all
    }

    fn due(all: &mut Outstanding) -> Vec<u64> {
        std::iter::from_fn(|| all.take_due().map(|(number, _)| number)).collect()
    }

    #[test]
    fn what_has_no_result_is_sent_again_on_the_next_stream() {
        let mut all = outstanding(3);
        assert_eq!(due(&mut all), [1, 2, 3]);
        all.remove(2);
        assert_eq!((all.oldest(), due(&mut all)), (1, vec![]));
        all.rewind();
        assert_eq!(due(&mut all), [1, 3]);
        all.remove(1);
        all.remove(3);
        assert_eq!((all.oldest(), all.is_empty()), (4, true));
    }

    #[test]
    fn a_result_is_misheard_once() {
        let mut all = outstanding(1);
        assert_eq!(due(&mut all), [1]);
        assert!(all.mishear(1, Duration::ZERO));
        assert_eq!(due(&mut all), [1]);
        assert!(!all.mishear(1, Duration::ZERO));
    }

    #[test]
    fn the_window_is_kept() {
        let mut all = outstanding(1);
        for _ in 1..WINDOW {
            assert!(all.has_room());
            all.add(Letter { records: Vec::new(), key: None });
            all.remove(all.last());
        }
        assert_eq!((all.oldest(), all.last()), (1, WINDOW));
        assert!(!all.has_room());
    }
}
