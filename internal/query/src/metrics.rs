use std::sync::Arc;
use std::time::Duration;

use loglake_auth::limits::Limit;
use loglake_model::{TenantLabels, TenantName};
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The query role's metrics. Labels name tenants only within bounds ([`TenantLabels`]).
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    stage_seconds: HistogramVec,
    pub(crate) running: IntGauge,
    pub(crate) displaced_connections: IntCounter,
    pub(crate) rows: IntCounter,
    pub(crate) scanned: IntCounter,
    bytes_read: IntCounter,
    pub(crate) chunks: IntCounterVec,
    pub(crate) blocks: IntCounterVec,
    pub(crate) footers: IntCounterVec,
    pub(crate) footer_cache_bytes: IntGauge,
    pub(crate) block_cache: IntCounterVec,
    pub(crate) block_cache_bytes: IntGauge,
    pub(crate) disk_cache: IntCounterVec,
    pub(crate) disk_cache_bytes: IntGauge,
    pub(crate) tail_fallbacks: IntCounter,
    pub(crate) owners: IntCounterVec,
    pub(crate) incomplete: IntCounter,
    pub(crate) replans: IntCounter,
    pub(crate) page_seconds: Histogram,
    tenants: Arc<TenantLabels>,
    tenant_requests: IntCounterVec,
    tenant_bytes_read: IntCounterVec,
    limited: IntCounterVec,
    tenant_limited: IntCounterVec,
}

/// A millisecond to half a minute.
fn times() -> Vec<f64> {
    vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
}

impl Metrics {
    /// Registers all of them; at most `tenants` are counted by name.
    pub(crate) fn register(registry: &Registry, tenants: usize) -> Result<Self, prometheus::Error> {
        fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
            registry.register(Box::new(collector.clone()))?;
            Ok(collector)
        }
        let counter = |name: &str, help: &str| add(registry, IntCounter::new(name, help)?);
        let counters =
            |name: &str, help: &str, labels: &[&str]| add(registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let gauge = |name: &str, help: &str| add(registry, IntGauge::new(name, help)?);
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            add(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(times()), labels)?)
        };
        let metrics = Self {
            requests: counters(
                "loglake_query_requests_total",
                "Requests, by route and HTTP status.",
                &["route", "status"],
            )?,
            request_seconds: seconds(
                "loglake_query_request_seconds",
                "Time to the whole answer, by route.",
                &["route"],
            )?,
            stage_seconds: seconds(
                "loglake_query_stage_seconds",
                "Time of a query's stages (wait, plan, tail, replay, scan).",
                &["stage"],
            )?,
            running: gauge("loglake_query_running", "Queries that run now.")?,
            displaced_connections: counter(
                "loglake_query_displaced_connections_total",
                "Connections closed because their place was needed.",
            )?,
            rows: counter("loglake_query_rows_total", "Rows answered.")?,
            scanned: counter("loglake_query_scanned_records_total", "Records in what was searched.")?,
            bytes_read: counter("loglake_query_read_bytes_total", "Bytes read from objects and the broker.")?,
            chunks: counters(
                "loglake_query_chunks_total",
                "Chunks planned for, by what became of them (read, pruned).",
                &["outcome"],
            )?,
            blocks: counters(
                "loglake_query_blocks_total",
                "Blocks of opened chunks, by what became of them (read, pruned).",
                &["outcome"],
            )?,
            footers: counters(
                "loglake_query_footers_total",
                "Footers asked of the cache, by outcome (hit, miss).",
                &["outcome"],
            )?,
            footer_cache_bytes: gauge("loglake_query_footer_cache_bytes", "Bytes of footers in memory.")?,
            block_cache: counters(
                "loglake_query_block_cache_total",
                "Blocks asked of the cache, by outcome (hit, miss).",
                &["outcome"],
            )?,
            block_cache_bytes: gauge("loglake_query_block_cache_bytes", "Bytes of stored blocks in memory.")?,
            disk_cache: counters(
                "loglake_query_disk_cache_total",
                "Pieces of objects asked of the cache on disk or to be kept there, by outcome (hit, miss, damaged, passed_over: too many were being written, not_written).",
                &["outcome"],
            )?,
            disk_cache_bytes: gauge("loglake_query_disk_cache_bytes", "Bytes of the cache on disk.")?,
            tail_fallbacks: counter(
                "loglake_query_tail_fallbacks_total",
                "Partitions read from the broker because no processor answered for them.",
            )?,
            owners: counters(
                "loglake_query_owners_total",
                "Owners of tails that were to be asked, by outcome (answered, failed, passed_over: it failed a moment ago).",
                &["outcome"],
            )?,
            incomplete: counter("loglake_query_incomplete_total", "Answers that name something missing.")?,
            replans: counter("loglake_query_replans_total", "Queries planned again because a chunk had vanished.")?,
            page_seconds: add(
                registry,
                Histogram::with_opts(
                    HistogramOpts::new("loglake_query_page_seconds", "Time of a page, without waiting for a turn.")
                        .buckets(times()),
                )?,
            )?,
            tenants: Arc::new(TenantLabels::new(tenants)),
            tenant_requests: counters(
                "loglake_query_tenant_requests_total",
                "Queries, counts and lists of services that were begun, by tenant.",
                &["tenant"],
            )?,
            tenant_bytes_read: counters(
                "loglake_query_tenant_read_bytes_total",
                "Bytes read from objects and the broker for queries and counts, by tenant.",
                &["tenant"],
            )?,
            limited: counters(
                "loglake_query_limited_total",
                "Queries refused or cut short because their tenant is over a limit.",
                &["limit"],
            )?,
            tenant_limited: counters("loglake_query_tenant_limited_total", "The same by tenant.", &["tenant"])?,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// A counter that appears with its first event has no rate for it: what alerts and dashboards stand on is there from the start.
    fn begin_at_zero(&self) {
        let counters: [(&IntCounterVec, &[&str]); 10] = [
            (&self.chunks, &["read", "pruned"]),
            (&self.blocks, &["read", "pruned"]),
            (&self.footers, &["hit", "miss"]),
            (&self.block_cache, &["hit", "miss"]),
            (&self.disk_cache, &["hit", "miss"]),
            (&self.owners, &["answered", "failed", "passed_over"]),
            (&self.tenant_requests, &[TenantLabels::OTHERS]),
            (&self.tenant_bytes_read, &[TenantLabels::OTHERS]),
            (&self.limited, &["query_concurrency", "query_bytes"]),
            (&self.tenant_limited, &[TenantLabels::OTHERS]),
        ];
        for (counter, labels) in counters {
            for label in labels {
                counter.with_label_values(&[label]);
            }
        }
        for stage in ["wait", "plan", "tail", "replay", "scan"] {
            self.stage_seconds.with_label_values(&[stage]);
        }
    }

    /// Counts a query of `tenant` that is begun.
    pub(crate) fn asked(&self, tenant: &TenantName) {
        self.tenant_requests.with_label_values(&[self.tenants.of(tenant)]).inc();
    }

    /// Counts a query of `tenant` that is over `limit`.
    pub(crate) fn limited(&self, tenant: &TenantName, limit: Limit) {
        self.limited.with_label_values(&[limit.as_str()]).inc();
        self.tenant_limited.with_label_values(&[self.tenants.of(tenant)]).inc();
    }

    /// Counts what was read to answer `tenant`.
    pub(crate) fn read(&self, tenant: &TenantName, bytes: u64) {
        self.bytes_read.inc_by(bytes);
        self.tenant_bytes_read.with_label_values(&[self.tenants.of(tenant)]).inc_by(bytes);
    }

    /// Takes down how long a stage took.
    pub(crate) fn stage(&self, stage: &str, took: Duration) {
        self.stage_seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_counted_by_name_within_bounds() {
        let metrics = Metrics::register(&Registry::new(), 1).unwrap();
        for name in ["acme", "globex", "initech"] {
            let tenant = TenantName::parse(name).unwrap();
            metrics.asked(&tenant);
            metrics.read(&tenant, 100);
        }
        let of = |counter: &IntCounterVec, label: &str| counter.with_label_values(&[label]).get();
        assert_eq!((of(&metrics.tenant_requests, "acme"), of(&metrics.tenant_bytes_read, "acme")), (1, 100));
        assert_eq!(of(&metrics.tenant_requests, TenantLabels::OTHERS), 2);
        assert_eq!((of(&metrics.tenant_bytes_read, TenantLabels::OTHERS), metrics.bytes_read.get()), (200, 300));
    }
}
