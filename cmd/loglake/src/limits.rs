//! How much each tenant may take: the configuration's defaults, and where ingestors add up what was taken.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use loglake_auth::Registry;
use loglake_auth::limits::{Counters, CountersError, Limit, Limits, Taken, TenantLimits};
use loglake_index::RedisSums;
use loglake_service::Config;

use crate::parts;

/// The limits that hold: the configuration's, but for what `registry` says of single tenants.
pub(crate) fn of(config: &Config, registry: Option<Arc<Registry>>) -> TenantLimits {
    let of = &config.limits;
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let defaults = Limits::none()
        .with(Limit::IngestBytes, of.ingest_bytes.0)
        .with(Limit::IngestRecords, of.ingest_records.into())
        .with(Limit::IngestBurstMs, ms(of.ingest_burst))
        .with(Limit::Services, of.services.into())
        .with(Limit::NewServices, of.new_services.into())
        .with(Limit::Windows, of.windows.into())
        .with(Limit::Attributes, of.attributes.into())
        .with(Limit::QueryConcurrency, of.query_concurrency.into())
        .with(Limit::QueryBytes, of.query_bytes.0)
        .with(Limit::QueryTimeMs, ms(of.query_time))
        .with(Limit::StoredBytes, of.stored_bytes.0);
    TenantLimits::new(defaults, registry)
}

/// Where this ingestor tells the others what it took; `None` without a Redis.
pub(crate) fn counters(config: &Config) -> anyhow::Result<Option<Arc<dyn Counters>>> {
    let Some(addr) = &config.index.addr else { return Ok(None) };
    // Of no incarnation of the index: what tenants send is theirs in any.
    let sums = RedisSums::new(parts::index_settings(config, addr.url(), 0)?);
    let sums = sums.with_context(|| format!("Redis (index.addr) at {addr:?}"))?;
    Ok(Some(Arc::new(RedisCounters(sums))))
}

struct RedisCounters(RedisSums);

#[async_trait]
impl Counters for RedisCounters {
    async fn add(&self, taken: &[Taken]) -> Result<Vec<Taken>, CountersError> {
        let added: Vec<_> = taken.iter().map(|taken| (taken.tenant.clone(), [taken.bytes, taken.records])).collect();
        let sums = self.0.add(&added).await.map_err(|error| CountersError(error.to_string()))?;
        let tenants = added.into_iter().map(|(tenant, _)| tenant);
        Ok(tenants.zip(sums).map(|(tenant, [bytes, records])| Taken { tenant, bytes, records }).collect())
    }
}
