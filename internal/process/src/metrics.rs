use std::sync::Arc;

use loglake_model::{TenantLabels, TenantName};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::error::HALT_REASONS;

/// The processor's metrics. Partitions are few and fixed, so they may be labels; tenants only within bounds ([`TenantLabels`]).
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) records: IntCounter,
    pub(crate) bytes: IntCounter,
    pub(crate) quarantined: IntCounter,
    pub(crate) repeats_dropped: IntCounterVec,
    pub(crate) sessions: IntGaugeVec,
    pub(crate) flushes: IntCounterVec,
    pub(crate) flush_seconds: HistogramVec,
    pub(crate) chunk_bytes: Histogram,
    pub(crate) chunk_records: Histogram,
    pub(crate) claims: IntCounterVec,
    pub(crate) lag: IntGaugeVec,
    pub(crate) lag_seconds: GaugeVec,
    pub(crate) unflushed_seconds: GaugeVec,
    pub(crate) consume_delay: Histogram,
    pub(crate) position: IntGaugeVec,
    pub(crate) committed: IntGaugeVec,
    halted: IntGaugeVec,
    pub(crate) gap_offsets: IntCounter,
    pub(crate) memory: IntGauge,
    pub(crate) open_chunks: IntGaugeVec,
    pub(crate) partitions: IntGauge,
    pub(crate) worker_restarts: IntCounter,
    pub(crate) displaced_connections: IntCounter,
    pub(crate) pauses: IntCounter,
    pub(crate) retries: IntCounterVec,
    pub(crate) folds: IntCounterVec,
    pub(crate) swept: IntCounter,
    pub(crate) collected_objects: IntCounter,
    pub(crate) collected_bytes: IntCounter,
    pub(crate) tail_requests: IntCounterVec,
    pub(crate) tail_seconds: Histogram,
    tenants: Arc<TenantLabels>,
    tenant_chunks: IntCounterVec,
    tenant_chunk_bytes: IntCounterVec,
}

impl Metrics {
    /// Registers all of them; at most `tenants` are counted by name.
    pub(crate) fn register(registry: &Registry, tenants: usize) -> Result<Self, prometheus::Error> {
        fn add<C: prometheus::core::Collector + Clone + 'static>(
            registry: &Registry,
            collector: C,
        ) -> Result<C, prometheus::Error> {
            registry.register(Box::new(collector.clone()))?;
            Ok(collector)
        }
        let counter = |name: &str, help: &str| add(registry, IntCounter::new(name, help)?);
        let counters =
            |name: &str, help: &str, label: &str| add(registry, IntCounterVec::new(Opts::new(name, help), &[label])?);
        let gauges = |name: &str, help: &str| add(registry, IntGaugeVec::new(Opts::new(name, help), &["partition"])?);
        let gauge = |name: &str, help: &str| add(registry, IntGauge::new(name, help)?);
        let ages = |name: &str, help: &str| add(registry, GaugeVec::new(Opts::new(name, help), &["partition"])?);
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            add(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?)
        };
        let bytes = prometheus::exponential_buckets(1024.0, 4.0, 10)?;
        let seconds = prometheus::exponential_buckets(0.001, 2.5, 14)?;
        let metrics = Self {
            records: counter("loglake_process_records_total", "Records consumed from the broker.")?,
            bytes: counter("loglake_process_bytes_total", "Bytes of messages consumed from the broker.")?,
            quarantined: counter(
                "loglake_process_quarantined_messages_total",
                "Messages that could not be read and were put into quarantine.",
            )?,
            repeats_dropped: counters(
                "loglake_repeats_dropped_total",
                "Messages dropped because their records are there already (repeat), or were appended too late to tell (late).",
                "reason",
            )?,
            sessions: gauges("loglake_process_sessions", "Sessions and idempotency keys remembered.")?,
            flushes: counters("loglake_process_flushes_total", "Flushes by reason.", "reason")?,
            flush_seconds: add(
                registry,
                HistogramVec::new(
                    HistogramOpts::new("loglake_process_flush_seconds", "Duration of a flush by stage.")
                        .buckets(seconds.clone()),
                    &["stage"],
                )?,
            )?,
            chunk_bytes: histogram("loglake_process_chunk_bytes", "Stored size of chunks, in bytes.", bytes)?,
            chunk_records: histogram(
                "loglake_process_chunk_records",
                "Records of chunks.",
                prometheus::exponential_buckets(1.0, 5.0, 10)?,
            )?,
            claims: counters("loglake_process_claims_total", "Claims of chain entries by outcome.", "outcome")?,
            lag: gauges("loglake_process_lag_messages", "Messages in the broker that were not consumed yet.")?,
            lag_seconds: ages(
                "loglake_process_lag_seconds",
                "For how long the oldest message that was not consumed yet has waited, at most; 0 while there is none.",
            )?,
            unflushed_seconds: ages(
                "loglake_process_unflushed_seconds",
                "For how long the oldest message that no chunk holds yet has been in memory; 0 while there is none.",
            )?,
            consume_delay: histogram(
                "loglake_process_consume_delay_seconds",
                "Time from the broker's taking a message to its being consumed.",
                seconds.clone(),
            )?,
            position: gauges("loglake_process_position", "The offset consumed up to.")?,
            committed: gauges("loglake_process_committed", "The offset committed to chunks up to.")?,
            halted: add(
                registry,
                IntGaugeVec::new(
                    Opts::new("loglake_partition_halted", "1 while a partition is halted, by reason; see the log."),
                    &["partition", "reason"],
                )?,
            )?,
            gap_offsets: counter(
                "loglake_gap_offsets_total",
                "Offsets given up because the broker deleted them before they were flushed.",
            )?,
            memory: gauge("loglake_process_memory_bytes", "Messages held in memory, in bytes.")?,
            open_chunks: gauges("loglake_process_open_chunks", "Chunks that the next flush will be of.")?,
            partitions: gauge("loglake_process_partitions", "Partitions assigned.")?,
            worker_restarts: counter(
                "loglake_process_worker_restarts_total",
                "Workers that panicked and were started again, see the log.",
            )?,
            displaced_connections: counter(
                "loglake_process_displaced_connections_total",
                "Idle connections to the tail port closed because their place was needed.",
            )?,
            pauses: counter("loglake_process_pauses_total", "Times that consuming paused because memory was full.")?,
            retries: counters("loglake_process_retries_total", "Steps of a flush that were tried again.", "step")?,
            folds: counters("loglake_process_folds_total", "Folds of chains into checkpoints by outcome.", "outcome")?,
            swept: counter(
                "loglake_process_swept_objects_total",
                "Entries, checkpoints and segments deleted because a newer checkpoint stands for them.",
            )?,
            collected_objects: counter(
                "loglake_process_collected_objects_total",
                "Chunks and quarantine objects deleted because no chain names them.",
            )?,
            collected_bytes: counter(
                "loglake_process_collected_bytes_total",
                "Stored bytes of chunks and quarantine objects deleted because no chain names them.",
            )?,
            tail_requests: counters("loglake_process_tail_requests_total", "Calls of the tail service.", "outcome")?,
            tail_seconds: histogram("loglake_process_tail_seconds", "Latency of the tail service.", seconds)?,
            tenants: Arc::new(TenantLabels::new(tenants)),
            tenant_chunks: counters("loglake_process_tenant_chunks_total", "Chunks stored, by tenant.", "tenant")?,
            tenant_chunk_bytes: counters(
                "loglake_process_tenant_chunk_bytes_total",
                "Stored bytes of chunks, by tenant.",
                "tenant",
            )?,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// A counter that appears with its first event has no rate for it: what alerts and dashboards stand on is there from the start.
    fn begin_at_zero(&self) {
        let counters: [(&IntCounterVec, &[&str]); 8] = [
            (&self.repeats_dropped, &["repeat", "late"]),
            (&self.flushes, &["full", "chunks", "memory", "asked", "max_age", "shutdown", "lost_records"]),
            (&self.claims, &["won", "lost"]),
            (&self.retries, &["put", "read_chain", "apply"]),
            (&self.folds, &["done", "failed"]),
            (&self.tail_requests, &["ok", "refused"]),
            (&self.tenant_chunks, &[TenantLabels::OTHERS]),
            (&self.tenant_chunk_bytes, &[TenantLabels::OTHERS]),
        ];
        for (counter, labels) in counters {
            for label in labels {
                counter.with_label_values(&[label]);
            }
        }
        for stage in ["put", "claim", "apply", "all"] {
            self.flush_seconds.with_label_values(&[stage]);
        }
    }

    /// Counts a chunk of `tenant` that was stored.
    pub(crate) fn stored(&self, tenant: &TenantName, bytes: u64) {
        let label = [self.tenants.of(tenant)];
        self.tenant_chunks.with_label_values(&label).inc();
        self.tenant_chunk_bytes.with_label_values(&label).inc_by(bytes);
    }

    /// Shows nothing more of a partition that was given up: whoever has it now does.
    pub(crate) fn forget(&self, partition: u32) {
        self.halt(partition, None);
        let label = partition.to_string();
        for gauges in [&self.lag, &self.position, &self.committed, &self.sessions, &self.open_chunks] {
            // One that was never shown is not there to be removed.
            let _absent = gauges.remove_label_values(&[label.as_str()]);
        }
        for ages in [&self.lag_seconds, &self.unflushed_seconds] {
            let _absent = ages.remove_label_values(&[label.as_str()]);
        }
    }

    /// Shows that `partition` is halted for `reason`, or that it is not.
    pub(crate) fn halt(&self, partition: u32, reason: Option<&str>) {
        let label = partition.to_string();
        for other in HALT_REASONS.iter().filter(|other| reason != Some(**other)) {
            // One that was never shown is not there to be removed.
            let _absent = self.halted.remove_label_values(&[label.as_str(), *other]);
        }
        if let Some(reason) = reason {
            self.halted.with_label_values(&[label.as_str(), reason]).set(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_was_given_up_is_shown_no_more() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry, 0).unwrap();
        for partition in ["3", "4"] {
            metrics.lag.with_label_values(&[partition]).set(7);
            metrics.lag_seconds.with_label_values(&[partition]).set(1.5);
        }
        metrics.halt(3, Some("damaged"));
        metrics.forget(3);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(
            !text.contains("partition=\"3\"") && text.contains("loglake_process_lag_messages{partition=\"4\"} 7"),
            "{text}"
        );
    }

    #[test]
    fn chunks_are_counted_by_tenant_within_bounds() {
        let metrics = Metrics::register(&Registry::new(), 1).unwrap();
        for name in ["acme", "globex", "acme"] {
            metrics.stored(&TenantName::parse(name).unwrap(), 100);
        }
        let bytes = |label: &str| metrics.tenant_chunk_bytes.with_label_values(&[label]).get();
        assert_eq!((bytes("acme"), bytes(TenantLabels::OTHERS)), (200, 100));
    }
}
