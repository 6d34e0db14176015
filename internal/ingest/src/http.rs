//! The HTTP surface: `POST /v1/ingest`, `/health` and `/ready`.

mod answer;
mod body;
mod ingest;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use loglake_api::Refusal;
use loglake_auth::{Asked, Surface, access, allowed};
use loglake_model::{ErrorKind, Peer};

use crate::request_id::{RequestId, attach};
use crate::shared::{Shared, at_work, going_down, unwelcome, while_at_work};

/// The protocol's name in metrics.
const PROTOCOL: &str = "http";

/// Everything that is answered on the HTTP port.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/ingest", post(ingest::ingest))
        .route("/health", get(|| async { is_ok("ok") }))
        .route("/ready", get(ready))
        .route_layer(from_fn_with_state(Arc::clone(shared), authorize))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(from_fn(attach))
        .with_state(Arc::clone(shared))
}

/// Lets through who may make this call, before anything of the body is looked at, and says to the rest of the way who it is.
async fn authorize(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let access = access(Surface::IngestHttp, request.method(), path);
    let id = request.extensions().get::<RequestId>().map_or("", |id| id.0.as_str());
    let (headers, peer) = (request.headers(), request.extensions().get::<Peer>());
    let call = (request.method().as_str(), request.uri().path());
    let work =
        match shared.auth.authorize(&Asked { headers, peer, access, call, request_id: id }, shared.clock.now_ns()) {
            Ok(caller) => match at_work(&mut request, caller) {
                Ok(work) => work,
                Err(refusal) => {
                    shared.count(PROTOCOL, Some(refusal.kind), Some(began));
                    let id = request.extensions().get::<RequestId>().map_or("", |id| id.0.as_str());
                    return refusal.to_http(id).map(Body::from);
                }
            },
            Err(error) => {
                shared.count(PROTOCOL, Some(error.kind()), Some(began));
                return unwelcome(&error).to_http(id).map(Body::from);
            }
        };
    while_at_work(next.run(request).await, work)
}

async fn ready(State(shared): State<Arc<Shared>>, Extension(RequestId(id)): Extension<RequestId>) -> Response {
    if shared.draining.is_cancelled() { going_down().to_http(&id).map(Body::from) } else { is_ok("ready") }
}

async fn not_found(Extension(RequestId(id)): Extension<RequestId>) -> Response {
    Refusal::new(ErrorKind::NotFound, "there is nothing at this path").to_http(&id).map(Body::from)
}

async fn wrong_method(Extension(RequestId(id)): Extension<RequestId>, path: MatchedPath, method: Method) -> Response {
    let right = allowed(Surface::IngestHttp, path.as_str());
    let refusal =
        Refusal::new(ErrorKind::Unsupported, format!("the method {method} is not for this path: use {right}"));
    let mut response = refusal.to_http(&id).map(Body::from);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    if let Ok(right) = HeaderValue::from_str(&right) {
        response.headers_mut().insert(ALLOW, right);
    }
    response
}

fn is_ok(status: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{{\"status\":\"{status}\"}}")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
