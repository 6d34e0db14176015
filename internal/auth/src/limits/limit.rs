use std::collections::BTreeMap;

use loglake_model::{Fault, FaultCode};
use serde::{Deserialize, Serialize};

/// What a tenant is limited in. The serialised name is the one of the API and the registry, and, without its unit, of the
/// configuration's key below `limits.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Bytes of requests a second, as they are once decompressed.
    IngestBytes,
    /// Records a second.
    IngestRecords,
    /// How many milliseconds' worth of both may come at once, 1,000 to 3,600,000.
    IngestBurstMs,
    /// Services that are active at a time: that sent something within the hour.
    Services,
    /// Services an hour that were not active before.
    NewServices,
    /// Hours of event time, of a service each, that records came for within ten minutes: each is a chunk that a processor keeps open.
    Windows,
    /// Attributes of one record, at most 256.
    Attributes,
    /// Queries that run at a time.
    QueryConcurrency,
    /// Bytes of blocks, decompressed, that a query may search.
    QueryBytes,
    /// Milliseconds that a query may take.
    QueryTimeMs,
    /// Bytes at rest: the objects of the tenant's chunks.
    StoredBytes,
}

/// How many limits there are.
const COUNT: usize = 11;

impl Limit {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; COUNT] = [
        Self::IngestBytes,
        Self::IngestRecords,
        Self::IngestBurstMs,
        Self::Services,
        Self::NewServices,
        Self::Windows,
        Self::Attributes,
        Self::QueryConcurrency,
        Self::QueryBytes,
        Self::QueryTimeMs,
        Self::StoredBytes,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IngestBytes => "ingest_bytes",
            Self::IngestRecords => "ingest_records",
            Self::IngestBurstMs => "ingest_burst_ms",
            Self::Services => "services",
            Self::NewServices => "new_services",
            Self::Windows => "windows",
            Self::Attributes => "attributes",
            Self::QueryConcurrency => "query_concurrency",
            Self::QueryBytes => "query_bytes",
            Self::QueryTimeMs => "query_time_ms",
            Self::StoredBytes => "stored_bytes",
        }
    }

    /// The version of the registry's formats that first knew it. One that is added needs a new one: older programs must say that
    /// they are too old, not that the registry is damaged.
    pub(crate) fn since(self) -> u32 {
        match self {
            Self::StoredBytes => 3,
            _ => 2,
        }
    }

    /// The limit of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.as_str() == name)
    }

    /// Checks a value; 0 is unlimited.
    ///
    /// # Errors
    /// A fault that names the limit and says which values there are.
    pub fn check(self, value: u64) -> Result<(), Fault> {
        let (least, most) = match self {
            // Without any burst nothing would pass.
            Self::IngestBurstMs => (1_000, 3_600_000),
            Self::Services | Self::NewServices | Self::Windows => (0, MAX_REMEMBERED),
            Self::Attributes => (0, MAX_ATTRIBUTES),
            Self::QueryConcurrency => (0, 100_000),
            Self::QueryTimeMs => (0, 86_400_000),
            // What is reckoned with it must not overflow.
            Self::IngestBytes | Self::IngestRecords | Self::QueryBytes => (0, 1 << 53),
            // Up to an exbibyte: above 2^53, as nothing is multiplied with it.
            Self::StoredBytes => (0, 1 << 60),
        };
        if (least..=most).contains(&value) {
            return Ok(());
        }
        let message = format!("it is a whole number from {least} to {most}, 0 for no limit where that is allowed");
        Err(Fault::new(FaultCode::Invalid, self.as_str(), message).with_limit(most, value))
    }
}

/// What is remembered of one tenant grows no further, whatever it may have.
const MAX_REMEMBERED: u64 = 1_000_000;
/// No record has more, whatever the tenant.
const MAX_ATTRIBUTES: u64 = 256;

/// What differs from the defaults for one tenant.
pub type Overrides = BTreeMap<Limit, u64>;

/// A value for each [`Limit`]; 0 is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits([u64; COUNT]);

impl Limits {
    /// No limit at all.
    #[must_use]
    pub const fn none() -> Self {
        let mut values = [0; COUNT];
        values[Limit::IngestBurstMs as usize] = 10_000;
        Self(values)
    }

    /// The value of `limit`; 0 is unlimited.
    #[must_use]
    pub fn get(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }

    /// The value of `limit`; `None` is unlimited.
    #[must_use]
    pub fn most(&self, limit: Limit) -> Option<u64> {
        Some(self.get(limit)).filter(|most| *most > 0)
    }

    /// The same with another value.
    #[must_use]
    pub fn with(mut self, limit: Limit, value: u64) -> Self {
        self.0[limit as usize] = value;
        self
    }

    /// The same but for what `overrides` say.
    #[must_use]
    pub fn over(self, overrides: &Overrides) -> Self {
        overrides.iter().fold(self, |limits, (limit, value)| limits.with(*limit, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_own_place_and_name() {
        for (at, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, at);
            assert_eq!(Limit::named(limit.as_str()), Some(limit));
            assert_eq!(serde_json::to_string(&limit).unwrap(), format!("\"{}\"", limit.as_str()));
        }
        assert_eq!(Limit::named("storage"), None);
        assert!(Limit::StoredBytes.check(1 << 60).is_ok() && Limit::StoredBytes.check(u64::MAX).is_err());
    }

    #[test]
    fn what_differs_wins_and_nothing_out_of_its_range_is_taken() {
        let defaults = Limits::none().with(Limit::Services, 7).with(Limit::IngestBytes, 9);
        let limits = defaults.over(&Overrides::from([(Limit::Services, 0), (Limit::Attributes, 3)]));
        assert_eq!((limits.most(Limit::Services), limits.get(Limit::IngestBytes)), (None, 9));
        assert_eq!(limits.most(Limit::Attributes), Some(3));
        let fault = Limit::IngestBurstMs.check(0).unwrap_err();
        assert_eq!((fault.field.as_str(), fault.limit, fault.actual), ("ingest_burst_ms", Some(3_600_000), Some(0)));
        assert!(Limit::Attributes.check(257).is_err() && Limit::Attributes.check(256).is_ok());
        assert!(Limit::IngestBytes.check(u64::MAX).is_err() && Limit::IngestBytes.check(0).is_ok());
    }
}
