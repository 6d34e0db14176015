use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The memory that all partitions' messages share. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    used: Arc<AtomicU64>,
    limit: u64,
}

/// A part of the budget that is in use; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Charge {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Takes `bytes`. Never refuses: what was fetched is there; [`Budget::is_full`] keeps more from being fetched.
    pub(crate) fn charge(&self, bytes: u64) -> Charge {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Charge { used: Arc::clone(&self.used), bytes }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Nothing more may be fetched.
    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.limit
    }

    /// Time to flush early.
    pub(crate) fn is_tight(&self) -> bool {
        self.used() >= self.limit / 4 * 3
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
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
}
