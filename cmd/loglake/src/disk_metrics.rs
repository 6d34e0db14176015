//! The space on the disk of `loglake dev`, measured when metrics are asked for.

use std::sync::{Arc, Weak};

use loglake_broker::EmbeddedLog;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};

struct Disk {
    log: Weak<EmbeddedLog>,
    free: IntGauge,
    reserve: IntGauge,
    refused: IntCounter,
}

/// Registers the metrics of the disk of `log`.
pub(crate) fn register(registry: &Registry, log: &Arc<EmbeddedLog>) -> Result<(), prometheus::Error> {
    registry.register(Box::new(Disk {
        log: Arc::downgrade(log),
        free: IntGauge::new("loglake_disk_free_bytes", "Free space on the disk of the data folder.")?,
        reserve: IntGauge::new("loglake_disk_reserve_bytes", "Of that, what ingest leaves alone.")?,
        refused: IntCounter::new(
            "loglake_disk_refused_appends_total",
            "Messages refused because less than the reserve would have been left.",
        )?,
    }))
}

impl Collector for Disk {
    fn desc(&self) -> Vec<&Desc> {
        [self.free.desc(), self.reserve.desc(), self.refused.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(log) = self.log.upgrade()
            && let Ok(space) = log.space()
        {
            self.free.set(space.free_bytes.cast_signed());
            self.reserve.set(space.reserve_bytes.cast_signed());
            self.refused.inc_by(space.refused.saturating_sub(self.refused.get()));
        }
        [self.free.collect(), self.reserve.collect(), self.refused.collect()].concat()
    }
}
