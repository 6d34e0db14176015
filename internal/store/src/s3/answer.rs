//! What an S3 store's refusals mean.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::{Create, Error};

/// What stands in an error's chain of causes, whatever the call was.
pub(super) trait Refusal: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static {}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> Refusal for E {}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Why a call failed.
pub(super) fn classify<E: Refusal>(what: &str, key: &str, error: &SdkError<E, HttpResponse>) -> Error {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let reason = || format!("{what} {key:?}: {}", DisplayErrorContext(error));
    match (status(error), code) {
        (_, "NoSuchBucket") => Error::Unfit(format!("there is no such bucket; {}", reason())),
        (_, "XMinioStorageFull" | "QuotaExceeded" | "InsufficientStorage") | (Some(507), _) => Error::Full(reason()),
        // A body that came too slowly: Amazon answers 400.
        (_, "RequestTimeout" | "SlowDown" | "Throttling") => unavailable(what, key, error),
        (Some(404), _) => Error::NotFound { key: key.to_owned() },
        (Some(401 | 403), _) => Error::Forbidden(reason()),
        // Another region or method, a condition that is not spoken: nothing that waiting would heal.
        (Some(300..=399 | 400 | 405 | 411 | 501), _) => Error::Unfit(reason()),
        _ => unavailable(what, key, error),
    }
}

fn unavailable<E: Refusal>(what: &str, key: &str, error: &SdkError<E, HttpResponse>) -> Error {
    Error::Unavailable { what: format!("{what} {key:?}"), reason: DisplayErrorContext(error).to_string() }
}

/// How a conditional create ended that did not succeed. Certain only where the store said so: 412, or a refusal that comes
/// before anything is written.
pub(super) fn of_create<E: Refusal>(key: &str, error: &SdkError<E, HttpResponse>) -> Result<Create, Error> {
    match status(error) {
        Some(412) => Ok(Create::Exists),
        Some(300..=408 | 410..=428 | 430..=499 | 501) => match classify("create", key, error) {
            doubtful @ (Error::Unavailable { .. } | Error::NotFound { .. }) => Ok(in_doubt(key, &doubtful)),
            refused => Err(refused),
        },
        _ => Ok(in_doubt(key, &unavailable("create", key, error))),
    }
}

fn in_doubt(key: &str, error: &Error) -> Create {
    tracing::warn!(key, %error, "create is in doubt");
    Create::Unknown
}
