//! Each tenant's share of what runs at a time: who asks for much waits for its own, not others for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loglake_model::{Fault, FaultCode, TenantName};
use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Queries of a tenant that may wait for its turns, for each that may run.
const WAITING_PER_TURN: usize = 4;
/// How long they wait at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tenants that are known before those with nothing under way are forgotten.
const KNOWN: usize = 1_024;

/// Who has turns, by tenant.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<TenantName, Arc<Shares>>>);

#[derive(Debug)]
struct Shares {
    free: Arc<Semaphore>,
    /// How many turns there are; it follows the limit.
    size: Mutex<usize>,
    waiting: AtomicUsize,
}

/// The right to run, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    /// Keeps the tenant known.
    _shares: Arc<Shares>,
}

impl Turns {
    /// Waits for a turn of `tenant`, of which `most` may run at a time.
    ///
    /// # Errors
    /// `rate_limited` when none came in time, or too many wait already.
    pub async fn take(&self, tenant: &TenantName, most: u64, deadline: Instant) -> Result<Turn, Fault> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let shares = self.shares(tenant, most);
        if let Ok(permit) = Arc::clone(&shares.free).try_acquire_owned() {
            return Ok(Turn { _permit: permit, _shares: shares });
        }
        let waiting = Waiting::new(&shares.waiting);
        let now = waiting.count;
        let over = || {
            let message = format!("the tenant may run {most} queries at a time, and more are waiting: slow down");
            Fault::new(FaultCode::RateLimited, "", message).with_limit(most as u64, (most + now) as u64)
        };
        if now > most.saturating_mul(WAITING_PER_TURN) {
            return Err(over());
        }
        let until = deadline.min(Instant::now() + PATIENCE);
        match timeout_at(until, Arc::clone(&shares.free).acquire_owned()).await {
            Ok(Ok(permit)) => {
                drop(waiting);
                Ok(Turn { _permit: permit, _shares: shares })
            }
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(over()),
        }
    }

    /// Waits for a turn of `tenant`, of which `most` may run at a time, however long that is: for pieces of work that are short.
    ///
    /// # Errors
    /// None: no tenant's turns are ever closed.
    pub async fn wait(&self, tenant: &TenantName, most: usize) -> Result<Turn, AcquireError> {
        self.wait_for(tenant, most, 1).await
    }

    /// The same for `count` of `most` at once.
    ///
    /// # Errors
    /// None: no tenant's turns are ever closed.
    pub async fn wait_for(&self, tenant: &TenantName, most: usize, count: u32) -> Result<Turn, AcquireError> {
        let shares = self.shares(tenant, most.clamp(1, Semaphore::MAX_PERMITS));
        let permit = Arc::clone(&shares.free).acquire_many_owned(count).await?;
        Ok(Turn { _permit: permit, _shares: shares })
    }

    fn shares(&self, tenant: &TenantName, most: usize) -> Arc<Shares> {
        let mut known = self.0.lock();
        if known.len() >= KNOWN && !known.contains_key(tenant) {
            known.retain(|_, shares| Arc::strong_count(shares) > 1);
        }
        let fresh = || {
            let (free, size) = (Arc::new(Semaphore::new(most)), Mutex::new(most));
            Arc::new(Shares { free, size, waiting: AtomicUsize::new(0) })
        };
        let shares = Arc::clone(known.entry(tenant.clone()).or_insert_with(fresh));
        drop(known);
        let mut size = shares.size.lock();
        if *size < most {
            shares.free.add_permits(most - *size);
            *size = most;
        } else if *size > most {
            // What runs is not stopped: the rest goes as it ends.
            *size -= shares.free.forget_permits(*size - most);
        }
        drop(size);
        shares
    }
}

/// Counts who waits.
struct Waiting<'a> {
    counter: &'a AtomicUsize,
    count: usize,
}

impl<'a> Waiting<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        Self { counter, count: counter.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TenantName {
        TenantName::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_waits_for_itself_alone_and_then_is_told_to_slow_down() {
        let (turns, deadline) = (Turns::default(), Instant::now() + Duration::from_secs(60));
        let first = turns.take(&name("noisy"), 2, deadline).await.unwrap();
        let _second = turns.take(&name("noisy"), 2, deadline).await.unwrap();
        let began = Instant::now();
        let over = turns.take(&name("noisy"), 2, deadline).await.unwrap_err();
        assert_eq!((over.code, over.limit, over.actual), (FaultCode::RateLimited, Some(2), Some(3)));
        assert_eq!(began.elapsed(), PATIENCE);
        turns.take(&name("quiet"), 2, deadline).await.unwrap();
        drop(first);
        turns.take(&name("noisy"), 2, deadline).await.unwrap();
        // More wait than may: these do not.
        let _third = turns.take(&name("noisy"), 2, deadline).await.unwrap();
        let tenant = name("noisy");
        let many = (0..9).map(|_| turns.take(&tenant, 2, deadline));
        let began = Instant::now();
        let refused = futures_util::future::select_ok(many.map(|take| {
            Box::pin(async move {
                match take.await {
                    Ok(_) => Err(()),
                    Err(fault) => Ok(fault),
                }
            })
        }));
        let (fault, _) = refused.await.unwrap();
        assert_eq!((fault.actual, began.elapsed()), (Some(2 + 9), Duration::ZERO));
    }

    #[tokio::test]
    async fn in_the_line_for_a_core_one_tenant_is_not_before_all_others() {
        let turns = Arc::new(Turns::default());
        let held = [turns.wait(&name("noisy"), 2).await.unwrap(), turns.wait(&name("noisy"), 2).await.unwrap()];
        let late = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.wait(&name("noisy"), 2).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!late.is_finished());
        turns.wait(&name("quiet"), 2).await.unwrap();
        drop(held);
        late.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn another_limit_holds_from_the_next_query_on() {
        let (turns, deadline) = (Turns::default(), Instant::now() + Duration::from_secs(1));
        let many: Vec<Turn> = {
            let mut many = Vec::new();
            for _ in 0..3 {
                many.push(turns.take(&name("acme"), 3, deadline).await.unwrap());
            }
            many
        };
        assert!(turns.take(&name("acme"), 3, deadline).await.is_err());
        let more = turns.take(&name("acme"), 4, deadline).await.unwrap();
        drop((many, more));
        let one = turns.take(&name("acme"), 1, Instant::now() + PATIENCE).await.unwrap();
        assert!(turns.take(&name("acme"), 1, Instant::now()).await.is_err());
        drop(one);
    }
}
