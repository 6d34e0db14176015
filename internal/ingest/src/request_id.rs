use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use loglake_api::request_id;

/// The id of the request at hand.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// Gives every request an id, the caller's own where it is valid, and puts it on the answer.
pub(crate) async fn attach(mut request: Request, next: Next) -> Response {
    let id = match request_id::given(request.headers()) {
        Some(given) => given.to_owned(),
        None => format!("{:032x}", rand::random::<u128>()),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    response
}
