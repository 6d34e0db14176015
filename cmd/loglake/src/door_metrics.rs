//! How fresh it is what decides who is let in.

use std::sync::Arc;
use std::time::Instant;

use loglake_auth::{Authenticator, Registry as Tenants};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGauge, Registry};

/// Registers what a role shows of its tenants and tokens, and of the issuer of people's tokens, as far as it has them.
///
/// # Errors
/// When the registry has such metrics already.
pub(crate) fn register(
    registry: &Registry,
    tenants: Option<Arc<Tenants>>,
    auth: Arc<Authenticator>,
) -> Result<(), prometheus::Error> {
    let tenants_age = Gauge::new(
        "loglake_auth_tenants_age_seconds",
        "How long ago tenants, tokens and limits were last read, or the process began: what was revoked since is still let in.",
    )?;
    let keys = IntGauge::new("loglake_auth_oidc_keys", "Keys of the issuer that are known; at 0 no person is let in.")?;
    let keys_age = Gauge::new(
        "loglake_auth_oidc_keys_age_seconds",
        "How long ago they were last fetched; while the issuer does not answer they stay good.",
    )?;
    registry.register(Box::new(Shown { tenants, auth, began: Instant::now(), tenants_age, keys, keys_age }))
}

/// Looks when it is asked.
struct Shown {
    tenants: Option<Arc<Tenants>>,
    auth: Arc<Authenticator>,
    began: Instant,
    tenants_age: Gauge,
    keys: IntGauge,
    keys_age: Gauge,
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        [self.tenants_age.desc(), self.keys.desc(), self.keys_age.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        if let Some(tenants) = &self.tenants {
            // Never read at all: since the start.
            self.tenants_age.set(tenants.age().min(self.began.elapsed()).as_secs_f64());
            families.extend(self.tenants_age.collect());
        }
        if let Some(oidc) = self.auth.oidc() {
            let (count, age) = oidc.keys();
            self.keys.set(i64::try_from(count).unwrap_or(i64::MAX));
            families.extend(self.keys.collect());
            if let Some(age) = age {
                self.keys_age.set(age.as_secs_f64());
                families.extend(self.keys_age.collect());
            }
        }
        families
    }
}
