use loglake_transport::Tls;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounterVec, IntGauge, Opts, Registry};

/// Registers what a role shows of its certificate.
///
/// # Errors
/// When the registry has such metrics already.
pub fn register_tls_metrics(registry: &Registry, tls: &Tls) -> Result<(), prometheus::Error> {
    let not_after = Gauge::new(
        "loglake_tls_certificate_not_after_seconds",
        "When the certificate in use ends, in seconds since 1970.",
    )?;
    let broken = IntGauge::new(
        "loglake_tls_files_broken",
        "1 while the files of the certificate cannot be used and an earlier one still is, else 0; see the log.",
    )?;
    let reloads =
        Opts::new("loglake_tls_reloads_total", "How often the certificate was read anew, by outcome (ok, failed).");
    let reloads = IntCounterVec::new(reloads, &["outcome"])?;
    registry.register(Box::new(Shown { tls: tls.clone(), not_after, broken, reloads }))
}

/// Looks when it is asked.
struct Shown {
    tls: Tls,
    not_after: Gauge,
    broken: IntGauge,
    reloads: IntCounterVec,
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        [self.not_after.desc(), self.broken.desc(), self.reloads.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.not_after.set(self.tls.not_after_ns() as f64 / 1e9);
        self.broken.set(i64::from(self.tls.is_broken()));
        let (ok, failed) = self.tls.reloads();
        for (outcome, count) in [("ok", ok), ("failed", failed)] {
            let counter = self.reloads.with_label_values(&[outcome]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        [self.not_after.collect(), self.broken.collect(), self.reloads.collect()].concat()
    }
}
