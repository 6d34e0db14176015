//! The HTTP surface: `POST /v1/ingest`, `/health` and `/ready`.

mod answer;
mod body;
mod ingest;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use loglake_api::Refusal;
use loglake_model::ErrorKind;

use crate::request_id::{RequestId, attach};
use crate::shared::{Shared, going_down};

/// Everything that is answered on the HTTP port.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/ingest", post(ingest::ingest).fallback(|id, method| wrong_method(id, method, "POST")))
        .route("/health", get(|| async { is_ok("ok") }).fallback(|id, method| wrong_method(id, method, "GET, HEAD")))
        .route("/ready", get(ready).fallback(|id, method| wrong_method(id, method, "GET, HEAD")))
        .fallback(not_found)
        .layer(from_fn(attach))
        .with_state(Arc::clone(shared))
}

async fn ready(State(shared): State<Arc<Shared>>, Extension(RequestId(id)): Extension<RequestId>) -> Response {
    if shared.draining.is_cancelled() { going_down().to_http(&id).map(Body::from) } else { is_ok("ready") }
}

async fn not_found(Extension(RequestId(id)): Extension<RequestId>) -> Response {
    Refusal::new(ErrorKind::NotFound, "there is nothing at this path").to_http(&id).map(Body::from)
}

async fn wrong_method(Extension(RequestId(id)): Extension<RequestId>, method: Method, right: &'static str) -> Response {
    let refusal =
        Refusal::new(ErrorKind::Unsupported, format!("the method {method} is not for this path: use {right}"));
    let mut response = refusal.to_http(&id).map(Body::from);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(right));
    response
}

fn is_ok(status: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{{\"status\":\"{status}\"}}")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
