use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use loglake_api::{Refusal, request_id};

/// The id of the request that is being answered.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// An answer that is JSON.
pub(crate) fn json(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer that is a line of text.
pub(crate) fn text(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// An answer that refuses.
pub(crate) fn refused(refusal: &Refusal, id: &str) -> Response {
    refusal.to_http(id).map(Body::from)
}

/// The same with a status that no kind of error has.
pub(crate) fn refused_as(status: StatusCode, refusal: &Refusal, id: &str) -> Response {
    let mut response = refused(refusal, id);
    *response.status_mut() = status;
    response
}

/// Puts the id on an answer.
pub(crate) fn with_id(mut response: Response, id: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    response
}
