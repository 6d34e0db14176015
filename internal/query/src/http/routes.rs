use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query as UrlQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use loglake_api::Refusal;
use loglake_auth::Caller;
use loglake_auth::limits::Limit;
use loglake_model::{ErrorKind, Fault, FaultCode, TenantId};
use tokio::sync::AcquireError;
use tokio::time::{Instant, timeout, timeout_at};

use super::answers::{RequestId, json, refused, refused_as, text};
use super::authorize::authorize;
use super::home::home;
use super::tracing_layer::observe;
use super::{tenant_limits, tenants, tokens};
use crate::Error;
use crate::aggregate::{self, aggregate};
use crate::answer::answer;
use crate::budget::Budget;
use crate::conditions::{self, MAX_BODY_BYTES};
use crate::query::Query;
use crate::request::Request as Asked;
use crate::services::services;
use crate::shared::Shared;

/// How long a client may take to send its body.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// A body of so many bytes is short: it is read whatever others send.
const SHORT_BODY_BYTES: usize = 16 << 10;
/// Longer ones of a tenant that are read at a time: half of all.
const OWN_LONG_BODIES: usize = 32;
/// Queries that may wait for a turn, for each that may run.
const WAITING_PER_TURN: usize = 32;

/// All routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/query", post(query))
        .route("/v1/aggregate", post(count))
        .route("/v1/services", get(list_services))
        .route("/v1/tenants", get(tenants::list).post(tenants::add))
        .route("/v1/tenants/{tenant}/suspend", post(tenants::suspend))
        .route("/v1/tenants/{tenant}/resume", post(tenants::resume))
        .route("/v1/tenants/{tenant}/limits", get(tenant_limits::show).post(tenant_limits::change))
        .route("/v1/tokens", get(tokens::list).post(tokens::add))
        .route("/v1/tokens/{id}/rotate", post(tokens::rotate))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/health", get(|| async { text(StatusCode::OK, "ok\n".to_owned()) }))
        .route("/ready", get(ready))
        .route("/", get(home))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), authorize))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), observe))
        .with_state(shared)
}

async fn nothing_here(Extension(id): Extension<RequestId>) -> Response {
    refused(&Refusal::new(ErrorKind::NotFound, "there is nothing here; `/` says what there is"), &id.0)
}

async fn wrong_method(Extension(id): Extension<RequestId>) -> Response {
    let refusal =
        Refusal::new(ErrorKind::Unsupported, "this route does not take this method; `Allow` names what it takes");
    refused_as(StatusCode::METHOD_NOT_ALLOWED, &refusal, &id.0)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match &*shared.readiness.waiting() {
        [] => text(StatusCode::OK, "ready\n".to_owned()),
        waiting => text(StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", "))),
    }
}

async fn query(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let answered = async {
        let body = match body_of(&shared, request, &id.0).await? {
            Ok(body) => body,
            Err(refused) => return Ok(refused),
        };
        let asked = Asked::parse(&body)?;
        let tenant = tenant_of(&caller, asked.tenant_id.as_deref())?;
        shared.metrics.asked(&tenant);
        let query = query_of(&shared, tenant.clone(), asked)?;
        let (shared, tenant) = (&shared, &tenant);
        in_turn(shared, tenant, began, |budget| async move {
            let page = answer(shared, query, budget).await?;
            tracing::debug!(rows = page.rows, missing = page.missing.len(), "page answered");
            unsent(shared, tenant, page.into_json()?, budget).await
        })
        .await
    };
    answered.await.unwrap_or_else(|error: Error| failed(&error, &id.0))
}

async fn count(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let answered = async {
        let body = match body_of(&shared, request, &id.0).await? {
            Ok(body) => body,
            Err(refused) => return Ok(refused),
        };
        let asked = aggregate::Request::parse(&body)?;
        let tenant = tenant_of(&caller, asked.tenant_id.as_deref())?;
        shared.metrics.asked(&tenant);
        let (shared, tenant) = (&shared, &tenant);
        in_turn(shared, tenant, began, |budget| async move {
            let counts = aggregate(shared, tenant.clone(), asked, budget).await?;
            let counts = serde_json::to_vec(&counts).map_err(|error| Error::Internal(error.to_string()))?;
            unsent(shared, tenant, counts, budget).await
        })
        .await
    };
    answered.await.unwrap_or_else(|error: Error| failed(&error, &id.0))
}

/// The tenant that a body names, if the caller may ask for it; without a name, the caller's own.
fn tenant_of(caller: &Caller, named: Option<&str>) -> Result<TenantId, Error> {
    match named {
        Some(name) => Ok(caller.claim(name)?),
        None => Ok(caller.tenant().clone()),
    }
}

/// The body that was sent; or the answer to a client that sends it too slowly.
pub(super) async fn body_of(shared: &Shared, request: Request, id: &str) -> Result<Result<Bytes, Response>, Error> {
    let (head, body) = request.into_parts();
    let tenant = head.extensions.get::<Caller>().map(Caller::tenant);
    match timeout(BODY_WAIT, read(shared, tenant, &head.headers, body)).await {
        Ok(body) => Ok(Ok(body?)),
        Err(_) => Ok(Err(slow(id))),
    }
}

/// Turns what was asked into a query: the cursor brings its own range.
fn query_of(shared: &Shared, tenant: TenantId, asked: Asked) -> Result<Query, Error> {
    let matcher = asked.filter.compile()?;
    let fingerprint = Query::fingerprint(&tenant, &asked.filter, asked.direction);
    let (range, after) = match &asked.cursor {
        None => (asked.range, None),
        Some(text) => {
            let cursor = shared.cursors.open(text, &tenant, &fingerprint, shared.clock.now_ns())?;
            (cursor.range, Some(cursor.last))
        }
    };
    let Asked { filter, direction, limit, .. } = asked;
    Ok(Query { tenant, filter, matcher, range, direction, limit, after })
}

async fn list_services(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    parameters: Result<UrlQuery<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let began = Instant::now();
    let answered = async {
        let UrlQuery(parameters) =
            parameters.map_err(|error| Fault::new(FaultCode::Malformed, "", error.body_text()))?;
        let (mut from, mut to, mut tenant) = (None, None, caller.tenant().clone());
        for (at, (name, value)) in parameters.iter().enumerate() {
            if parameters[..at].iter().any(|(other, _)| other == name) {
                return Err(Fault::new(FaultCode::DuplicateKey, name, "the parameter stands twice").into());
            }
            match name.as_str() {
                "from_ts" => from = Some(conditions::timestamp_text(name, value)?),
                "to_ts" => to = Some(conditions::timestamp_text(name, value)?),
                "tenant_id" => tenant = caller.claim(value)?,
                _ => {
                    let shown: String = name.chars().take(60).collect();
                    let right = "there is no such parameter; there are from_ts, to_ts and tenant_id";
                    return Err(Fault::new(FaultCode::UnknownField, shown, right).into());
                }
            }
        }
        let range = conditions::range(from, to)?;
        shared.metrics.asked(&tenant);
        let (shared, tenant) = (&shared, &tenant);
        in_turn(shared, tenant, began, |budget| async move {
            let found = services(shared, tenant.clone(), range, budget).await?;
            let found = serde_json::to_vec(&found).map_err(|error| Error::Internal(error.to_string()))?;
            unsent(shared, tenant, found, budget).await
        })
        .await
    };
    answered.await.unwrap_or_else(|error: Error| failed(&error, &id.0))
}

/// The answer with this body of JSON, once there is room for what its client has not taken.
async fn unsent(shared: &Shared, tenant: &TenantId, body: Vec<u8>, budget: Budget) -> Result<Response, Error> {
    let body = shared.unsent.body(tenant, body, budget.deadline).await?;
    Ok(json(Body::new(body)))
}

/// Waits for a turn of the tenant's and one of all, then works within the tenant's limits.
async fn in_turn<T, W: Future<Output = Result<T, Error>>>(
    shared: &Shared,
    tenant: &TenantId,
    began: Instant,
    work: impl FnOnce(Budget) -> W,
) -> Result<T, Error> {
    let limits = shared.limits.of(tenant);
    let budget = Budget::new(began, shared.config.timeout, &limits);
    // `running` counts those that wait, too.
    let _running = Running::new(shared)?;
    let _own = match limits.most(Limit::QueryConcurrency) {
        Some(most) => {
            let turn = shared.tenant_turns.take(tenant, most, budget.deadline).await;
            Some(turn.inspect_err(|_| shared.metrics.limited(tenant, Limit::QueryConcurrency))?)
        }
        None => None,
    };
    let turn = timeout_at(budget.deadline, shared.turns.acquire()).await.map_err(|_| Error::Busy)?;
    let _turn = turn.map_err(|error| Error::Internal(error.to_string()))?;
    shared.metrics.stage("wait", began.elapsed());
    work(budget).await
}

/// Counts a query for as long as it lives.
struct Running<'a>(&'a Shared);

impl<'a> Running<'a> {
    fn new(shared: &'a Shared) -> Result<Self, Error> {
        shared.metrics.running.inc();
        let running = Self(shared);
        let most = shared.config.concurrent.saturating_mul(1 + WAITING_PER_TURN);
        if usize::try_from(shared.metrics.running.get()).unwrap_or(0) > most { Err(Error::Busy) } else { Ok(running) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.metrics.running.dec();
    }
}

/// Reads a body of JSON.
async fn read(shared: &Shared, tenant: Option<&TenantId>, headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    let unsupported = |name: &str, right: &str| Error::from(Fault::new(FaultCode::Unsupported, name, right));
    let is_json =
        |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if let Some(kind) = headers.get(header::CONTENT_TYPE)
        && !kind.to_str().is_ok_and(is_json)
    {
        return Err(unsupported("Content-Type", "the body is application/json"));
    }
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(unsupported("Content-Encoding", "the body of a query is sent as it is, without Content-Encoding"));
    }
    let too_large = |actual: u64| {
        let fault =
            Fault::new(FaultCode::TooLarge, "", format!("the body of a query has at most {MAX_BODY_BYTES} bytes"));
        Error::from(fault.with_limit(MAX_BODY_BYTES as u64, actual))
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = declared
        && length > MAX_BODY_BYTES as u64
    {
        return Err(too_large(length));
    }
    let (mut body, mut whole, mut turns) = (body, BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::from(Fault::new(FaultCode::Malformed, "", format!("the body cannot be read: {error}")))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = whole.len() + data.len();
        if length > MAX_BODY_BYTES {
            return Err(too_large(length as u64));
        }
        if length > SHORT_BODY_BYTES && turns.is_none() {
            let internal = |error: AcquireError| Error::Internal(error.to_string());
            let own = match tenant {
                Some(tenant) => Some(shared.tenant_bodies.wait(tenant, OWN_LONG_BODIES).await.map_err(internal)?),
                None => None,
            };
            turns = Some((own, shared.bodies.acquire().await.map_err(internal)?));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn slow(id: &str) -> Response {
    let refusal = Refusal::new(ErrorKind::Deadline, format!("the body took longer than {BODY_WAIT:?} to arrive"));
    refused_as(StatusCode::REQUEST_TIMEOUT, &refusal, id)
}

pub(super) fn failed(error: &Error, id: &str) -> Response {
    match error.kind() {
        ErrorKind::Internal | ErrorKind::Corrupt => tracing::error!(%error, "query failed"),
        ErrorKind::Unavailable | ErrorKind::Deadline => tracing::warn!(%error, "query failed"),
        _ => tracing::debug!(%error, "query refused"),
    }
    refused(&error.refusal(), id)
}
