//! `/v1/tenants`: which tenants there are. For operators.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use loglake_auth::{Caller, Registry};
use loglake_model::{Fault, FaultCode, TenantName, Timestamp};
use serde::{Deserialize, Serialize};

use super::answers::{RequestId, json};
use super::routes::{body_of, failed};
use crate::Error;
use crate::shared::Shared;

#[derive(Serialize)]
struct Row {
    tenant_id: String,
    created: String,
    suspended: bool,
    tokens: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    tenant_id: String,
}

/// The registry, where this process has one.
pub(super) fn registry(shared: &Shared) -> Result<&Arc<Registry>, Error> {
    Ok(shared.auth.registry().ok_or(loglake_auth::Error::NoRegistry)?)
}

/// The name of a tenant that `place` holds.
pub(super) fn tenant(place: &'static str, text: &str) -> Result<TenantName, Error> {
    Ok(TenantName::parse(text).map_err(|source| loglake_auth::Error::InvalidTenant { place, source })?)
}

/// A body of JSON; a key that there is not, or that stands twice, is named.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let malformed = |error: serde_json::Error| Fault::new(FaultCode::Malformed, "", format!("the body: {error}"));
    Ok(serde_json::from_slice(body).map_err(malformed)?)
}

/// The answer to an operation.
pub(super) fn answer<T: Serialize>(status: StatusCode, done: Result<T, Error>, id: &str) -> Response {
    let bytes =
        done.and_then(|body| serde_json::to_vec(&body).map_err(|error| Error::Internal(format!("an answer: {error}"))));
    match bytes {
        Ok(bytes) => {
            let mut response = json(bytes);
            *response.status_mut() = status;
            response
        }
        Err(error) => failed(&error, id),
    }
}

/// A part of the path, decoded once.
pub(super) fn part(path: Result<Path<String>, PathRejection>) -> Result<String, Error> {
    let wrong = |error: PathRejection| Fault::new(FaultCode::Malformed, "", error.body_text());
    Ok(path.map(|Path(text)| text).map_err(wrong)?)
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, Extension(id): Extension<RequestId>) -> Response {
    let listed = async {
        let registry = registry(&shared)?;
        registry.refresh().await?;
        let rows = registry.tenants().into_iter().map(|tenant| Row {
            tenant_id: tenant.tenant.to_string(),
            created: Timestamp(tenant.created_ns).to_string(),
            suspended: tenant.is_suspended,
            tokens: tenant.tokens,
        });
        Ok(serde_json::json!({ "tenants": rows.collect::<Vec<_>>() }))
    };
    answer(StatusCode::OK, listed.await, &id.0)
}

pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let body = match body_of(&shared, request, &id.0).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return refused,
        Err(error) => return failed(&error, &id.0),
    };
    let added = async {
        let asked: New = parse(&body)?;
        let tenant = tenant("tenant_id", &asked.tenant_id)?;
        registry(&shared)?.add_tenant(&tenant, &caller.name()).await?;
        Ok(serde_json::json!({ "tenant_id": tenant }))
    };
    answer(StatusCode::CREATED, added.await, &id.0)
}

pub(super) async fn suspend(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    answer(StatusCode::OK, set(&shared, &caller, path, true).await, &id.0)
}

pub(super) async fn resume(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    answer(StatusCode::OK, set(&shared, &caller, path, false).await, &id.0)
}

async fn set(
    shared: &Shared,
    caller: &Caller,
    path: Result<Path<String>, PathRejection>,
    is_suspended: bool,
) -> Result<serde_json::Value, Error> {
    let tenant = tenant("tenant", &part(path)?)?;
    registry(shared)?.suspend_tenant(&tenant, is_suspended, &caller.name()).await?;
    Ok(serde_json::json!({ "tenant_id": tenant, "suspended": is_suspended }))
}
