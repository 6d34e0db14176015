//! `/v1/tenants/{tenant}/limits`: how much a tenant may take, and who said so. For operators.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use loglake_auth::Caller;
use loglake_auth::limits::{Limit, Overrides};
use loglake_model::{Fault, FaultCode, TenantName};
use serde::Serialize;

use super::answers::RequestId;
use super::routes::{body_of, failed};
use super::tenants::{answer, parse, part, registry, tenant};
use crate::Error;
use crate::shared::Shared;

/// How long the index may take to say how much is stored.
const STORED_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Row {
    /// 0 is unlimited.
    value: u64,
    /// `default`: the configuration's; `tenant`: its own.
    from: &'static str,
}

#[derive(Serialize)]
struct Shown {
    tenant_id: TenantName,
    limits: BTreeMap<Limit, Row>,
    /// What is at rest now; null while that is not known for certain.
    stored_bytes: Option<u64>,
}

/// What holds for `tenant`.
async fn shown(shared: &Shared, tenant: TenantName) -> Shown {
    let (limits, own) = (shared.limits.of(&tenant), shared.limits.overrides(&tenant));
    let row = |limit: Limit| {
        let from = if own.contains_key(&limit) { "tenant" } else { "default" };
        (limit, Row { value: limits.get(limit), from })
    };
    let limits = Limit::ALL.into_iter().map(row).collect();
    let stored_bytes = stored(shared, &tenant).await;
    Shown { tenant_id: tenant, limits, stored_bytes }
}

/// What is at rest of `tenant`, if that can be said soon. It is told along with the rest, which must not fail with it.
async fn stored(shared: &Shared, tenant: &TenantName) -> Option<u64> {
    match tokio::time::timeout(STORED_TIMEOUT, shared.stored_bytes(tenant)).await {
        Ok(Ok((bytes, 0))) => Some(bytes),
        Ok(Ok((_, lacking))) => {
            tracing::info!(%tenant, lacking, "stored bytes not told: the index of some partitions waits for its rebuild");
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(%tenant, %error, "stored bytes not told");
            None
        }
        Err(_) => {
            tracing::warn!(%tenant, "stored bytes not told: the index does not answer");
            None
        }
    }
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let showing = async {
        let (tenant, registry) = (tenant("tenant", &part(path)?)?, registry(&shared)?);
        registry.refresh().await?;
        if !registry.tenants().iter().any(|known| known.tenant == tenant) {
            return Err(loglake_auth::Error::NoSuch("tenant").into());
        }
        Ok(shown(&shared, tenant).await)
    };
    answer(StatusCode::OK, showing.await, &id.0)
}

/// Takes an object of limits: a number sets one, null gives it back to the default; others stay as they are.
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let body = match body_of(&shared, request, &id.0).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return refused,
        Err(error) => return failed(&error, &id.0),
    };
    let changing = async {
        let tenant = tenant("tenant", &part(path)?)?;
        let (set, unset) = changes(&body)?;
        registry(&shared)?.limit_tenant(&tenant, &set, &unset, &caller.name()).await?;
        Ok(shown(&shared, tenant).await)
    };
    answer(StatusCode::OK, changing.await, &id.0)
}

/// What a body sets, and what it gives back.
fn changes(body: &[u8]) -> Result<(Overrides, BTreeSet<Limit>), Error> {
    let asked: BTreeMap<String, serde_json::Value> = parse(body)?;
    let (mut set, mut unset) = (Overrides::new(), BTreeSet::new());
    for (name, value) in asked {
        let names = || Limit::ALL.map(Limit::as_str).join(", ");
        let unknown = |name: &str| {
            let shown: String = name.chars().take(60).collect();
            Fault::new(FaultCode::UnknownField, shown, format!("there is no such limit; there are {}", names()))
        };
        let limit = Limit::named(&name).ok_or_else(|| unknown(&name))?;
        match value {
            serde_json::Value::Null => drop(unset.insert(limit)),
            value => {
                let wrong =
                    || Fault::new(FaultCode::Invalid, limit.as_str(), "it is a whole number, or null for the default");
                set.extend([(limit, value.as_u64().ok_or_else(wrong)?)]);
            }
        }
    }
    if set.is_empty() && unset.is_empty() {
        return Err(Fault::new(FaultCode::Missing, "", "the body names no limit").into());
    }
    Ok((set, unset))
}
