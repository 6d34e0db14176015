//! The issuer of people's tokens: finds its keys, and keeps them fresh.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use loglake_auth::{Authenticator, Oidc, OidcConfig};
use loglake_service::{Config, Outgoing};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Where an issuer says what it is (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = ".well-known/openid-configuration";
/// However many tokens name a key that is not known: the keys are fetched no more often.
const LEAST_PAUSE: Duration = Duration::from_secs(10);

/// What verifies people's tokens, as configured; `None` without an issuer.
pub(crate) fn settings(config: &Config) -> Option<OidcConfig> {
    let of = &config.oidc;
    Some(OidcConfig {
        issuer: of.issuer.clone()?,
        audience: of.audience.clone(),
        algorithms: of.algorithms.as_slice().to_vec(),
        tenant: of.tenant.clone(),
        tenant_claim: of.tenant_claim.clone(),
        scopes: of.scopes.as_slice().to_vec(),
        scope_claim: of.scope_claim.clone(),
    })
}

/// Fetches the issuer's keys now and again. While it does not answer, those it had stay good.
pub(crate) async fn follow(
    auth: Arc<Authenticator>,
    config: Config,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (Some(oidc), Some(issuer)) = (auth.oidc(), config.oidc.issuer.as_deref()) else {
        shutdown.cancelled().await;
        return Ok(());
    };
    let outgoing = Outgoing::new(config.outgoing.inside_hosts.as_slice(), config.outgoing.ca_file.as_deref())?;
    let mut known = None;
    loop {
        let began = Instant::now();
        let fetched = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            fetched = fetch(&outgoing, oidc, issuer) => fetched,
        };
        let pause = match fetched {
            Ok(keys) => {
                if known.replace(keys) != Some(keys) {
                    info!(issuer, keys, "the issuer's keys are known");
                }
                config.oidc.refresh
            }
            Err(error) => {
                warn!(
                    issuer,
                    error = format!("{error:#}"),
                    has_keys = known.is_some(),
                    "the issuer's keys were not fetched"
                );
                LEAST_PAUSE
            }
        };
        let sooner = async {
            oidc.unknown_key().await;
            tokio::time::sleep_until(began + LEAST_PAUSE).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
            () = sooner => {}
        }
    }
}

/// Asks the issuer where its keys are, and takes them; how many there are.
async fn fetch(outgoing: &Outgoing, oidc: &Oidc, issuer: &str) -> anyhow::Result<usize> {
    let place = format!("{}/{DISCOVERY}", issuer.trim_end_matches('/'));
    let document: Value = serde_json::from_slice(&outgoing.get(&place).await?).with_context(|| place.clone())?;
    // Section 4.3: it must be the one that was asked.
    if document["issuer"].as_str() != Some(issuer) {
        bail!(
            "{place} is of the issuer {}, not {issuer:?}: set oidc.issuer to exactly that if it is meant",
            document["issuer"]
        );
    }
    let keys = document["jwks_uri"].as_str().with_context(|| format!("{place} names no jwks_uri"))?;
    Ok(oidc.take_keys(&outgoing.get(keys).await?)?)
}
