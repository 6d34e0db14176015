//! Reads a request's body within its limits of size, time and memory, and undoes its encoding.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use loglake_api::Refusal;
use loglake_auth::limits::Quota;
use loglake_model::{Fault, FaultCode, TenantName};

use crate::budget::Held;
use crate::shared::{Shared, too_busy};

/// A body as it was before its encoding, and the bytes of the process's budget that it holds.
pub(super) struct Decoded {
    pub(super) bytes: Bytes,
    pub(super) held: Held,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Coded(&'static str),
}

/// Reads the whole of `body`.
pub(super) async fn read(
    shared: &Shared,
    tenant: &TenantName,
    quota: &Quota,
    headers: &HeaderMap,
    body: Body,
) -> Result<Decoded, Refusal> {
    let encoding = encoding(headers)?;
    let limit = shared.config.max_body_bytes;
    if let Some(announced) = content_length(headers)?
        && announced > limit as u64
    {
        return Err(too_large(limit, announced));
    }
    let mut held = shared.budget.nothing();
    let bytes = tokio::time::timeout(shared.config.body_timeout, collect(shared, body, &mut held));
    let bytes = bytes.await.unwrap_or_else(|_| Err(too_slow()))?;
    match encoding {
        Encoding::Identity => Ok(Decoded { bytes, held }),
        Encoding::Coded(name) => {
            // It grows: what is too much as it is need not be decoded to know.
            let fits = quota.look(bytes.len() as u64, shared.clock.now_ns());
            fits.map_err(|over| shared.over(tenant, &over))?;
            let most = shared.config.max_decoded_bytes;
            let bytes =
                shared.inflater.inflate(tenant, name, CONTENT_ENCODING.as_str(), bytes, most).await?.into_bytes();
            if !held.grow_to(bytes.len()) {
                return Err(too_busy());
            }
            Ok(Decoded { bytes, held })
        }
    }
}

/// Takes the body's pieces as they come: what a client only announces takes no memory.
async fn collect(shared: &Shared, mut body: Body, held: &mut Held) -> Result<Bytes, Refusal> {
    let limit = shared.config.max_body_bytes;
    let mut whole = BytesMut::new();
    let mut only: Option<Bytes> = None;
    let mut length = 0;
    loop {
        let frame =
            tokio::time::timeout(idle(shared.config.body_timeout), body.frame()).await.map_err(|_| too_slow())?;
        let frame = match frame {
            None => break,
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let message = format!("the body ended before it was whole: {error}");
                return Err(Fault::new(FaultCode::Malformed, "", message).into());
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit {
            return Err(too_large(limit, length as u64));
        }
        if !held.grow_to(length) {
            return Err(too_busy());
        }
        // A body of one piece is not copied.
        match only.take() {
            None if whole.is_empty() => only = Some(data),
            None => whole.extend_from_slice(&data),
            Some(first) => {
                whole.extend_from_slice(&first);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(only.unwrap_or_else(|| whole.freeze()))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).into_iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(Encoding::Identity) };
    let text = if second.is_some() { "" } else { value.to_str().unwrap_or_default().trim() };
    let known = [("gzip", "gzip"), ("x-gzip", "gzip"), ("zstd", "zstd")];
    if text.eq_ignore_ascii_case("identity") {
        return Ok(Encoding::Identity);
    }
    match known.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
        Some((_, name)) => Ok(Encoding::Coded(name)),
        None => {
            let message = "this content encoding is not supported: use gzip, zstd or none, one at a time";
            Err(Fault::new(FaultCode::Unsupported, CONTENT_ENCODING.as_str(), message).into())
        }
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    let invalid = || Fault::new(FaultCode::Invalid, CONTENT_LENGTH.as_str(), "this is no number of bytes").into();
    number.map(Some).ok_or_else(invalid)
}

fn idle(whole: Duration) -> Duration {
    whole / 4
}

fn too_large(limit: usize, actual: u64) -> Refusal {
    let message = format!("a body has at most {limit} bytes as sent: cut it into several");
    Fault::new(FaultCode::TooLarge, "", message).with_limit(limit as u64, actual).into()
}

fn too_slow() -> Refusal {
    Fault::new(FaultCode::TimedOut, "", "the body took too long to arrive").into()
}
