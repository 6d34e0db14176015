//! What this role counts. No label has a service in it, and a tenant only within bounds ([`TenantLabels`]): their number has
//! none.

use std::sync::Arc;

use loglake_auth::limits::Limit;
use loglake_model::{ErrorKind, FaultCode, TenantLabels, TenantName};
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
/// Idle connections that were closed because their place was needed, by listener.
pub const DISPLACED_CONNECTIONS_TOTAL: &str = "loglake_ingest_displaced_connections_total";

/// The durable records of a tenant.
pub const TENANT_RECORDS_TOTAL: &str = "loglake_ingest_tenant_records_total";
/// Bytes of their lines.
pub const TENANT_LINE_BYTES_TOTAL: &str = "loglake_ingest_tenant_line_bytes_total";
/// The refused records of a tenant.
pub const TENANT_REFUSED_RECORDS_TOTAL: &str = "loglake_ingest_tenant_refused_records_total";

/// Requests and records refused because their tenant is over a limit, by limit.
pub const LIMITED_TOTAL: &str = "loglake_ingest_limited_total";
/// The same of a tenant.
pub const TENANT_LIMITED_TOTAL: &str = "loglake_ingest_tenant_limited_total";
/// Batches of streams that waited for their tenant's rate.
pub const HELD_BACK_TOTAL: &str = "loglake_ingest_held_back_total";
/// Whether the ingestors share the tenants' rates at the moment.
pub const LIMITS_SHARED: &str = "loglake_ingest_limits_shared";
/// How often what was taken could not be shared.
pub const SHARING_FAILURES_TOTAL: &str = "loglake_ingest_limit_sharing_failures_total";

/// Whether the limit of stored bytes is enforced at the moment.
pub const STORAGE_ENFORCED: &str = "loglake_ingest_storage_limit_enforced";
/// How often nobody said how much is stored.
pub const STORAGE_FAILURES_TOTAL: &str = "loglake_ingest_storage_failures_total";
/// Bytes at rest of a tenant that sends and has a limit of them.
pub const TENANT_STORED_BYTES: &str = "loglake_ingest_tenant_stored_bytes";

/// From a fifth of a millisecond to half a minute.
const SECONDS: [f64; 16] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The counters of one [`crate::Ingestor`].
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    records: IntCounter,
    line_bytes: IntCounter,
    pub(crate) received_bytes: IntCounterVec,
    refused_records: IntCounterVec,
    pub(crate) requests: IntCounterVec,
    pub(crate) messages: IntCounter,
    pub(crate) append_failures: IntCounterVec,
    pub(crate) append_seconds: Histogram,
    pub(crate) ack_seconds: HistogramVec,
    pub(crate) in_flight_bytes: IntGauge,
    pub(crate) connections: IntGaugeVec,
    pub(crate) displaced_connections: IntCounterVec,
    tenants: Arc<TenantLabels>,
    tenant_records: IntCounterVec,
    tenant_line_bytes: IntCounterVec,
    tenant_refused_records: IntCounterVec,
    limited: IntCounterVec,
    tenant_limited: IntCounterVec,
    pub(crate) held_back: IntCounter,
    pub(crate) limits_shared: IntGauge,
    pub(crate) sharing_failures: IntCounter,
    pub(crate) storage_enforced: IntGauge,
    pub(crate) storage_failures: IntCounter,
    tenant_stored: IntGaugeVec,
}

impl Metrics {
    /// Registers all of them; at most `tenants` are counted by name.
    pub(crate) fn register(registry: &Registry, tenants: usize) -> Result<Self, prometheus::Error> {
        let of_tenants = |name, help| IntCounterVec::new(Opts::new(name, help), &["tenant"]);
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
            displaced_connections: IntCounterVec::new(
                Opts::new(DISPLACED_CONNECTIONS_TOTAL, "Connections closed because their place was needed"),
                &["listener"],
            )?,
            tenants: Arc::new(TenantLabels::new(tenants)),
            tenant_records: of_tenants(TENANT_RECORDS_TOTAL, "Durable records by tenant")?,
            tenant_line_bytes: of_tenants(TENANT_LINE_BYTES_TOTAL, "Bytes of the lines of durable records by tenant")?,
            tenant_refused_records: of_tenants(TENANT_REFUSED_RECORDS_TOTAL, "Refused records by tenant")?,
            limited: IntCounterVec::new(
                Opts::new(LIMITED_TOTAL, "Requests and records refused because their tenant is over a limit"),
                &["limit"],
            )?,
            tenant_limited: of_tenants(TENANT_LIMITED_TOTAL, "The same by tenant")?,
            held_back: IntCounter::new(HELD_BACK_TOTAL, "Batches of streams that waited for their tenant's rate")?,
            limits_shared: IntGauge::new(LIMITS_SHARED, "1 while the ingestors share the tenants' rates, 0 while not")?,
            sharing_failures: IntCounter::new(
                SHARING_FAILURES_TOTAL,
                "How often what was taken of the tenants' rates could not be shared",
            )?,
            storage_enforced: IntGauge::new(
                STORAGE_ENFORCED,
                "1 while it is known how much is stored of tenants, 0 while not: then nobody is refused for it",
            )?,
            storage_failures: IntCounter::new(
                STORAGE_FAILURES_TOTAL,
                "How often nobody said, or not wholly, how much is stored of tenants",
            )?,
            tenant_stored: IntGaugeVec::new(
                Opts::new(TENANT_STORED_BYTES, "Bytes at rest by tenant, of those that send and have a limit of them"),
                &["tenant"],
            )?,
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
        registry.register(Box::new(metrics.displaced_connections.clone()))?;
        registry.register(Box::new(metrics.tenant_records.clone()))?;
        registry.register(Box::new(metrics.tenant_line_bytes.clone()))?;
        registry.register(Box::new(metrics.tenant_refused_records.clone()))?;
        registry.register(Box::new(metrics.limited.clone()))?;
        registry.register(Box::new(metrics.tenant_limited.clone()))?;
        registry.register(Box::new(metrics.held_back.clone()))?;
        registry.register(Box::new(metrics.limits_shared.clone()))?;
        registry.register(Box::new(metrics.sharing_failures.clone()))?;
        registry.register(Box::new(metrics.storage_enforced.clone()))?;
        registry.register(Box::new(metrics.storage_failures.clone()))?;
        registry.register(Box::new(metrics.tenant_stored.clone()))?;
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// A counter that appears with its first event has no rate for it: what alerts stand on is there from the start.
    fn begin_at_zero(&self) {
        for kind in [ErrorKind::Deadline, ErrorKind::Exhausted, ErrorKind::NoSpace, ErrorKind::Unavailable] {
            self.append_failures.with_label_values(&[kind.as_str()]);
        }
        for code in [FaultCode::Missing, FaultCode::Malformed, FaultCode::TooLarge, FaultCode::TooFarAhead] {
            self.refused_records.with_label_values(&[code.as_str()]);
        }
        for protocol in ["grpc", "http"] {
            self.requests.with_label_values(&[protocol, "ok"]);
            self.requests.with_label_values(&[protocol, ErrorKind::Unavailable.as_str()]);
            self.ack_seconds.with_label_values(&[protocol]);
        }
        for limit in [
            Limit::IngestBytes,
            Limit::IngestRecords,
            Limit::Services,
            Limit::NewServices,
            Limit::Windows,
            Limit::Attributes,
            Limit::StoredBytes,
        ] {
            self.limited.with_label_values(&[limit.as_str()]);
        }
        self.tenant_limited.with_label_values(&[TenantLabels::OTHERS]);
        for count in [&self.tenant_records, &self.tenant_line_bytes, &self.tenant_refused_records] {
            count.with_label_values(&[TenantLabels::OTHERS]);
        }
    }

    /// Counts `records` of `tenant` that are durable, and the bytes of their lines.
    pub(crate) fn kept(&self, tenant: &TenantName, records: u64, line_bytes: u64) {
        self.records.inc_by(records);
        self.line_bytes.inc_by(line_bytes);
        let label = [self.tenants.of(tenant)];
        self.tenant_records.with_label_values(&label).inc_by(records);
        self.tenant_line_bytes.with_label_values(&label).inc_by(line_bytes);
    }

    /// Counts a request or record of `tenant` that is over `limit`.
    pub(crate) fn limited(&self, tenant: &TenantName, limit: Limit) {
        self.limited.with_label_values(&[limit.as_str()]).inc();
        self.tenant_limited.with_label_values(&[self.tenants.of(tenant)]).inc();
    }

    /// Tells the bytes at rest of `tenant`, if it has a label of its own: those of several make no sense as one.
    pub(crate) fn stored(&self, tenant: &TenantName, bytes: u64) {
        let label = self.tenants.of(tenant);
        if label != TenantLabels::OTHERS {
            self.tenant_stored.with_label_values(&[label]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// Counts a record of `tenant` that was refused.
    pub(crate) fn refused(&self, tenant: &TenantName, code: FaultCode) {
        self.refused_records.with_label_values(&[code.as_str()]).inc();
        self.tenant_refused_records.with_label_values(&[self.tenants.of(tenant)]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_counted_by_name_within_bounds() {
        let metrics = Metrics::register(&Registry::new(), 1).unwrap();
        for (n, name) in ["acme", "globex", "initech"].into_iter().enumerate() {
            let tenant = TenantName::parse(name).unwrap();
            metrics.kept(&tenant, 10 * (n as u64 + 1), 100);
            metrics.refused(&tenant, FaultCode::Missing);
        }
        let records = |label: &str| metrics.tenant_records.with_label_values(&[label]).get();
        assert_eq!((records("acme"), records(TenantLabels::OTHERS)), (10, 50));
        assert_eq!(metrics.records.get(), 60);
        assert_eq!(metrics.tenant_refused_records.with_label_values(&[TenantLabels::OTHERS]).get(), 2);
        assert_eq!(metrics.refused_records.with_label_values(&["missing"]).get(), 3);
    }
}
