use std::sync::Arc;

use loglake_model::TenantName;

use super::{Limits, Overrides};
use crate::Registry;

/// What holds for which tenant: the configuration's defaults, and what operators said of single tenants, as of the registry's
/// last refresh.
#[derive(Clone, Debug)]
pub struct TenantLimits {
    defaults: Limits,
    registry: Option<Arc<Registry>>,
}

impl TenantLimits {
    /// Makes it of the defaults; without a registry they hold for all.
    #[must_use]
    pub fn new(defaults: Limits, registry: Option<Arc<Registry>>) -> Self {
        Self { defaults, registry }
    }

    /// No limits for anybody.
    #[must_use]
    pub fn none() -> Self {
        Self::new(Limits::none(), None)
    }

    /// The limits of `tenant` at this moment.
    #[must_use]
    pub fn of(&self, tenant: &TenantName) -> Limits {
        match self.registry.as_ref().and_then(|registry| registry.tenant(tenant)) {
            Some(live) => self.defaults.over(&live.limits()),
            None => self.defaults,
        }
    }

    /// What operators said of `tenant`.
    #[must_use]
    pub fn overrides(&self, tenant: &TenantName) -> Arc<Overrides> {
        let live = self.registry.as_ref().and_then(|registry| registry.tenant(tenant));
        live.map(|live| live.limits()).unwrap_or_default()
    }
}
