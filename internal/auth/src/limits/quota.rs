use std::sync::Arc;
use std::time::Duration;

use loglake_model::{Fault, FaultCode};
use parking_lot::Mutex;

use super::bucket::{Bucket, Rate, Short};
use super::names::{Names, Remembered};
use super::storage::Storage;
use super::{Limit, Limits};

const SECOND_NS: u64 = 1_000_000_000;

/// Which limit was passed, and when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The limit.
    pub limit: Limit,
    /// Its value.
    pub most: u64,
    /// What it would have been.
    pub actual: u64,
    /// When the same may pass; `None` for never.
    pub wait: Option<Duration>,
}

impl Over {
    pub(super) fn after(limit: Limit, most: u64, actual: u64, wait_ns: u64) -> Self {
        Self { limit, most, actual, wait: Some(Duration::from_nanos(wait_ns)) }
    }

    /// The same as a fault: `rate_limited`, `quota_exceeded` for bytes at rest, or `too_large` for what never passes.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let Self { limit, most, actual, wait } = *self;
        let never = |what: &str| {
            format!(
                "this request has more {what} than the tenant may send at once, so it never passes: cut it into several"
            )
        };
        let (field, message) = match (limit, wait) {
            (Limit::IngestBytes, Some(_)) => ("", format!("the tenant may send {most} bytes a second: slow down")),
            (Limit::IngestBytes, None) => ("", never("bytes")),
            (Limit::IngestRecords, Some(_)) => ("", format!("the tenant may send {most} records a second: slow down")),
            (Limit::IngestRecords, None) => ("", never("records")),
            (Limit::Services, _) => {
                ("service", format!("the tenant may have {most} services within an hour: this one would be one more"))
            }
            (Limit::NewServices, _) => {
                ("service", format!("the tenant may bring {most} new services an hour: this one would be one more"))
            }
            (Limit::Windows, _) => (
                "timestamp",
                format!(
                    "the tenant may have records of {most} hours and services within ten minutes: send them more slowly, or \
                     in the order of their times"
                ),
            ),
            (Limit::StoredBytes, _) => (
                "",
                format!(
                    "the tenant may have {most} bytes stored and has {actual}: nothing more is taken until an operator raises \
                     its limit stored_bytes"
                ),
            ),
            (other, _) => ("", format!("the tenant's limit {} is {most}", other.as_str())),
        };
        let code = match (limit, wait) {
            (Limit::StoredBytes, _) => FaultCode::QuotaExceeded,
            (_, Some(_)) => FaultCode::RateLimited,
            (_, None) => FaultCode::TooLarge,
        };
        Fault::new(code, field, message).with_limit(most, actual)
    }
}

/// What is counted of a tenant in this process.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) rates: Mutex<Rates>,
    pub(super) services: Mutex<Names>,
    pub(super) windows: Mutex<Names>,
    pub(super) storage: Mutex<Storage>,
}

impl Default for Counted {
    fn default() -> Self {
        let (services, windows) = (Mutex::new(Names::services()), Mutex::new(Names::windows()));
        Self { rates: Mutex::default(), services, windows, storage: Mutex::default() }
    }
}

/// A tenant's rates.
#[derive(Debug, Default)]
pub(super) struct Rates {
    pub(super) bytes: Bucket,
    pub(super) records: Bucket,
    /// Taken here, and not told to others yet.
    pub(super) untold: [u64; 2],
    /// The sums of all ingestors, when they were told last.
    pub(super) sums: Option<[u64; 2]>,
    /// When it was asked last.
    pub(super) used_ns: i64,
}

/// A tenant's quota at the moment of one request.
#[derive(Clone, Debug)]
pub struct Quota {
    pub(super) limits: Limits,
    pub(super) counted: Arc<Counted>,
    pub(super) remembered: Arc<Remembered>,
    pub(super) is_learning: bool,
}

/// The rate of `limit`; `None` where it is unlimited.
pub(super) fn rate(limits: &Limits, limit: Limit) -> Option<Rate> {
    let amount = limits.most(limit)?;
    let burst = u128::from(amount) * u128::from(limits.get(Limit::IngestBurstMs)) / 1_000;
    Some(Rate { amount, span_ns: SECOND_NS, burst: u64::try_from(burst).unwrap_or(u64::MAX) })
}

impl Quota {
    /// The limits that hold.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether there is room for more at rest, as far as is known.
    ///
    /// # Errors
    /// The limit of stored bytes.
    pub fn has_room(&self, now_ns: i64) -> Result<(), Over> {
        self.counted.storage.lock().admit(&self.limits, now_ns)
    }

    /// Takes `bytes` and `records` of the rates, both or none, if they are there by `patience` and there is room at rest; returns how
    /// long to wait for them before going on.
    ///
    /// # Errors
    /// The limit of stored bytes, or the one that is in the way longest.
    pub fn take(&self, bytes: u64, records: u64, now_ns: i64, patience: Duration) -> Result<Duration, Over> {
        self.has_room(now_ns)?;
        let wanted = [(Limit::IngestBytes, bytes), (Limit::IngestRecords, records)];
        let mut state = self.counted.rates.lock();
        state.used_ns = now_ns;
        let (mut wait, mut over) = (Duration::ZERO, None::<Over>);
        for (limit, amount) in wanted {
            let Some(rate) = rate(&self.limits, limit) else { continue };
            let bucket = if limit == Limit::IngestBytes { &mut state.bytes } else { &mut state.records };
            let found = match bucket.look(amount, now_ns, rate) {
                Ok(until) if until <= patience => {
                    wait = wait.max(until);
                    continue;
                }
                Ok(until) => Over { limit, most: rate.amount, actual: bucket.pace(amount, rate), wait: Some(until) },
                Err(Short::Until(until)) => Over { limit, most: rate.amount, actual: amount, wait: Some(until) },
                Err(Short::Never) => Over { limit, most: rate.burst, actual: amount, wait: None },
            };
            // Never is longer than anything.
            let is_longer =
                over.is_none_or(|other| other.wait.is_some_and(|wait| found.wait.is_none_or(|it| it > wait)));
            if is_longer {
                over = Some(found);
            }
        }
        if let Some(over) = over {
            return Err(over);
        }
        if let Some(rate) = rate(&self.limits, Limit::IngestBytes) {
            state.bytes.take(bytes, rate);
        }
        if let Some(rate) = rate(&self.limits, Limit::IngestRecords) {
            state.records.take(records, rate);
        }
        state.untold[0] = state.untold[0].saturating_add(bytes);
        state.untold[1] = state.untold[1].saturating_add(records);
        Ok(wait)
    }

    /// Whether `bytes` would pass now.
    ///
    /// # Errors
    /// As [`Quota::take`].
    pub fn look(&self, bytes: u64, now_ns: i64) -> Result<(), Over> {
        self.take(bytes, 0, now_ns, Duration::ZERO)?;
        self.give_back(bytes, 0);
        Ok(())
    }

    /// Gives back what was taken for nothing.
    pub fn give_back(&self, bytes: u64, records: u64) {
        let mut state = self.counted.rates.lock();
        if let Some(rate) = rate(&self.limits, Limit::IngestBytes) {
            state.bytes.give_back(bytes, rate);
        }
        if let Some(rate) = rate(&self.limits, Limit::IngestRecords) {
            state.records.give_back(records, rate);
        }
        state.untold[0] = state.untold[0].saturating_sub(bytes);
        state.untold[1] = state.untold[1].saturating_sub(records);
    }

    /// Lets records of `service` in: one that is active already, or one that may become so.
    ///
    /// # Errors
    /// The limit of services, or of new ones.
    pub fn admit(&self, service: &str, now_ns: i64) -> Result<(), Over> {
        let (most, fresh) = (self.limits.most(Limit::Services), self.limits.most(Limit::NewServices));
        // After a restart all are new.
        let fresh = fresh.filter(|_| !self.is_learning);
        self.counted.services.lock().admit(&self.remembered, service, now_ns, most, fresh)
    }

    /// Lets records of `service` in whose time lies in the window number `window`, counted in hours.
    ///
    /// # Errors
    /// The limit of windows.
    pub fn admit_window(&self, service: &str, window: i64, now_ns: i64) -> Result<(), Over> {
        let Some(most) = self.limits.most(Limit::Windows) else { return Ok(()) };
        self.counted.windows.lock().admit(&self.remembered, (service, window), now_ns, Some(most), None)
    }
}
