use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::RwLock;

use crate::Token;
use crate::limits::Overrides;

/// A token that is let in, and when it ends: later requests and open streams alike see it end earlier than it was made for.
#[derive(Debug)]
pub(crate) struct LiveToken {
    pub(crate) token: Token,
    ends_ns: AtomicI64,
}

impl LiveToken {
    pub(crate) fn new(token: Token) -> Self {
        let ends_ns = AtomicI64::new(token.expires_ns.unwrap_or(i64::MAX));
        Self { token, ends_ns }
    }

    pub(crate) fn is_alive(&self, now_ns: i64) -> bool {
        now_ns < self.ends_ns.load(Ordering::Acquire)
    }

    pub(super) fn end_at(&self, ends_ns: Option<i64>) {
        self.ends_ns.store(ends_ns.unwrap_or(i64::MAX), Ordering::Release);
    }
}

/// What holds for all credentials of a tenant.
#[derive(Debug, Default)]
pub(crate) struct LiveTenant {
    is_suspended: AtomicBool,
    limits: RwLock<Arc<Overrides>>,
}

impl LiveTenant {
    pub(crate) fn is_suspended(&self) -> bool {
        self.is_suspended.load(Ordering::Acquire)
    }

    pub(super) fn suspend(&self, is_suspended: bool) {
        self.is_suspended.store(is_suspended, Ordering::Release);
    }

    pub(crate) fn limits(&self) -> Arc<Overrides> {
        Arc::clone(&self.limits.read())
    }

    pub(super) fn limit(&self, limits: &Overrides) {
        if **self.limits.read() != *limits {
            *self.limits.write() = Arc::new(limits.clone());
        }
    }
}
