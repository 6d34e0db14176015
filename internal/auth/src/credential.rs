use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use loglake_model::TenantName;

use crate::Error;

/// The header that carries a token by itself.
const API_KEY: &str = "x-api-key";
/// The header by which Loki's clients name their tenant.
pub(crate) const TENANT: &str = "x-scope-orgid";

/// Whether `headers` carry something that is meant as a token, good or not.
pub(crate) fn is_there(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key(API_KEY)
}

/// The token's text that `headers` carry.
///
/// # Errors
/// `Unauthenticated` when there is none, or a malformed one, or several that differ.
pub(crate) fn token_text(headers: &HeaderMap) -> Result<String, Error> {
    let mut found: Option<String> = None;
    let authorizations =
        headers.get_all(AUTHORIZATION).into_iter().map(|value| value.to_str().ok().and_then(authorization));
    let keys = headers.get_all(API_KEY).into_iter().map(|value| value.to_str().ok().map(|text| text.trim().to_owned()));
    for text in authorizations.chain(keys) {
        let text = text.ok_or(Error::Unauthenticated)?;
        match &found {
            Some(first) if *first != text => return Err(Error::Unauthenticated),
            _ => found = Some(text),
        }
    }
    found.ok_or(Error::Unauthenticated)
}

/// The token within an `Authorization` header: the word after `Bearer`, or the password of `Basic` (RFC 7617).
fn authorization(value: &str) -> Option<String> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(rest.to_owned())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        pair.split_once(':').map(|(_, password)| password.to_owned())
    } else {
        None
    }
}

/// The tenant that `X-Scope-OrgID` names, if it is there.
///
/// # Errors
/// `Invalid` when it is no tenant's name, or is given twice with different values.
pub(crate) fn tenant_header(headers: &HeaderMap) -> Result<Option<TenantName>, Error> {
    let mut values = headers.get_all(TENANT).into_iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|value| value != first) {
        return Err(Error::RepeatedHeader(TENANT));
    }
    let text = first.to_str().unwrap_or_default();
    TenantName::parse(text).map(Some).map_err(|source| Error::InvalidTenant { place: TENANT, source })
}
