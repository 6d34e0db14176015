use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// A role's name and whether it can serve.
type Role = (&'static str, Arc<AtomicBool>);

/// Which roles of this process can serve. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<Role>>>);

/// One role's part of a [`Readiness`]; not ready until it says so.
#[derive(Clone, Debug)]
pub struct ReadyFlag(Arc<AtomicBool>);

impl Readiness {
    /// Adds `role`, not ready yet.
    #[must_use]
    pub fn role(&self, role: &'static str) -> ReadyFlag {
        let flag = Arc::new(AtomicBool::new(false));
        self.0.lock().push((role, Arc::clone(&flag)));
        ReadyFlag(flag)
    }

    /// The roles that cannot serve now; empty when all can.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        self.0.lock().iter().filter(|(_, ready)| !ready.load(Ordering::SeqCst)).map(|(role, _)| *role).collect()
    }
}

impl ReadyFlag {
    /// Says whether the role can serve.
    pub fn set(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::SeqCst);
    }
}
