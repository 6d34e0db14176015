use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use loglake_auth::{Asked, Surface, access};
use loglake_model::{Fault, FaultCode, Peer};
use loglake_transport::{Crowded, Worker, Working};

use super::answers::RequestId;
use super::routes::failed;
use crate::Error;
use crate::shared::Shared;

/// Lets through who may make this call, before anything of the body is looked at, and says to the rest of the way who it is. A
/// route that stands in no row of the table is open to nobody.
pub(super) async fn authorize(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let access = access(Surface::QueryHttp, request.method(), path);
    let id = request.extensions().get::<RequestId>().map_or("", |id| id.0.as_str());
    let (headers, peer) = (request.headers(), request.extensions().get::<Peer>());
    let call = (request.method().as_str(), request.uri().path());
    let caller =
        match shared.auth.authorize(&Asked { headers, peer, access, call, request_id: id }, shared.clock.now_ns()) {
            Ok(caller) => caller,
            Err(error) => return failed(&Error::from(error), id),
        };
    let Some(caller) = caller else { return next.run(request).await };
    // For calls that need no credential a connection is not at work: strangers must not keep places.
    let work = request.extensions().get::<Worker>().map(|worker| worker.work_for(caller.tenant().as_str()));
    let work = match work.transpose() {
        Ok(work) => work,
        Err(Crowded) => return failed(&crowded(), id),
    };
    request.extensions_mut().insert(caller);
    let answer = next.run(request).await;
    match work {
        Some(work) => answer.map(|body| Body::new(Working::new(body, work))),
        None => answer,
    }
}

fn crowded() -> Error {
    let message = "the tenant has most of the connections at work here: use fewer, or come again";
    Fault::new(FaultCode::RateLimited, "", message).into()
}
