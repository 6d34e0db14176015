use std::collections::HashMap;
use std::sync::Arc;

use loglake_model::TenantName;
use parking_lot::Mutex;

use super::names::Remembered;
use super::quota::{Counted, Quota, rate};
use super::{Limit, Taken, TenantLimits};

/// Tenants that are counted each for itself; more share one count. So many tokens there are hardly, but in open mode everybody
/// names tenants as they like.
const MAX_TENANTS: usize = 100_000;
/// How long after the start new services are learned: all are new then.
const LEARNING_NS: i64 = 300_000_000_000;
/// Tenants whose stored bytes are asked for at once.
const MAX_ASKED: usize = 10_000;
/// A tenant that asked for nothing for so long is not told about any more.
const QUIET_NS: i64 = 30_000_000_000;

/// What the tenants have taken of their limits in this process.
#[derive(Debug)]
pub struct Quotas {
    limits: TenantLimits,
    started_ns: i64,
    tenants: Mutex<Tenants>,
    remembered: Arc<Remembered>,
    /// For tenants past [`MAX_TENANTS`].
    others: Arc<Counted>,
}

#[derive(Debug)]
struct Tenants {
    counted: HashMap<TenantName, Arc<Counted>>,
    /// How many there may be before idle ones are looked for.
    sweep_at: usize,
}

impl Quotas {
    /// Begins to count at `now_ns`.
    #[must_use]
    pub fn new(limits: TenantLimits, now_ns: i64) -> Self {
        let tenants = Mutex::new(Tenants { counted: HashMap::new(), sweep_at: 1_024 });
        Self { limits, started_ns: now_ns, tenants, remembered: Arc::default(), others: Arc::default() }
    }

    /// The quota of `tenant`, with the limits of this moment.
    #[must_use]
    pub fn of(&self, tenant: &TenantName, now_ns: i64) -> Quota {
        let is_learning = (0..LEARNING_NS).contains(&now_ns.saturating_sub(self.started_ns));
        let (limits, remembered) = (self.limits.of(tenant), Arc::clone(&self.remembered));
        Quota { limits, counted: self.counted(tenant, now_ns), remembered, is_learning }
    }

    fn counted(&self, tenant: &TenantName, now_ns: i64) -> Arc<Counted> {
        let mut tenants = self.tenants.lock();
        if let Some(counted) = tenants.counted.get(tenant) {
            return Arc::clone(counted);
        }
        if tenants.counted.len() >= tenants.sweep_at {
            tenants.counted.retain(|tenant, counted| !self.is_idle(tenant, counted, now_ns));
            tenants.sweep_at = (2 * tenants.counted.len()).clamp(1_024, MAX_TENANTS);
        }
        if tenants.counted.len() >= MAX_TENANTS {
            return Arc::clone(&self.others);
        }
        let counted = Arc::<Counted>::default();
        tenants.counted.insert(tenant.clone(), Arc::clone(&counted));
        counted
    }

    /// Whether nothing would be lost by forgetting what was counted; then its names are forgotten already.
    fn is_idle(&self, tenant: &TenantName, counted: &Arc<Counted>, now_ns: i64) -> bool {
        if Arc::strong_count(counted) > 1 {
            return false;
        }
        let limits = self.limits.of(tenant);
        let mut rates = counted.rates.lock();
        let is_full = rate(&limits, Limit::IngestBytes).is_none_or(|rate| rates.bytes.is_full(now_ns, rate))
            && rate(&limits, Limit::IngestRecords).is_none_or(|rate| rates.records.is_full(now_ns, rate));
        let (mut services, mut windows) = (counted.services.lock(), counted.windows.lock());
        let is_quiet = now_ns.saturating_sub(rates.used_ns) >= QUIET_NS;
        let is_known = !counted.storage.lock().is_idle(now_ns);
        let is_idle = is_full && is_quiet && !is_known && services.is_idle(now_ns) && windows.is_idle(now_ns);
        if is_idle {
            services.clear(&self.remembered);
            windows.clear(&self.remembered);
        }
        is_idle
    }

    /// What was taken since the last call, of the tenants that have limited rates and asked for something of late.
    #[must_use]
    pub fn untold(&self, now_ns: i64) -> Vec<Taken> {
        let tenants: Vec<_> =
            self.tenants.lock().counted.iter().map(|(tenant, counted)| (tenant.clone(), Arc::clone(counted))).collect();
        let mut untold = Vec::new();
        for (tenant, counted) in tenants {
            let mut rates = counted.rates.lock();
            let [bytes, records] = std::mem::take(&mut rates.untold);
            let is_quiet = bytes == 0 && records == 0 && now_ns.saturating_sub(rates.used_ns) >= QUIET_NS;
            let is_limited = || {
                let limits = self.limits.of(&tenant);
                limits.most(Limit::IngestBytes).or(limits.most(Limit::IngestRecords)).is_some()
            };
            if is_quiet || !is_limited() {
                rates.sums = None;
            } else {
                untold.push(Taken { tenant, bytes, records });
            }
        }
        untold
    }

    /// Takes in the `sums` of all ingestors after what was `told` was added: what others took is missing here too.
    pub fn told(&self, told: &[Taken], sums: &[Taken], now_ns: i64) {
        for (own, sum) in told.iter().zip(sums) {
            let Some(counted) = self.tenants.lock().counted.get(&own.tenant).cloned() else { continue };
            let (limits, mut rates) = (self.limits.of(&own.tenant), counted.rates.lock());
            let former = rates.sums.replace([sum.bytes, sum.records]);
            // The first time nobody knows when the rest was taken; sums that fell began anew.
            let Some([bytes, records]) = former else { continue };
            let others = |former: u64, own: u64, sum: u64| sum.checked_sub(former).unwrap_or(sum).saturating_sub(own);
            if let Some(rate) = rate(&limits, Limit::IngestBytes) {
                rates.bytes.drain(others(bytes, own.bytes, sum.bytes), now_ns, rate);
            }
            if let Some(rate) = rate(&limits, Limit::IngestRecords) {
                rates.records.drain(others(records, own.records, sum.records), now_ns, rate);
            }
        }
    }

    /// The tenants whose stored bytes are to be asked for: they have such a limit, sent something of late, and the last answer is
    /// not of now. Those first whose answer is oldest, 10,000 at most.
    #[must_use]
    pub fn unknown_storage(&self, now_ns: i64) -> Vec<TenantName> {
        let tenants = self.tenants.lock();
        let due = |(tenant, counted): (&TenantName, &Arc<Counted>)| {
            Some((counted.storage.lock().due(now_ns)?, tenant.clone()))
        };
        let mut due: Vec<_> = tenants.counted.iter().filter_map(due).collect();
        drop(tenants);
        due.sort_unstable();
        due.truncate(MAX_ASKED);
        due.into_iter().map(|(_, tenant)| tenant).collect()
    }

    /// Takes in how many `bytes` are stored of each of `tenants`, or at least so many where the answer is not whole, as it was when
    /// it was asked at `asked_ns`.
    pub fn stored(&self, tenants: &[TenantName], bytes: &[u64], is_whole: bool, asked_ns: i64) {
        for (tenant, bytes) in tenants.iter().zip(bytes) {
            let Some(counted) = self.tenants.lock().counted.get(tenant).cloned() else { continue };
            counted.storage.lock().told(*bytes, is_whole, asked_ns);
        }
    }

    /// Goes on alone: what others take is not known any more.
    pub fn alone(&self) {
        for counted in self.tenants.lock().counted.values() {
            counted.rates.lock().sums = None;
        }
    }
}

#[cfg(test)]
mod tests;
