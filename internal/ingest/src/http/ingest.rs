use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use loglake_api::Refusal;
use loglake_auth::Caller;
use loglake_auth::limits::Quota;
use loglake_batch::Origin;
use loglake_formats::RawDecoder;
use loglake_model::{ErrorKind, Fault, FaultCode, TenantId};

use super::{PROTOCOL, answer, body};
use crate::intake::Gathered;
use crate::request_id::RequestId;
use crate::shared::Shared;

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One object a line.
    Lines,
    /// An array of objects, or one object.
    Json,
}

/// Records of one body that may be refused before all of it is.
const MAX_REFUSED: u64 = 1_000_000;

/// `POST /v1/ingest`.
pub(super) async fn ingest(
    State(shared): State<Arc<Shared>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let (response, failure) = match take(&shared, &caller, request, &id).await {
        Ok(answered) => answered,
        Err(refusal) => (refusal.to_http(&id).map(Body::from), Some(refusal.kind)),
    };
    shared.count(PROTOCOL, failure, Some(began));
    response
}

async fn take(
    shared: &Shared,
    caller: &Caller,
    request: Request,
    id: &str,
) -> Result<(Response, Option<ErrorKind>), Refusal> {
    let (parts, body) = request.into_parts();
    // All that the head decides is decided before the body is read.
    let format = format(&parts.headers)?;
    let now_ns = shared.intake.log_time.now_ns();
    let origin = shared.origins.of_request(caller.tenant(), &parts.headers, now_ns)?;
    let (tenant, quota) = (caller.tenant(), shared.quota(caller.tenant()));
    quota.has_room(shared.clock.now_ns()).map_err(|over| shared.over(tenant, &over))?;
    let body::Decoded { bytes, held } = body::read(shared, tenant, &quota, &parts.headers, body).await?;
    let size = bytes.len() as u64;
    shared.metrics.received_bytes.with_label_values(&[PROTOCOL]).inc_by(bytes.len() as u64);
    let taken = quota.take(size, 0, shared.clock.now_ns(), Duration::ZERO);
    taken.map_err(|over| shared.over(tenant, &over))?;
    let gathered = gather(shared, tenant, origin, quota.clone(), format, &bytes).await;
    drop(bytes);
    let gathered = match gathered {
        // Nothing came of it, and it is going to be sent again.
        Err(refusal) if refusal.kind == ErrorKind::Exhausted => {
            quota.give_back(size, 0);
            return Err(refusal);
        }
        gathered => gathered?,
    };
    if let Err(over) = quota.take(0, gathered.records(), shared.clock.now_ns(), Duration::ZERO) {
        quota.give_back(size, 0);
        return Err(shared.over(tenant, &over));
    }
    let outcome = shared.intake.append(gathered).await;
    drop(held);
    Ok(answer::answer(outcome, id))
}

async fn gather(
    shared: &Shared,
    tenant: &TenantId,
    origin: Origin,
    quota: Quota,
    format: Format,
    bytes: &[u8],
) -> Result<Gathered, Refusal> {
    let mut gathering = shared.intake.begin(tenant, origin, quota);
    match format {
        Format::Lines => {
            let mut decoder = RawDecoder::default();
            for (line, bytes) in loglake_formats::lines(bytes) {
                if !decoder.json(bytes, tenant).is_some_and(|raw| gathering.take_raw(&raw)) {
                    gathering.take(line, loglake_formats::json_record(bytes, tenant));
                }
                gathering.turn().await;
                bounded(gathering.refused())?;
            }
        }
        Format::Json => {
            for decoded in loglake_formats::json(bytes, tenant) {
                gathering.take(decoded.line, decoded.record);
                gathering.turn().await;
                bounded(gathering.refused())?;
            }
        }
    }
    gathering.finish()
}

/// A small compressed body may be of millions of faults (commas and nothing between them): that is no shipper's mistake.
fn bounded(refused: u64) -> Result<(), Refusal> {
    if refused <= MAX_REFUSED {
        return Ok(());
    }
    let message = "too many records of this body are wrong; none of it is kept";
    let fault = Fault::new(FaultCode::TooMany, "", message).with_limit(MAX_REFUSED, refused);
    Err(Refusal::of(ErrorKind::TooLarge, fault))
}

fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Format::Lines) };
    let text = value.to_str().unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("utf8")
    });
    match media_type.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" if is_utf8 => Ok(Format::Lines),
        "application/json" if is_utf8 => Ok(Format::Json),
        _ => {
            let message = "this content type is not supported: use application/x-ndjson or application/json, in UTF-8";
            Err(Fault::new(FaultCode::Unsupported, CONTENT_TYPE.as_str(), message).into())
        }
    }
}
