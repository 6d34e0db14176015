use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::bucket::{Bucket, Rate, Short};
use super::{Limit, Over};

/// A service that sent nothing for so long is not active any more.
const SERVICE_NS: i64 = HOUR_NS as i64;
/// The same of an hour of event time: long enough for a processor to have flushed it.
const WINDOW_NS: i64 = 600_000_000_000;
const HOUR_NS: u64 = 3_600_000_000_000;
/// How often, at most, those are looked for: each time costs a walk over all.
const SWEEP_NS: i64 = 5_000_000_000;
/// Services and windows that a process remembers, of all tenants: some 32 bytes each. Past it more are let in without being remembered.
const MAX_REMEMBERED: usize = 2_000_000;

/// The active services of one tenant, or its open windows, by hashes: 16 bytes each, whatever they are called.
#[derive(Debug)]
pub(super) struct Names {
    limit: Limit,
    /// How long one stays active that is not seen again.
    active_ns: i64,
    /// When each was seen last.
    seen: HashMap<u64, i64>,
    fresh: Bucket,
    swept_ns: i64,
    /// Before then no place becomes free.
    free_ns: i64,
}

/// What the names of all tenants share.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Seeded anew in each process: nobody can choose names that fall together.
    hasher: RandomState,
    count: AtomicUsize,
}

impl Names {
    pub(super) fn services() -> Self {
        Self::new(Limit::Services, SERVICE_NS)
    }

    pub(super) fn windows() -> Self {
        Self::new(Limit::Windows, WINDOW_NS)
    }

    fn new(limit: Limit, active_ns: i64) -> Self {
        let (seen, fresh) = (HashMap::new(), Bucket::default());
        Self { limit, active_ns, seen, fresh, swept_ns: i64::MIN, free_ns: 0 }
    }

    /// Lets `name` in if it is active already, or may become so; `fresh`: how many may within an hour.
    pub(super) fn admit(
        &mut self,
        all: &Remembered,
        name: impl Hash,
        now_ns: i64,
        most: Option<u64>,
        fresh: Option<u64>,
    ) -> Result<(), Over> {
        if most.is_none() && fresh.is_none() {
            return Ok(());
        }
        let hash = all.hasher.hash_one(name);
        if let Some(seen_ns) = self.seen.get_mut(&hash)
            && now_ns.saturating_sub(*seen_ns) < self.active_ns
        {
            *seen_ns = now_ns.max(*seen_ns);
            return Ok(());
        }
        if let Some(most) = most
            && self.seen.len() as u64 >= most
        {
            self.sweep(all, now_ns);
            if self.seen.len() as u64 >= most {
                let wait_ns = self.free_ns.saturating_sub(now_ns).max(SWEEP_NS);
                return Err(Over::after(self.limit, most, self.seen.len() as u64 + 1, wait_ns.unsigned_abs()));
            }
        }
        if let Some(fresh) = fresh {
            let rate = Rate { amount: fresh, span_ns: HOUR_NS, burst: fresh };
            match self.fresh.take_within(1, now_ns, rate, std::time::Duration::ZERO) {
                Ok(_) => {}
                Err(Short::Until(wait)) => {
                    let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
                    return Err(Over::after(Limit::NewServices, fresh, self.fresh.pace(1, rate), wait_ns));
                }
                // A burst has at least one.
                Err(Short::Never) => return Err(Over::after(Limit::NewServices, fresh, fresh + 1, HOUR_NS)),
            }
        }
        if all.count.load(Ordering::Relaxed) >= MAX_REMEMBERED {
            self.sweep(all, now_ns);
        }
        if all.count.load(Ordering::Relaxed) < MAX_REMEMBERED && self.seen.insert(hash, now_ns).is_none() {
            all.count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Forgets those that are not active any more.
    fn sweep(&mut self, all: &Remembered, now_ns: i64) {
        if (0..SWEEP_NS).contains(&now_ns.saturating_sub(self.swept_ns)) {
            return;
        }
        let (before, mut oldest_ns) = (self.seen.len(), now_ns);
        self.seen.retain(|_, seen_ns| {
            let is_active = now_ns.saturating_sub(*seen_ns) < self.active_ns;
            if is_active {
                oldest_ns = oldest_ns.min(*seen_ns);
            }
            is_active
        });
        all.count.fetch_sub(before - self.seen.len(), Ordering::Relaxed);
        (self.swept_ns, self.free_ns) = (now_ns, oldest_ns.saturating_add(self.active_ns));
    }

    /// Forgets all.
    pub(super) fn clear(&mut self, all: &Remembered) {
        all.count.fetch_sub(self.seen.len(), Ordering::Relaxed);
        self.seen = HashMap::new();
    }

    /// Whether none is active.
    pub(super) fn is_idle(&self, now_ns: i64) -> bool {
        self.seen.values().all(|seen_ns| now_ns.saturating_sub(*seen_ns) >= self.active_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000_000;

    #[test]
    fn a_million_names_leave_the_known_ones_in_and_memory_as_it_is() {
        let (mut names, all, most) = (Names::services(), Remembered::default(), Some(100));
        for n in 0..10 {
            names.admit(&all, format!("known-{n}"), NOW, most, None).unwrap();
        }
        let let_in = (0..1_000_000).filter(|n| names.admit(&all, format!("x{n}"), NOW, most, None).is_ok()).count();
        assert_eq!((let_in, names.seen.len(), all.count.load(Ordering::Relaxed)), (90, 100, 100));
        assert!(names.seen.capacity() < 1_000);
        for n in 0..10 {
            names.admit(&all, format!("known-{n}"), NOW + SERVICE_NS - 1, most, None).unwrap();
        }
        let over = names.admit(&all, "late", NOW + SERVICE_NS / 2, most, None).unwrap_err();
        assert_eq!((over.limit, over.most, over.actual), (Limit::Services, 100, 101));
        // What did not come again for an hour makes room; what did is still known.
        names.admit(&all, "late", NOW + SERVICE_NS + SWEEP_NS, most, None).unwrap();
        assert_eq!(names.seen.len(), 11);
        names.clear(&all);
        assert_eq!(all.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn so_many_new_ones_an_hour_but_for_what_is_learned_after_a_start() {
        let (mut names, all, fresh) = (Names::services(), Remembered::default(), Some(2));
        for n in 0..5 {
            names.admit(&all, format!("old-{n}"), NOW, Some(1_000), None).unwrap();
        }
        for n in 0..2 {
            names.admit(&all, format!("new-{n}"), NOW, Some(1_000), fresh).unwrap();
        }
        let over = names.admit(&all, "third", NOW, Some(1_000), fresh).unwrap_err();
        assert_eq!((over.limit, over.most), (Limit::NewServices, 2));
        let wait = over.wait.unwrap();
        assert_eq!(wait, std::time::Duration::from_secs(1_800));
        names.admit(&all, "old-3", NOW, Some(1_000), fresh).unwrap();
        let then_ns = NOW + i64::try_from(wait.as_nanos()).unwrap();
        names.admit(&all, "third", then_ns, Some(1_000), fresh).unwrap();
    }
}
