//! The one table from an error's kind to what gRPC and HTTP say, and to the code of answers that have no better one.

use http::StatusCode;
use loglake_model::{ErrorKind, FaultCode};
use tonic::Code;

/// What one kind of error becomes on the wire.
struct Row {
    grpc: Code,
    http: StatusCode,
    code: FaultCode,
}

const fn row(kind: ErrorKind) -> Row {
    let (grpc, http, code) = match kind {
        ErrorKind::Invalid => (Code::InvalidArgument, StatusCode::BAD_REQUEST, FaultCode::Invalid),
        ErrorKind::Unauthenticated => (Code::Unauthenticated, StatusCode::UNAUTHORIZED, FaultCode::Unauthenticated),
        ErrorKind::Forbidden => (Code::PermissionDenied, StatusCode::FORBIDDEN, FaultCode::Forbidden),
        ErrorKind::NotFound => (Code::NotFound, StatusCode::NOT_FOUND, FaultCode::NotFound),
        ErrorKind::Conflict => (Code::Aborted, StatusCode::CONFLICT, FaultCode::Conflict),
        ErrorKind::Expired => (Code::FailedPrecondition, StatusCode::GONE, FaultCode::Expired),
        // Not `ResourceExhausted`: clients try that again, and too large stays too large.
        ErrorKind::TooLarge => (Code::OutOfRange, StatusCode::PAYLOAD_TOO_LARGE, FaultCode::TooLarge),
        ErrorKind::TooCostly => (Code::OutOfRange, StatusCode::UNPROCESSABLE_ENTITY, FaultCode::QueryTooExpensive),
        ErrorKind::Unsupported => (Code::Unimplemented, StatusCode::UNSUPPORTED_MEDIA_TYPE, FaultCode::Unsupported),
        ErrorKind::Exhausted => (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS, FaultCode::RateLimited),
        ErrorKind::NoSpace => (Code::ResourceExhausted, StatusCode::INSUFFICIENT_STORAGE, FaultCode::NoSpace),
        ErrorKind::Deadline => (Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, FaultCode::TimedOut),
        ErrorKind::Unavailable => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, FaultCode::Unavailable),
        ErrorKind::Corrupt => (Code::DataLoss, StatusCode::INTERNAL_SERVER_ERROR, FaultCode::Corrupt),
        ErrorKind::Internal => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR, FaultCode::Internal),
    };
    Row { grpc, http, code }
}

/// The gRPC code of `kind`.
#[must_use]
pub const fn grpc(kind: ErrorKind) -> Code {
    row(kind).grpc
}

/// The HTTP status of `kind`.
#[must_use]
pub const fn http(kind: ErrorKind) -> StatusCode {
    row(kind).http
}

/// The code that an answer carries when nothing more exact is known than `kind`.
#[must_use]
pub const fn code(kind: ErrorKind) -> FaultCode {
    row(kind).code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_try_again_exactly_what_may_succeed_later() {
        let kinds = [
            ErrorKind::Invalid,
            ErrorKind::Unauthenticated,
            ErrorKind::Forbidden,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::Expired,
            ErrorKind::TooLarge,
            ErrorKind::TooCostly,
            ErrorKind::Unsupported,
            ErrorKind::Exhausted,
            ErrorKind::NoSpace,
            ErrorKind::Deadline,
            ErrorKind::Unavailable,
            ErrorKind::Corrupt,
            ErrorKind::Internal,
        ];
        for kind in kinds {
            let is_retried_over_http = matches!(http(kind).as_u16(), 429 | 502 | 503 | 504 | 507);
            let is_retried_over_grpc =
                matches!(grpc(kind), Code::ResourceExhausted | Code::DeadlineExceeded | Code::Unavailable);
            assert_eq!(is_retried_over_http, kind.is_retryable(), "{kind}");
            assert_eq!(is_retried_over_grpc, kind.is_retryable(), "{kind}");
        }
    }
}
