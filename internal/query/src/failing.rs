use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long an owner that did not answer is passed over.
const PASSED_OVER: Duration = Duration::from_secs(5);
/// Addresses remembered; past it all are forgotten.
const MAX_ADDRESSES: usize = 1_000;

/// Owners that did not answer a moment ago. They are passed over for a while, and the broker is read at once, so that of all
/// queries in that while only one waits for an owner that is stalled, or lies behind a network that swallows everything.
#[derive(Debug, Default)]
pub(crate) struct Failing(Mutex<HashMap<String, Instant>>);

impl Failing {
    /// Whether to ask the owner at `address`. When its time is over one caller is told yes, to try it; the others go on passing it
    /// over until that one has said what came of it.
    pub(crate) fn may_ask(&self, address: &str) -> bool {
        let mut until = self.0.lock();
        let now = Instant::now();
        match until.get_mut(address) {
            Some(at) if now < *at => false,
            Some(at) => {
                *at = now + PASSED_OVER;
                true
            }
            None => true,
        }
    }

    /// The owner at `address` did not answer in time, or cannot be reached.
    pub(crate) fn failed(&self, address: &str) {
        let mut until = self.0.lock();
        if until.len() >= MAX_ADDRESSES && !until.contains_key(address) {
            until.clear();
        }
        until.insert(address.to_owned(), Instant::now() + PASSED_OVER);
    }

    /// The owner at `address` answered.
    pub(crate) fn answered(&self, address: &str) {
        self.0.lock().remove(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failing_owner_is_tried_by_one_caller_at_a_time() {
        let failing = Failing::default();
        assert!(failing.may_ask("a") && failing.may_ask("a"));
        failing.failed("a");
        assert!(!failing.may_ask("a") && failing.may_ask("b"));
        tokio::time::advance(PASSED_OVER).await;
        assert!(failing.may_ask("a"), "one tries it");
        assert!(!failing.may_ask("a"), "the others wait for what comes of it");
        failing.answered("a");
        assert!(failing.may_ask("a") && failing.may_ask("a"));
    }

    #[tokio::test]
    async fn no_more_is_remembered_than_it_says() {
        let failing = Failing::default();
        (0..3 * MAX_ADDRESSES).for_each(|number| failing.failed(&number.to_string()));
        assert!(failing.0.lock().len() <= MAX_ADDRESSES);
    }
}
