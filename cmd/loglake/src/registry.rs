use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use loglake_auth::{Authenticator, Registry};
use loglake_store::ObjectStore;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ledger::StoreLedger;
use crate::start::Start;
use crate::{parts, token};

/// How long the registry may not have been read until every failure to do so is logged as an error of the operator's concern.
const STALE: Duration = Duration::from_secs(60);

/// Reads the tenants and tokens that `store` keeps, and lets their requests in beside those of the configuration's tokens.
pub(crate) async fn open(
    start: &Start,
    store: Arc<dyn ObjectStore>,
) -> anyhow::Result<(Arc<Registry>, Arc<Authenticator>)> {
    let (registry, auth) = with(start, StoreLedger::new(store, start.config.cluster.as_str()))?;
    registry.refresh().await.context("tenants and tokens")?;
    Ok((registry, auth))
}

/// The same for a role that needs the store for nothing else: while it cannot be reached, the configuration's tokens are all that
/// is known. Only where those are none at all it must be there.
pub(crate) async fn open_later(start: &Start) -> anyhow::Result<(Arc<Registry>, Arc<Authenticator>)> {
    let config = start.config.clone();
    let connect = move || -> BoxFuture<'static, anyhow::Result<Arc<dyn ObjectStore>>> {
        let config = config.clone();
        Box::pin(async move { parts::store_as_it_is(&config).await })
    };
    let ledger = StoreLedger::later(Some(Box::new(connect)), start.config.cluster.as_str());
    let (registry, auth) = with(start, ledger)?;
    match registry.refresh().await {
        Err(error) if start.config.auth.required => return Err(error).context("tenants and tokens"),
        Err(error) => warn!(%error, "tenants and tokens not read yet; only those of the configuration are known"),
        Ok(()) => {}
    }
    Ok((registry, auth))
}

fn with(start: &Start, ledger: StoreLedger) -> anyhow::Result<(Arc<Registry>, Arc<Authenticator>)> {
    let registry = Arc::new(Registry::new(Arc::new(ledger), Arc::clone(&start.clock)));
    let auth = token::authenticator(&start.config)?.with_registry(Arc::clone(&registry));
    Ok((registry, Arc::new(auth)))
}

/// Looks every `interval` for what others changed. A store that does not answer changes nothing about who is let in.
pub(crate) async fn follow(
    registry: Arc<Registry>,
    interval: Duration,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
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
