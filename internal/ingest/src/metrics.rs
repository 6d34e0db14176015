//! What this role counts. No label has a tenant or a service in it: their number is not bounded.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Records that are durable.
pub const RECORDS_TOTAL: &str = "loglake_ingest_records_total";
/// Bytes of the canonical lines of those.
pub const LINE_BYTES_TOTAL: &str = "loglake_ingest_line_bytes_total";
/// Bytes of requests once decoded, by protocol.
pub const RECEIVED_BYTES_TOTAL: &str = "loglake_ingest_received_bytes_total";
/// Records refused, by code.
pub const REFUSED_RECORDS_TOTAL: &str = "loglake_ingest_refused_records_total";
/// Requests and batches, by protocol and outcome (`ok` or the kind of error).
pub const REQUESTS_TOTAL: &str = "loglake_ingest_requests_total";
/// Messages appended to the broker.
pub const MESSAGES_TOTAL: &str = "loglake_ingest_messages_total";
/// Messages that the broker did not confirm, by kind of error.
pub const APPEND_FAILURES_TOTAL: &str = "loglake_ingest_append_failures_total";
/// How long the broker took to confirm a message.
pub const APPEND_SECONDS: &str = "loglake_ingest_append_seconds";
/// From the whole request being here to its answer, by protocol.
pub const ACK_SECONDS: &str = "loglake_ingest_ack_seconds";
/// Bytes of requests that wait for the broker.
pub const IN_FLIGHT_BYTES: &str = "loglake_ingest_in_flight_bytes";
/// Open connections, by listener.
pub const CONNECTIONS: &str = "loglake_ingest_connections";

/// From a fifth of a millisecond to half a minute.
const SECONDS: [f64; 16] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The counters of one [`crate::Ingestor`].
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) records: IntCounter,
    pub(crate) line_bytes: IntCounter,
    pub(crate) received_bytes: IntCounterVec,
    pub(crate) refused_records: IntCounterVec,
    pub(crate) requests: IntCounterVec,
    pub(crate) messages: IntCounter,
    pub(crate) append_failures: IntCounterVec,
    pub(crate) append_seconds: Histogram,
    pub(crate) ack_seconds: HistogramVec,
    pub(crate) in_flight_bytes: IntGauge,
    pub(crate) connections: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let histogram = |name, help| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let metrics = Self {
            records: IntCounter::new(RECORDS_TOTAL, "Records that are durable")?,
            line_bytes: IntCounter::new(LINE_BYTES_TOTAL, "Bytes of the lines of durable records")?,
            received_bytes: IntCounterVec::new(
                Opts::new(RECEIVED_BYTES_TOTAL, "Bytes of requests once decoded"),
                &["protocol"],
            )?,
            refused_records: IntCounterVec::new(
                Opts::new(REFUSED_RECORDS_TOTAL, "Records refused for what is wrong with them"),
                &["code"],
            )?,
            requests: IntCounterVec::new(
                Opts::new(REQUESTS_TOTAL, "Requests and batches by outcome"),
                &["protocol", "outcome"],
            )?,
            messages: IntCounter::new(MESSAGES_TOTAL, "Messages appended to the broker")?,
            append_failures: IntCounterVec::new(
                Opts::new(APPEND_FAILURES_TOTAL, "Messages that the broker did not confirm"),
                &["kind"],
            )?,
            append_seconds: Histogram::with_opts(histogram(
                APPEND_SECONDS,
                "Time for the broker to confirm a message",
            ))?,
            ack_seconds: HistogramVec::new(
                histogram(ACK_SECONDS, "Time from the whole request being here to its answer"),
                &["protocol"],
            )?,
            in_flight_bytes: IntGauge::new(IN_FLIGHT_BYTES, "Bytes of requests that wait for the broker")?,
            connections: IntGaugeVec::new(Opts::new(CONNECTIONS, "Open connections"), &["listener"])?,
        };
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.line_bytes.clone()))?;
        registry.register(Box::new(metrics.received_bytes.clone()))?;
        registry.register(Box::new(metrics.refused_records.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.messages.clone()))?;
        registry.register(Box::new(metrics.append_failures.clone()))?;
        registry.register(Box::new(metrics.append_seconds.clone()))?;
        registry.register(Box::new(metrics.ack_seconds.clone()))?;
        registry.register(Box::new(metrics.in_flight_bytes.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        Ok(metrics)
    }
}
