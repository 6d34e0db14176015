use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use loglake_auth::{Asked, Surface, access};
use loglake_model::Peer;

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
    match shared.auth.authorize(&Asked { headers, peer, access, call, request_id: id }, shared.clock.now_ns()) {
        Ok(Some(caller)) => drop(request.extensions_mut().insert(caller)),
        Ok(None) => {}
        Err(error) => return failed(&Error::from(error), id),
    }
    next.run(request).await
}
