use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use loglake_auth::{Audit, AuditTrail, Authenticator, Registry};
use loglake_broker::Producer;
use loglake_ingest::AuditWriter;
use loglake_model::Clock;
use loglake_service::Config;
use loglake_store::ObjectStore;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ledger::StoreLedger;
use crate::roles::Roles;
use crate::start::Start;
use crate::{door_metrics, oidc, parts, token};

/// How long the registry may not have been read until every failure to do so is logged as an error of the operator's concern.
const STALE: Duration = Duration::from_secs(60);

/// Who is let in.
pub(crate) struct Doors {
    /// The tenants and tokens that can be changed; none where there is no object store.
    pub(crate) tenants: Option<Arc<Registry>>,
    pub(crate) auth: Arc<Authenticator>,
    /// What is to be written down of it; nothing where everything is open.
    pub(crate) trail: Option<AuditTrail>,
}

/// Reads the tenants and tokens that `store` keeps, and lets their requests in beside those of the configuration's tokens.
pub(crate) async fn open(start: &Start, store: Arc<dyn ObjectStore>) -> anyhow::Result<Doors> {
    let doors = with(start, Some(StoreLedger::new(store, start.config.cluster.as_str())))?;
    refresh(&doors).await.context("tenants and tokens")?;
    Ok(doors)
}

/// Lets in whom the configuration names.
pub(crate) fn configured(start: &Start) -> anyhow::Result<Doors> {
    with(start, None)
}

/// The same for a role that needs the store for nothing else: while it cannot be reached, the configuration's tokens are all that
/// is known. Only where those are none at all it must be there.
pub(crate) async fn open_later(start: &Start) -> anyhow::Result<Doors> {
    let config = start.config.clone();
    let connect = move || -> BoxFuture<'static, anyhow::Result<Arc<dyn ObjectStore>>> {
        let config = config.clone();
        Box::pin(async move { parts::store_as_it_is(&config).await })
    };
    let ledger = StoreLedger::later(Some(Box::new(connect)), start.config.cluster.as_str());
    let doors = with(start, Some(ledger))?;
    match refresh(&doors).await {
        Err(error) if start.config.auth.required => return Err(error).context("tenants and tokens"),
        Err(error) => warn!(%error, "tenants and tokens not read yet; only those of the configuration are known"),
        Ok(()) => {}
    }
    Ok(doors)
}

async fn refresh(doors: &Doors) -> Result<(), loglake_auth::Error> {
    match &doors.tenants {
        Some(tenants) => tenants.refresh().await,
        None => Ok(()),
    }
}

fn with(start: &Start, ledger: Option<StoreLedger>) -> anyhow::Result<Doors> {
    let (audit, trail) = if start.config.is_open() {
        (Audit::off(), None)
    } else {
        let (audit, trail) = Audit::new(Arc::clone(&start.clock));
        (audit, Some(trail))
    };
    let mut auth = token::authenticator(&start.config)?.with_audit(audit.clone());
    let tenants =
        ledger.map(|ledger| Arc::new(Registry::new(Arc::new(ledger), Arc::clone(&start.clock)).with_audit(audit)));
    if let Some(tenants) = &tenants {
        auth = auth.with_registry(Arc::clone(tenants));
    }
    Ok(Doors { tenants, auth: Arc::new(auth), trail })
}

impl Doors {
    /// Shows in `registry` how fresh it is what is known of whom to let in.
    ///
    /// # Errors
    /// When the registry has such metrics already.
    pub(crate) fn show(&self, registry: &prometheus::Registry) -> anyhow::Result<()> {
        door_metrics::register(registry, self.tenants.clone(), Arc::clone(&self.auth)).context("metrics")
    }

    /// Starts what keeps them right while the process runs: the registry's changes, the issuer's keys, the audit log. Takes the
    /// trail. To be started before the roles that let somebody in, so that it ends after them.
    pub(crate) fn start(
        &mut self,
        config: &Config,
        roles: &mut Roles,
        producer: Arc<dyn Producer>,
        partitions: u32,
        clock: Arc<dyn Clock>,
    ) {
        if let Some(trail) = self.trail.take() {
            let writer = AuditWriter { producer, partitions, clock, trail };
            roles.start("audit", |stop| writer.run(stop));
        }
        if let Some(tenants) = self.tenants.clone() {
            roles.start("tenants", |stop| follow(tenants, config.auth.refresh, stop));
        }
        let auth = Arc::clone(&self.auth);
        roles.start("issuer", |stop| oidc::follow(auth, config.clone(), stop));
    }
}

/// Looks every `interval` for what others changed. A store that does not answer changes nothing about who is let in.
async fn follow(registry: Arc<Registry>, interval: Duration, shutdown: CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(interval) => {}
        }
        if let Err(error) = registry.refresh().await {
            let age = registry.age();
            if age >= STALE {
                tracing::error!(%error, ?age, "tenants and tokens not read; what was revoked since is still let in");
            } else {
                warn!(%error, ?age, "tenants and tokens not read");
            }
        }
    }
}
