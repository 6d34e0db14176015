use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use loglake_model::ErrorKind;

use super::*;
use crate::{NewToken, Scope, new_token};

const EXPIRES_NS: i64 = 1_000;

fn token(tenant: &str, scopes: &[Scope]) -> NewToken {
    let tenant = TenantName::parse(tenant).unwrap();
    new_token(tenant, scopes.iter().copied().collect(), Some(EXPIRES_NS), None, &mut rand::rng()).unwrap()
}

/// Who this is, if they may do what needs `scope`.
fn authenticate(auth: &Authenticator, headers: &HeaderMap, scope: Scope, now_ns: i64) -> Result<Caller, Error> {
    let access = match scope {
        Scope::Ingest => Access::AnyOf(&[Scope::Ingest]),
        Scope::Query => Access::AnyOf(&[Scope::Query]),
        Scope::Admin => Access::AnyOf(&[Scope::Admin]),
        Scope::Operator => Access::AnyOf(&[Scope::Operator]),
    };
    auth.authorize(headers, access, now_ns).map(Option::unwrap)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        map.append(name, value);
    }
    map
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("user:{text}")))
}

#[test]
fn a_token_is_taken_from_every_place_it_may_stand() {
    let made = token("acme", &[Scope::Ingest]);
    let auth = Authenticator::with_tokens(vec![made.token.clone()]).unwrap();
    let (bearer, basic) = (format!("Bearer {}", made.text), basic(&made.text));
    for good in [
        &[("authorization", bearer.as_str())][..],
        &[("authorization", basic.as_str())],
        &[("x-api-key", &made.text)],
        &[("x-api-key", &made.text), ("authorization", &bearer), ("x-scope-orgid", "acme"), ("x-scope-orgid", "acme")],
    ] {
        let caller = authenticate(&auth, &headers(good), Scope::Ingest, 0).unwrap();
        assert_eq!(caller.tenant().as_str(), "acme");
        assert_eq!(caller.token_id(), Some(made.token.id.as_str()));
    }
    assert!(!auth.is_open());
}

#[test]
fn all_that_is_no_valid_credential_is_refused_in_the_same_words() {
    let (made, other) = (token("acme", &[Scope::Ingest]), token("other", &[Scope::Ingest]));
    let auth = Authenticator::with_tokens(vec![made.token.clone(), other.token.clone()]).unwrap();
    let bearer = format!("Bearer {}", made.text);
    let other_bearer = format!("Bearer {}", other.text);
    let altered = format!("Bearer {}0", made.text);
    let crossed = format!("Bearer ll_{}_{}", other.token.id, made.text.rsplit_once('_').unwrap().1);
    let unknown = format!("Bearer ll_nobody_{}", "0".repeat(64));
    for bad in [
        &[][..],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer x")],
        &[("authorization", "Basic !!!")],
        &[("authorization", "Digest a")],
        &[("authorization", &made.text)],
        &[("authorization", &altered)],
        &[("authorization", &crossed)],
        &[("authorization", &unknown)],
        &[("x-api-key", "")],
        &[("x-api-key", &made.text), ("authorization", &other_bearer)],
        &[("authorization", &bearer), ("authorization", &other_bearer)],
        // Without a credential even a broken tenant is a 401: nothing is told to strangers.
        &[("x-scope-orgid", "../x")],
    ] {
        assert_eq!(
            authenticate(&auth, &headers(bad), Scope::Ingest, 0).unwrap_err(),
            Error::Unauthenticated,
            "{bad:?}"
        );
    }
    let good = headers(&[("authorization", &bearer)]);
    assert_eq!(authenticate(&auth, &good, Scope::Ingest, EXPIRES_NS).unwrap_err(), Error::Unauthenticated);
    let caller = authenticate(&auth, &good, Scope::Ingest, EXPIRES_NS - 1).unwrap();
    assert_eq!(caller.check(EXPIRES_NS - 1), Ok(()));
    assert_eq!(caller.check(EXPIRES_NS), Err(Error::Unauthenticated));

    let nobody = Authenticator::with_tokens(Vec::new()).unwrap();
    assert_eq!(authenticate(&nobody, &good, Scope::Ingest, 0).unwrap_err(), Error::Unauthenticated);
}

#[test]
fn no_scope_implies_another() {
    for has in Scope::ALL {
        let made = token("acme", &[has]);
        let auth = Authenticator::with_tokens(vec![made.token.clone()]).unwrap();
        let headers = headers(&[("x-api-key", &made.text)]);
        for needs in Scope::ALL {
            let result = authenticate(&auth, &headers, needs, 0);
            match result {
                Ok(_) => assert_eq!(has, needs),
                Err(error) => assert_eq!((error, has == needs), (Error::Scope(needs), false)),
            }
        }
    }
}

#[test]
fn another_tenant_is_forbidden_and_a_malformed_one_is_invalid() {
    let made = token("acme", &[Scope::Query]);
    let auth = Authenticator::with_tokens(vec![made.token.clone()]).unwrap();
    let with = |tenants: &[&str]| {
        let mut pairs = vec![("x-api-key", made.text.as_str())];
        pairs.extend(tenants.iter().map(|tenant| (TENANT, *tenant)));
        authenticate(&auth, &headers(&pairs), Scope::Query, 0)
    };
    assert_eq!(with(&["other"]).unwrap_err().kind(), ErrorKind::Forbidden);
    let long = "a".repeat(1024);
    for bad in ["..", "a/b", "%252e", "", "acme|other", "acme ", &long] {
        assert_eq!(with(&[bad]).unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
    assert_eq!(with(&["acme", "other"]).unwrap_err(), Error::RepeatedHeader(TENANT));

    let caller = with(&["acme"]).unwrap();
    assert_eq!(caller.claim("acme").unwrap().as_str(), "acme");
    assert_eq!(caller.claim("other").unwrap_err().kind(), ErrorKind::Forbidden);
    for bad in ["", "..", "acme\0", "ACMÉ", "acme/../other"] {
        assert_eq!(caller.claim(bad).unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
}

#[test]
fn in_open_mode_the_request_chooses_once() {
    let auth = Authenticator::open();
    assert!(auth.is_open());
    let plain = authenticate(&auth, &headers(&[]), Scope::Admin, 0).unwrap();
    assert_eq!(plain.tenant().as_str(), "default");
    assert_eq!(plain.claim("acme").unwrap().as_str(), "acme");
    assert_eq!(plain.claim("a/b").unwrap_err().kind(), ErrorKind::Invalid);

    let chosen = authenticate(&auth, &headers(&[(TENANT, "acme")]), Scope::Ingest, 0).unwrap();
    assert_eq!(chosen.tenant().as_str(), "acme");
    assert_eq!(chosen.claim("acme").unwrap().as_str(), "acme");
    assert_eq!(chosen.claim("other").unwrap_err(), Error::TwoTenants);
    assert_eq!(
        authenticate(&auth, &headers(&[(TENANT, "..")]), Scope::Ingest, 0).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn two_tokens_of_one_id_are_refused() {
    let made = token("acme", &[Scope::Query]);
    let twice = Authenticator::with_tokens(vec![made.token.clone(), made.token.clone()]);
    assert_eq!(twice.unwrap_err(), Error::DuplicateId(made.token.id.clone()));
    let none = Token { scopes: BTreeSet::new(), ..made.token };
    assert_eq!(Authenticator::with_tokens(vec![none]).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_signed_token_is_a_credential_where_there_is_an_issuer_and_nothing_elsewhere() {
    let shaped = headers(&[("authorization", "Bearer aGVhZGVy.Y2xhaW1z.c2lnbmF0dXJl")]);
    let without = Authenticator::with_tokens(Vec::new()).unwrap();
    assert_eq!(authenticate(&without, &shaped, Scope::Query, 0).unwrap_err(), Error::Unauthenticated);
    let config = crate::OidcConfig {
        issuer: "https://id.example".to_owned(),
        audience: "loglake".to_owned(),
        algorithms: vec!["RS256".to_owned()],
        tenant: Some("acme".to_owned()),
        tenant_claim: None,
        scopes: vec!["query".to_owned()],
        scope_claim: None,
    };
    let made = token("acme", &[Scope::Query]);
    let oidc = Arc::new(crate::Oidc::new(&config).unwrap());
    let auth = Authenticator::with_tokens(vec![made.token.clone()]).unwrap().with_oidc(oidc);
    assert_eq!(authenticate(&auth, &shaped, Scope::Query, 0).unwrap_err(), Error::Unauthenticated);
    authenticate(&auth, &headers(&[("x-api-key", &made.text)]), Scope::Query, 0).unwrap();
}
