use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, futures::Notified};

/// The memory that all partitions share: their messages, flushed or not, and what flushes make of them. Clones share it.
///
/// When it gets tight, flushed messages go first; then the partitions with the most waiting are flushed; when it is full,
/// consuming pauses.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    books: Arc<Books>,
}

#[derive(Debug)]
struct Books {
    limit: u64,
    used: AtomicU64,
    /// What of it waits for a flush that has not begun.
    waiting: AtomicU64,
    /// How many partitions share it.
    sharers: AtomicU64,
    /// There is room again.
    freed: Notify,
}

/// A part of the budget that is in use; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Charge {
    books: Arc<Books>,
    bytes: u64,
}

/// What one partition has waiting for its next flush.
#[derive(Debug)]
pub(crate) struct Waiting {
    books: Arc<Books>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        let books = Books {
            limit,
            used: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            sharers: AtomicU64::new(0),
            freed: Notify::new(),
        };
        Self { books: Arc::new(books) }
    }

    /// Takes `bytes`. Never refuses: what was fetched is there; [`Budget::is_full`] keeps more from being fetched.
    pub(crate) fn charge(&self, bytes: u64) -> Charge {
        self.books.used.fetch_add(bytes, Ordering::Relaxed);
        Charge { books: Arc::clone(&self.books), bytes }
    }

    /// Another partition shares the budget, until what it gets is dropped.
    pub(crate) fn share(&self) -> Waiting {
        self.books.sharers.fetch_add(1, Ordering::Relaxed);
        Waiting { books: Arc::clone(&self.books), bytes: 0 }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.books.used.load(Ordering::Relaxed)
    }

    /// Nothing more may be fetched.
    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.books.limit
    }

    /// Time to forget what is only kept in case somebody asks.
    pub(crate) fn is_tight(&self) -> bool {
        self.used() >= self.books.limit / 4 * 3
    }

    /// Told when the budget is no longer full. Look whether it is only after this is enabled.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.books.freed.notified()
    }
}

impl Charge {
    /// How much it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let books = &self.books;
        let before = books.used.fetch_sub(self.bytes, Ordering::Relaxed);
        if before >= books.limit && before - self.bytes < books.limit {
            books.freed.notify_waiters();
        }
    }
}

impl Waiting {
    /// Adds what came in.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.books.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Nothing waits any more: a flush has it now.
    pub(crate) fn clear(&mut self) {
        self.books.waiting.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }

    /// Time to flush this partition early: half of the budget waits, and no less of it here than on average. What is being
    /// flushed is on its way out already; more flushes would only make smaller chunks.
    pub(crate) fn is_due(&self) -> bool {
        let waiting = self.books.waiting.load(Ordering::Relaxed);
        let sharers = self.books.sharers.load(Ordering::Relaxed);
        waiting >= self.books.limit / 2 && self.bytes.saturating_mul(sharers) >= waiting
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
        self.books.sharers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Budget::new(100);
        let most = budget.charge(75);
        assert!(budget.is_tight() && !budget.is_full());
        let rest = budget.charge(25);
        assert!(budget.is_full());
        drop((most, rest));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_largest_is_due_when_half_of_the_budget_waits_and_the_others_are_not() {
        let budget = Budget::new(100);
        let [mut large, mut middle, mut small] = std::array::from_fn(|_| budget.share());
        large.add(25);
        middle.add(16);
        small.add(8);
        assert!(![&large, &middle, &small].iter().any(|share| share.is_due()), "49 of 100");
        small.add(1);
        assert!(large.is_due() && !middle.is_due() && !small.is_due());
        large.clear();
        assert!(![&large, &middle, &small].iter().any(|share| share.is_due()), "25 of 100");
        middle.add(50);
        drop((large, small));
        assert!(middle.is_due(), "alone it is the largest");
    }

    #[tokio::test]
    async fn who_waits_is_told_when_the_budget_is_no_longer_full() {
        let budget = Budget::new(100);
        let (first, second) = (budget.charge(60), budget.charge(60));
        let mut freed = std::pin::pin!(budget.freed());
        freed.as_mut().enable();
        assert!(budget.is_full());
        drop(first);
        freed.await;
        assert!(!budget.is_full());
        drop(second);
    }
}
