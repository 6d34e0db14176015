use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use loglake_api::{Refusal, request_id};
use loglake_model::ErrorKind;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::answers::{RequestId, refused, with_id};
use crate::shared::Shared;

/// Gives every request its id, takes down what became of it, and logs under the caller's trace where there is one.
pub(super) async fn observe(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id =
        request_id::given(request.headers()).map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned);
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let trace_id = traceparent.and_then(trace_id).unwrap_or_default().to_owned();
    let span = tracing::info_span!("request", request_id = %id, trace_id, route);
    request.extensions_mut().insert(RequestId(id.clone()));
    let running = AssertUnwindSafe(next.run(request).instrument(span.clone())).catch_unwind();
    let response = running.await.unwrap_or_else(|_| {
        span.in_scope(|| tracing::error!("a request panicked"));
        let refusal = Refusal::new(ErrorKind::Internal, "something went wrong here; report it with the request's id");
        refused(&refusal, &id)
    });
    let (status, took) = (response.status(), began.elapsed());
    shared.metrics.requests.with_label_values(&[route.as_str(), status.as_str()]).inc();
    shared.metrics.request_seconds.with_label_values(&[route.as_str()]).observe(took.as_secs_f64());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), took_ms = took.as_millis() as u64, "request answered"));
    with_id(response, &id)
}

/// The trace that a `traceparent` names (W3C Trace Context, level 1: `version-trace id-parent id-flags`).
pub(crate) fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    // Only version 00 has nothing after its flags.
    let is_right = is_whole && version != "ff" && (version != "00" || parts.next().is_none());
    (is_right && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_taken_only_in_their_form() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(&format!("00-{trace}-b7ad6b7169203331-01")), Some(trace));
        assert_eq!(trace_id(&format!("01-{trace}-b7ad6b7169203331-01-more")), Some(trace));
        for bad in [
            format!("00-{trace}-b7ad6b7169203331-01-more"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            "00".to_owned(),
        ] {
            assert_eq!(trace_id(&bad), None, "{bad}");
        }
    }
}
