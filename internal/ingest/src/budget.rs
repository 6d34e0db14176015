use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that may be in flight at a time. Clones share it. Whoever waits is served in turn.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    total: u32,
    gauge: Option<IntGauge>,
}

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    permit: Option<OwnedSemaphorePermit>,
    budget: Budget,
}

impl Budget {
    /// Makes a budget of `total` bytes, shown in `gauge` as they are taken.
    pub(crate) fn new(total: usize, gauge: Option<IntGauge>) -> Self {
        let total = u32::try_from(total).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(total as usize)), total, gauge }
    }

    /// Takes nothing yet.
    pub(crate) fn nothing(&self) -> Held {
        Held { permit: None, budget: self.clone() }
    }

    /// Takes `bytes`, or all there are if that is less, as soon as they are free.
    pub(crate) async fn take(&self, bytes: usize) -> Held {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.free).acquire_many_owned(self.capped(bytes)).await.ok();
        self.show();
        Held { permit, budget: self.clone() }
    }

    /// Takes `bytes`, or all there are if that is less; `None` when they are not free now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Held> {
        let mut held = self.nothing();
        held.grow_to(bytes).then_some(held)
    }

    fn capped(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total)
    }

    fn show(&self) {
        if let Some(gauge) = &self.gauge {
            let taken = (self.total as usize).saturating_sub(self.free.available_permits());
            gauge.set(i64::try_from(taken).unwrap_or(i64::MAX));
        }
    }
}

impl Held {
    /// Takes as many more as make it `bytes` in all; takes none and says false when they are not free now.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let has = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = self.budget.capped(bytes) as usize;
        let Some(more) = wanted.checked_sub(has).filter(|more| *more > 0) else { return true };
        // Less than `total`, which fits.
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.budget.free).try_acquire_many_owned(more) else { return false };
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        self.budget.show();
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.budget.show();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_are_given_back_and_one_request_never_waits_for_more_than_there_are() {
        let gauge = IntGauge::new("bytes", "bytes").unwrap();
        let budget = Budget::new(100, Some(gauge.clone()));
        let mut first = budget.try_take(30).unwrap();
        assert!(first.grow_to(60) && gauge.get() == 60);
        assert!(first.grow_to(10) && gauge.get() == 60);
        assert!(budget.try_take(41).is_none());
        let other = budget.try_take(1).unwrap();
        assert!(!first.grow_to(1_000) && gauge.get() == 61, "all of it is wanted, but not all is free");
        drop(other);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(1_000).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let all = waiting.await.unwrap();
        assert_eq!(gauge.get(), 100);
        drop(all);
        assert_eq!(gauge.get(), 0);
    }
}
