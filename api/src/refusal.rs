use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use loglake_model::{ErrorKind, Fault, FaultCode};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{ErrorBody, ErrorDetail, request_id, status};

/// The domain of every `google.rpc.ErrorInfo` we send.
const DOMAIN: &str = "loglake";

/// A request that is not done: the same thing said over HTTP or gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the caller does next; decides the status.
    pub kind: ErrorKind,
    /// What is wrong, where, and what would be right.
    pub fault: Box<Fault>,
    /// The record at fault, from 0.
    pub record_index: Option<u64>,
    /// How many of the request's records are durable nevertheless, where that is the question.
    pub accepted: Option<u64>,
    /// When to try again: `Retry-After` in whole seconds, rounded up, or `google.rpc.RetryInfo`.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// How long callers are asked to wait when nothing better is known.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// Makes a refusal of `kind`, with that kind's own code and, if trying again may help, the time to wait.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::of(kind, Fault::new(status::code(kind), "", message))
    }

    /// Makes a refusal of `kind` for `fault`.
    #[must_use]
    pub fn of(kind: ErrorKind, fault: Fault) -> Self {
        let retry_after = kind.is_retryable().then_some(Self::RETRY_AFTER);
        Self { kind, fault: Box::new(fault), record_index: None, accepted: None, retry_after }
    }

    /// Names the record at fault, from 0.
    #[must_use]
    pub fn at_record(mut self, record_index: u64) -> Self {
        self.record_index = Some(record_index);
        self
    }

    /// Says how many of the request's records are durable nevertheless.
    #[must_use]
    pub fn with_accepted(mut self, accepted: u64) -> Self {
        self.accepted = Some(accepted);
        self
    }

    /// What the JSON body of the answer holds.
    #[must_use]
    pub fn body(&self, request_id: &str) -> ErrorBody {
        let fault = &self.fault;
        ErrorBody {
            error: ErrorDetail {
                code: Cow::Borrowed(fault.code.as_str()),
                message: fault.message.clone(),
                field: (!fault.field.is_empty()).then(|| fault.field.clone()),
                record_index: self.record_index,
                limit: fault.limit,
                actual: fault.actual,
                request_id: request_id.to_owned(),
            },
            accepted: self.accepted,
        }
    }

    /// The whole HTTP answer: status, JSON body, `X-Request-Id`, and `Retry-After` or `WWW-Authenticate` where they belong.
    #[must_use]
    pub fn to_http(&self, request_id: &str) -> http::Response<Bytes> {
        // A struct of texts and numbers always serialises.
        let body = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = status::http(self.kind);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(request_id::HEADER, id);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64));
        }
        if self.kind == ErrorKind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"loglake\""));
        }
        response
    }

    /// The gRPC status, with `google.rpc.ErrorInfo` (reason: the code in upper case) and, where it helps, `RetryInfo`.
    #[must_use]
    pub fn to_grpc(&self, request_id: &str) -> Status {
        let fault = &self.fault;
        let numbers = [
            ("record_index", self.record_index),
            ("accepted", self.accepted),
            ("limit", fault.limit),
            ("actual", fault.actual),
        ];
        let mut metadata: HashMap<String, String> = numbers
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key.to_owned(), value.to_string())))
            .collect();
        metadata.insert("request_id".to_owned(), request_id.to_owned());
        if !fault.field.is_empty() {
            metadata.insert("field".to_owned(), fault.field.clone());
        }
        let mut details = ErrorDetails::new();
        details.set_error_info(fault.code.as_str().to_ascii_uppercase(), DOMAIN, metadata);
        if let Some(wait) = self.retry_after {
            details.set_retry_info(Some(wait));
        }
        Status::with_error_details(status::grpc(self.kind), fault.message.clone(), details)
    }
}

impl From<Fault> for Refusal {
    /// Refuses as the fault's code implies; what is wrong with a record or parameter is `Invalid`.
    fn from(fault: Fault) -> Self {
        let kind = match fault.code {
            FaultCode::TooLarge => ErrorKind::TooLarge,
            FaultCode::QueryTooExpensive => ErrorKind::TooCostly,
            FaultCode::Unsupported => ErrorKind::Unsupported,
            FaultCode::Unauthenticated => ErrorKind::Unauthenticated,
            FaultCode::Forbidden => ErrorKind::Forbidden,
            FaultCode::NotFound => ErrorKind::NotFound,
            FaultCode::Conflict => ErrorKind::Conflict,
            FaultCode::Expired => ErrorKind::Expired,
            FaultCode::RateLimited => ErrorKind::Exhausted,
            FaultCode::NoSpace | FaultCode::QuotaExceeded => ErrorKind::NoSpace,
            FaultCode::TimedOut => ErrorKind::Deadline,
            FaultCode::Unavailable => ErrorKind::Unavailable,
            FaultCode::Corrupt => ErrorKind::Corrupt,
            FaultCode::Internal => ErrorKind::Internal,
            FaultCode::Missing
            | FaultCode::Invalid
            | FaultCode::TooLong
            | FaultCode::TooMany
            | FaultCode::TooDeep
            | FaultCode::Malformed
            | FaultCode::InvalidUtf8
            | FaultCode::DuplicateKey
            | FaultCode::TooFarAhead
            | FaultCode::TooOld
            | FaultCode::UnknownField => ErrorKind::Invalid,
        };
        Self::of(kind, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_surfaces_say_the_same() {
        let fault = Fault::new(FaultCode::TooLong, "limit", "at most 10000").with_limit(10_000, 10_001);
        let refusal = Refusal::from(fault).at_record(3).with_accepted(2);

        let http = refusal.to_http("r-1");
        assert_eq!(http.status(), 400);
        assert_eq!(http.headers()[request_id::HEADER], "r-1");
        let text = std::str::from_utf8(http.body()).unwrap();
        let expected = r#"{"error":{"code":"too_long","message":"at most 10000","field":"limit","record_index":3,"limit":10000,"actual":10001,"request_id":"r-1"},"accepted":2}"#;
        assert_eq!(text, expected);

        let grpc = refusal.to_grpc("r-1");
        assert_eq!(grpc.code(), tonic::Code::InvalidArgument);
        let info = grpc.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TOO_LONG", DOMAIN));
        assert_eq!(info.metadata["field"], "limit");
        assert_eq!((info.metadata["record_index"].as_str(), info.metadata["accepted"].as_str()), ("3", "2"));
        assert!(grpc.get_details_retry_info().is_none());
    }

    #[test]
    fn full_buffers_say_when_to_come_back() {
        let mut refusal = Refusal::new(ErrorKind::Exhausted, "slow down");
        refusal.retry_after = Some(Duration::from_millis(1_200));
        assert_eq!(refusal.to_http("r").headers()[RETRY_AFTER], "2");
        let info = refusal.to_grpc("r").get_details_retry_info().unwrap();
        assert_eq!(info.retry_delay, Some(Duration::from_millis(1_200)));
        assert!(Refusal::new(ErrorKind::Invalid, "no").to_http("r").headers().get(RETRY_AFTER).is_none());
    }
}
