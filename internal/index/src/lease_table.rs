use std::collections::HashMap;
use std::time::Duration;

use crate::Lease;

/// Leases of one process, in memory.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    by_name: HashMap<String, Held>,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    /// When it ends, ns since the epoch. Kept past it: the next generation is higher.
    end_ns: i64,
}

impl LeaseTable {
    /// Takes, renews or, with `by_force`, seizes a lease.
    pub(crate) fn take(
        &mut self,
        name: &str,
        holder: &str,
        value: &str,
        ttl: Duration,
        now_ns: i64,
        by_force: bool,
    ) -> Lease {
        let before = self.by_name.get(name);
        let live = before.filter(|held| held.end_ns > now_ns);
        let generation = match (live, before) {
            (Some(held), _) if held.lease.holder == holder => held.lease.generation,
            (Some(held), _) if !by_force => return held.lease.clone(),
            (_, Some(held)) => held.lease.generation.saturating_add(1).max(first_generation(now_ns)),
            (_, None) => first_generation(now_ns),
        };
        let lease = Lease { holder: holder.to_owned(), value: value.to_owned(), generation };
        let end_ns = now_ns.saturating_add(i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX));
        self.by_name.insert(name.to_owned(), Held { lease: lease.clone(), end_ns });
        lease
    }

    /// Ends the lease, if `holder` has it.
    pub(crate) fn release(&mut self, name: &str, holder: &str) {
        if let Some(held) = self.by_name.get_mut(name).filter(|held| held.lease.holder == holder) {
            held.end_ns = i64::MIN;
        }
    }

    /// The lease as it is.
    pub(crate) fn get(&self, name: &str, now_ns: i64) -> Option<Lease> {
        self.by_name.get(name).filter(|held| held.end_ns > now_ns).map(|held| held.lease.clone())
    }
}

/// The first generation of a lease is the time in milliseconds, so that generations grow also over a restart that forgot
/// the earlier ones.
fn first_generation(now_ns: i64) -> u64 {
    u64::try_from(now_ns / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_nanos(10);

    #[test]
    fn a_lease_ends_by_the_clock_and_generations_grow() {
        let mut table = LeaseTable::default();
        let first = table.take("n", "a", "1", TTL, 0, false);
        assert_eq!(table.take("n", "b", "2", TTL, 9, false), first);
        assert_eq!(table.take("n", "a", "3", TTL, 9, false).generation, first.generation);
        assert_eq!(table.get("n", 18).unwrap().value, "3");
        assert_eq!(table.get("n", 19), None);
        let second = table.take("n", "b", "2", TTL, 19, false);
        assert!(second.holder == "b" && second.generation > first.generation);
        let third = table.take("n", "c", "4", TTL, 20, true);
        assert!(third.holder == "c" && third.generation > second.generation);
        table.release("n", "b");
        assert_eq!(table.get("n", 20), Some(third.clone()));
        table.release("n", "c");
        assert_eq!(table.get("n", 20), None);
        assert!(table.take("n", "c", "5", TTL, 20, false).generation > third.generation);
    }
}
