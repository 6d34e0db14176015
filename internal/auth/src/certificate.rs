use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use loglake_model::{Fault, FaultCode, Peer, TenantName};
use tracing::warn;

use crate::registry::LiveToken;
use crate::{Error, Scope, Token};

/// How the id of a certificate's credential begins: no token's id has a colon.
pub(crate) const PREFIX: &str = "certificate:";
/// The longest name, bytes.
const MAX_SAN_BYTES: usize = 1_024;

/// One `[[auth.certificates]]` of the configuration, as written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateConfig {
    /// The subject alternative name: a URI, such as `spiffe://prod/shop`, or a DNS name.
    pub san: String,
    /// The tenant for whom it speaks.
    pub tenant: String,
    /// What it allows: `ingest`, `query`, `admin`, `operator`.
    pub scopes: Vec<String>,
}

/// For whom a verified client certificate with a certain name speaks, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    san: String,
    tenant: TenantName,
    scopes: BTreeSet<Scope>,
}

/// Reads the rows for certificates of a configuration.
///
/// # Errors
/// All faults at once; the field of each says where, such as `auth.certificates[2].san`. Two rows of one name are a fault too.
pub fn certificates_from(configs: &[CertificateConfig]) -> Result<Vec<Certificate>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut certificates = Vec::with_capacity(configs.len());
    for (at, config) in configs.iter().enumerate() {
        let place = |field: &str| format!("auth.certificates[{at}].{field}");
        let mut invalid =
            |field: &str, message: String| faults.push(Fault::new(FaultCode::Invalid, place(field), message));
        let san = normal(&config.san);
        match &san {
            None => invalid("san", "is no URI (spiffe://prod/shop) or DNS name (shop.example.com)".to_owned()),
            Some(san) if !names.insert(san.clone()) => invalid("san", format!("another row has {san:?} already")),
            Some(_) => {}
        }
        let tenant = TenantName::parse(&config.tenant).map_err(|error| invalid("tenant", error.to_string())).ok();
        let mut scopes = BTreeSet::new();
        for name in &config.scopes {
            match name.parse::<Scope>() {
                Ok(scope) => drop(scopes.insert(scope)),
                Err(()) => {
                    invalid("scopes", format!("there is no scope {name:?}, only ingest, query, admin and operator"))
                }
            }
        }
        if let (Some(san), Some(tenant)) = (san, tenant) {
            certificates.push(Certificate { san, tenant, scopes });
        }
    }
    if faults.is_empty() { Ok(certificates) } else { Err(faults) }
}

/// A name as [`Peer::names`] has it: with a colon it is a URI, kept as it is; else a DNS name, in lower case. No pattern.
fn normal(san: &str) -> Option<String> {
    if san.is_empty() || san.len() > MAX_SAN_BYTES || !san.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    if san.contains(':') {
        return Some(san.to_owned());
    }
    let is_dns = san.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    is_dns.then(|| san.to_ascii_lowercase())
}

/// The rows by name.
#[derive(Debug, Default)]
pub(crate) struct Certificates(HashMap<String, Certificate>);

impl Certificates {
    pub(crate) fn new(certificates: Vec<Certificate>) -> Result<Self, Error> {
        let mut by_name = HashMap::with_capacity(certificates.len());
        for certificate in certificates {
            if certificate.scopes.is_empty() {
                return Err(Error::NoScopes(certificate.san));
            }
            if let Some(former) = by_name.insert(certificate.san.clone(), certificate) {
                return Err(Error::DuplicateSan(former.san));
            }
        }
        Ok(Self(by_name))
    }

    /// The credential that `peer` has: none when no row has one of its names, and none when several have, for nobody could say
    /// for whom it speaks. It ends with the certificate.
    pub(crate) fn find(&self, peer: &Peer) -> Option<Arc<LiveToken>> {
        let mut found = peer.names().iter().filter_map(|name| self.0.get(name));
        let certificate = found.next()?;
        if found.any(|other| other != certificate) {
            warn!(names = ?peer.names(), "client certificate refused: several of its names have a row in auth.certificates");
            return None;
        }
        let Certificate { san, tenant, scopes } = certificate;
        Some(Arc::new(LiveToken::new(Token {
            id: format!("{PREFIX}{san}"),
            // No text is a token for it: it is never compared.
            sha256: [0; 32],
            tenant: tenant.clone(),
            scopes: scopes.clone(),
            expires_ns: Some(peer.not_after_ns()),
        })))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::{Access, Asked, Authenticator, Caller};

    const NOW_NS: i64 = 1_000;
    const QUERY: Access = Access::AnyOf(&[Scope::Query]);

    #[expect(clippy::disallowed_methods, reason = "a test")]
    fn peer(names: &[&str]) -> Peer {
        Peer::from_verified(names.iter().map(|name| (*name).to_owned()).collect(), 2_000)
    }

    fn row(san: &str, tenant: &str, scope: &str) -> CertificateConfig {
        CertificateConfig { san: san.to_owned(), tenant: tenant.to_owned(), scopes: vec![scope.to_owned()] }
    }

    fn authenticator() -> Authenticator {
        let rows = [
            row("spiffe://prod/shop", "acme", "query"),
            row("Shop.Example.com", "acme", "ingest"),
            row("other.example.com", "other", "query"),
        ];
        let auth = Authenticator::with_tokens(Vec::new()).unwrap();
        auth.with_certificates(certificates_from(&rows).unwrap()).unwrap()
    }

    fn ask(peer: Option<&Peer>, headers: &[(&'static str, &str)], now_ns: i64) -> Result<Caller, Error> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let asked = Asked { headers: &headers, peer, access: QUERY, call: ("POST", "/v1/query"), request_id: "r" };
        authenticator().authorize(&asked, now_ns).map(Option::unwrap)
    }

    #[test]
    fn a_name_with_a_row_is_a_credential() {
        let caller = ask(Some(&peer(&["unknown.example.com", "spiffe://prod/shop"])), &[], NOW_NS).unwrap();
        assert_eq!((caller.tenant().as_str(), caller.has(Scope::Ingest)), ("acme", false));
        assert_eq!(caller.name(), "certificate spiffe://prod/shop of acme");
        // It ends with the certificate, on open streams too.
        assert_eq!(caller.check(2_000).unwrap_err(), Error::Unauthenticated);
        let shop = peer(&["shop.example.com"]);
        assert_eq!(ask(Some(&shop), &[], NOW_NS).unwrap_err(), Error::Scope(Scope::Query));
    }

    #[test]
    fn everything_else_is_refused() {
        let shop = peer(&["spiffe://prod/shop"]);
        let refused = |names: &[&str]| ask(Some(&peer(names)), &[], NOW_NS).unwrap_err();
        for names in [&[][..], &["spiffe://prod/SHOP"], &["spiffe://prod/shop/"], &["*.example.com"], &["shop"]] {
            assert_eq!(refused(names), Error::Unauthenticated, "{names:?}");
        }
        // For whom would it speak?
        assert_eq!(refused(&["spiffe://prod/shop", "other.example.com"]), Error::Unauthenticated);
        assert_eq!(ask(None, &[], NOW_NS).unwrap_err(), Error::Unauthenticated);
        assert_eq!(ask(Some(&shop), &[], 2_000).unwrap_err(), Error::Unauthenticated, "it ended");
        // A token decides alone, also a wrong one.
        for header in [("authorization", "Bearer ll_a_b"), ("authorization", "x"), ("x-api-key", "")] {
            assert_eq!(ask(Some(&shop), &[header], NOW_NS).unwrap_err(), Error::Unauthenticated, "{header:?}");
        }
        assert!(ask(Some(&shop), &[("x-scope-orgid", "acme")], NOW_NS).is_ok());
        let other = ask(Some(&shop), &[("x-scope-orgid", "other")], NOW_NS).unwrap_err();
        assert_eq!(other, Error::OtherTenant(TenantName::parse("other").unwrap()));
        // No header says who a peer is.
        let said =
            [("x-client-certificate", "spiffe://prod/shop"), ("x-forwarded-client-cert", "URI=spiffe://prod/shop")];
        assert_eq!(ask(None, &said, NOW_NS).unwrap_err(), Error::Unauthenticated);
    }

    #[test]
    fn every_fault_is_reported_with_its_place() {
        let rows = [
            row("a.example", "t", "query"),
            row("A.example", "../t", "root"),
            row("*.example", "t", "query"),
            row("a b", "t", "query"),
        ];
        let places: Vec<String> = certificates_from(&rows).unwrap_err().into_iter().map(|fault| fault.field).collect();
        let wanted = ["[1].san", "[1].tenant", "[1].scopes", "[2].san", "[3].san"];
        assert_eq!(places, wanted.map(|place| format!("auth.certificates{place}")));
        let none = certificates_from(&[CertificateConfig { scopes: vec![], ..row("a", "t", "query") }]).unwrap();
        assert!(Authenticator::with_tokens(Vec::new()).unwrap().with_certificates(none).is_err());
    }
}
