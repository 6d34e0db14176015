use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use loglake_api::{ErrorDetail, Refusal};
use loglake_model::{ErrorKind, FaultCode};
use serde::Serialize;

use crate::grpc::failure_text;
use crate::intake::{Outcome, Refused};
use crate::shared::refusal_of;

/// The answer of `POST /v1/ingest`.
#[derive(Serialize)]
struct Answer {
    /// Only where nothing, or not all that could be, was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDetail>,
    accepted: u64,
    rejected: u64,
    errors: Vec<LineError>,
}

/// What is wrong with one record.
#[derive(Serialize)]
struct LineError {
    /// Its line, or its place in an array, from 1.
    line: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<u64>,
}

impl From<Refused> for LineError {
    fn from(refused: Refused) -> Self {
        let fault = refused.fault;
        Self {
            line: refused.place,
            field: fault.field,
            code: fault.code.as_str(),
            message: fault.message,
            limit: fault.limit,
            actual: fault.actual,
        }
    }
}

/// What the client is told about its records: 200; 400 when it sent some and none was kept, 429 when some of those may be kept
/// later; 503, 429 or 507 when the
/// broker failed. The second value is the kind of error, for the metrics.
pub(super) fn answer(outcome: Outcome, request_id: &str) -> (Response, Option<ErrorKind>) {
    let Outcome { accepted, refused, told, over, failure } = outcome;
    let refusal = match (failure, told.first()) {
        (Some(kind), _) => Some(Refusal::new(kind, failure_text(kind))),
        (None, Some(_)) if accepted == 0 && over.is_some() => {
            over.map(|(place, over)| refusal_of(&over).at_record(place.saturating_sub(1)))
        }
        (None, Some(first)) if accepted == 0 => {
            let mut fault = first.fault.clone();
            let many = if refused == 1 { "the record".to_owned() } else { format!("none of the {refused} records") };
            let verb = if refused == 1 { "is not kept" } else { "is kept" };
            fault.message = format!("{many} {verb}; line {}: {}", first.place, fault.message);
            let kind = if fault.code == FaultCode::Forbidden { ErrorKind::Forbidden } else { ErrorKind::Invalid };
            Some(Refusal::of(kind, fault).at_record(first.place.saturating_sub(1)))
        }
        _ => None,
    };
    let answer = Answer {
        error: refusal.as_ref().map(|refusal| refusal.body(request_id).error),
        accepted,
        rejected: refused,
        errors: told.into_iter().map(LineError::from).collect(),
    };
    // A struct of texts and numbers always serialises.
    let body = Body::from(serde_json::to_vec(&answer).unwrap_or_default());
    let mut response = match &refusal {
        Some(refusal) => refusal.to_http(request_id).map(|_| body),
        None => Response::new(body),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (response, refusal.map(|refusal| refusal.kind))
}
