//! `/v1/tokens`: a tenant's tokens, for its administrators; everybody's, for operators.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query as UrlQuery, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use loglake_auth::{Caller, NewToken, Scope, TokenInfo};
use loglake_model::{Fault, FaultCode, TenantName, Timestamp};
use serde::{Deserialize, Serialize};

use super::answers::RequestId;
use super::routes::{body_of, failed};
use super::tenants::{answer, parse, part, registry, tenant};
use crate::Error;
use crate::shared::Shared;

/// How long a rotated token stays valid when nobody says otherwise.
const OVERLAP: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    tenant_id: Option<String>,
    scopes: Vec<String>,
    expires: Option<String>,
    id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap_seconds: Option<u64>,
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    tenant_id: Option<String>,
}

#[derive(Serialize)]
struct Row {
    /// Only where the token was made just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    id: String,
    tenant_id: TenantName,
    scopes: BTreeSet<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    expires: Option<String>,
}

impl From<NewToken> for Row {
    fn from(made: NewToken) -> Self {
        let NewToken { text, token } = made;
        Self {
            token: Some(text),
            id: token.id,
            tenant_id: token.tenant,
            scopes: token.scopes,
            created: None,
            expires: token.expires_ns.map(|ns| Timestamp(ns).to_string()),
        }
    }
}

impl From<TokenInfo> for Row {
    fn from(info: TokenInfo) -> Self {
        Self {
            token: None,
            id: info.id,
            tenant_id: info.tenant,
            scopes: info.scopes,
            created: Some(Timestamp(info.created_ns).to_string()),
            expires: info.ends_ns.map(|ns| Timestamp(ns).to_string()),
        }
    }
}

/// Whose tokens the caller may see and end: its own tenant's; `None` for everybody's.
fn owner(caller: &Caller) -> Option<&TenantName> {
    (!caller.has(Scope::Operator)).then(|| caller.tenant().name())
}

fn expires(text: Option<&str>) -> Result<Option<i64>, Error> {
    let wrong = |error| Fault::new(FaultCode::Invalid, "expires", format!("{error}"));
    Ok(text.map(Timestamp::parse).transpose().map_err(wrong)?.map(|moment| moment.0))
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    parameters: Result<UrlQuery<Listed>, QueryRejection>,
) -> Response {
    let listed = async {
        let malformed = |error: QueryRejection| Fault::new(FaultCode::UnknownField, "", error.body_text());
        let UrlQuery(asked) = parameters.map_err(malformed)?;
        let named = match (owner(&caller), asked.tenant_id.as_deref()) {
            (Some(_), Some(text)) => Some(caller.claim(text)?.name().clone()),
            (Some(own), None) => Some(own.clone()),
            (None, Some(text)) => Some(tenant("tenant_id", text)?),
            (None, None) => None,
        };
        let registry = registry(&shared)?;
        registry.refresh().await?;
        let rows: Vec<Row> = registry.tokens(named.as_ref()).into_iter().map(Row::from).collect();
        Ok(serde_json::json!({ "tokens": rows }))
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
    answer(StatusCode::CREATED, make(&shared, &caller, &body).await, &id.0)
}

async fn make(shared: &Shared, caller: &Caller, body: &[u8]) -> Result<Row, Error> {
    let New { tenant_id, scopes, expires: ends, id } = parse(body)?;
    let scope = |name: &String| {
        let right = format!("there is no scope {name:?}, only ingest, query, admin and operator");
        name.parse::<Scope>().map_err(|()| Error::from(Fault::new(FaultCode::Invalid, "scopes", right)))
    };
    let scopes = scopes.iter().map(scope).collect::<Result<BTreeSet<_>, _>>()?;
    let is_operator = caller.has(Scope::Operator);
    let of = match tenant_id.as_deref() {
        None => caller.tenant().name().clone(),
        Some(text) if is_operator => tenant("tenant_id", text)?,
        Some(text) => caller.claim(text)?.name().clone(),
    };
    // An id of one's own choice would tell whether another tenant has it.
    if !is_operator && (id.is_some() || scopes.contains(&Scope::Operator)) {
        return Err(loglake_auth::Error::OperatorOnly.into());
    }
    let (is_own, by) = (of == *caller.tenant().name(), caller.name());
    let made = registry(shared)?.add_token(&of, scopes, expires(ends.as_deref())?, id, is_own, &by);
    Ok(made.await?.into())
}

pub(super) async fn rotate(
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
    let rotated = async {
        let token = part(path)?;
        let asked: Rotation = if body.is_empty() { Rotation::default() } else { parse(&body)? };
        let overlap = asked.overlap_seconds.map_or(OVERLAP, Duration::from_secs);
        let (ends, by) = (expires(asked.expires.as_deref())?, caller.name());
        let made = registry(&shared)?.rotate_token(&token, owner(&caller), overlap, ends, &by);
        Ok(Row::from(made.await?))
    };
    answer(StatusCode::CREATED, rotated.await, &id.0)
}

pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let revoked = async {
        let token = part(path)?;
        registry(&shared)?.revoke_token(&token, owner(&caller), &caller.name()).await?;
        Ok(serde_json::json!({ "id": token, "revoked": true }))
    };
    answer(StatusCode::OK, revoked.await, &id.0)
}
