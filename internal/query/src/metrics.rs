use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The query role's metrics. No label names a tenant.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    stage_seconds: HistogramVec,
    pub(crate) running: IntGauge,
    pub(crate) rows: IntCounter,
    pub(crate) scanned: IntCounter,
    pub(crate) bytes_read: IntCounter,
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
}

/// A millisecond to half a minute.
fn times() -> Vec<f64> {
    vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
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
        Ok(Self {
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
        })
    }

    /// Takes down how long a stage took.
    pub(crate) fn stage(&self, stage: &str, took: Duration) {
        self.stage_seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
    }
}
