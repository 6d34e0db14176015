//! What every role's metrics begin with: which build it is, whether it can serve, what the process takes.

use loglake_model::Readiness;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

/// The revision that was built, where the build was told (`deploy/Dockerfile` does).
const REVISION: &str = match option_env!("LOGLAKE_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Registers what every role shows, for `role` of this `version`.
///
/// # Errors
/// When the registry has such metrics already.
pub fn register_process_metrics(
    registry: &Registry,
    role: &str,
    version: &str,
    readiness: Readiness,
) -> Result<(), prometheus::Error> {
    let build = Opts::new("loglake_build_info", "1; its labels say which build this is.");
    let build = IntGaugeVec::new(build, &["role", "version", "revision"])?;
    build.with_label_values(&[role, version, REVISION]).set(1);
    registry.register(Box::new(build))?;
    let ready = IntGauge::new("loglake_ready", "1 while every role of this process can serve, else 0; as `/ready`.")?;
    registry.register(Box::new(Ready { readiness, ready }))?;
    registry.register(Box::new(ProcessCollector::for_self()))
}

/// Looks when it is asked.
struct Ready {
    readiness: Readiness,
    ready: IntGauge,
}

impl Collector for Ready {
    fn desc(&self) -> Vec<&Desc> {
        self.ready.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.ready.set(i64::from(self.readiness.waiting().is_empty()));
        self.ready.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_and_readiness_are_shown() {
        let (registry, readiness) = (Registry::new(), Readiness::default());
        let flag = readiness.role("query");
        register_process_metrics(&registry, "query", "1.2.3", readiness).unwrap();
        let text = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text().contains("\nloglake_ready 0\n"), "{}", text());
        flag.set(true);
        let text = text();
        assert!(text.contains("\nloglake_ready 1\n") && text.contains("\nprocess_resident_memory_bytes "), "{text}");
        let build = text.lines().find(|line| line.starts_with("loglake_build_info{")).unwrap();
        assert!(
            build.contains("role=\"query\"") && build.contains("version=\"1.2.3\"") && build.ends_with(" 1"),
            "{build}"
        );
    }
}
