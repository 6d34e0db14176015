//! Headers that say who calls, and the texts that are signed: nobody gets in with anything but what was given.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use loglake_auth::internal::InternalKey;
use loglake_auth::keys::ClusterSecret;
use loglake_auth::session::SessionKey;
use loglake_auth::{Access, Asked, Authenticator, NewToken, Scope, new_token};
use loglake_model::TenantName;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// The one token that is good, and who knows it.
fn known() -> &'static (NewToken, Authenticator) {
    static KNOWN: OnceLock<(NewToken, Authenticator)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let tenant = TenantName::parse("acme").expect("a name");
        let scopes = BTreeSet::from([Scope::Query]);
        let made = new_token(tenant, scopes, None, Some("known".to_owned()), &mut rand::rng()).expect("a token");
        let authenticator = Authenticator::with_tokens(vec![made.token.clone()]).expect("one token");
        (made, authenticator)
    })
}

/// Takes an input. The first byte: what it is.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 3 {
        0 => headers(bytes),
        1 => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            assert_eq!(SessionKey::new(&secret()).read(text), None, "nobody signed this");
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let key = InternalKey::new(&secret());
            assert!(
                key.verify(text, NOW_NS).is_err() && key.verify_operator(text, NOW_NS).is_err(),
                "nobody signed this"
            );
        }
    }
}

/// Inputs to begin with; `*` stands for the token.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [
        (0, "authorization:Bearer *"),
        (0, "authorization:Basic dXNlcjpwYXNz\nx-api-key:*"),
        (0, "x-api-key:*\nx-scope-orgid:acme\nx-scope-orgid:other"),
        (0, "authorization:Bearer ll_known_AAAA"),
        (1, "s1.acme.a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5.1700000000000000000.12.00000000"),
        (2, "v1.acme.1700000000000000000.00000000"),
        (2, "v1.-operator.1700000000000000000.00000000"),
    ]
    .map(|(kind, text)| [&[kind], text.as_bytes()].concat())
    .to_vec()
}

fn secret() -> ClusterSecret {
    ClusterSecret::from_bytes(&[7; 32]).expect("long enough")
}

fn headers(bytes: &[u8]) {
    let (made, authenticator) = known();
    let mut headers = HeaderMap::new();
    let (mut carries_it, mut others) = (false, 0);
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..at], &line[at + 1..]);
        // The fuzzer need not guess it.
        let filled: Vec<u8> = value
            .iter()
            .flat_map(|byte| if *byte == b'*' { made.text.as_bytes() } else { std::slice::from_ref(byte) })
            .copied()
            .collect();
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(&filled)) else { continue };
        if ["authorization", "x-api-key"].contains(&name.as_str()) {
            let has_it = String::from_utf8_lossy(&filled).contains(&made.text);
            carries_it |= has_it;
            others += usize::from(!has_it);
        }
        headers.append(name, value);
    }
    let asked =
        |access| Asked { headers: &headers, peer: None, access, call: ("POST", "/v1/query"), request_id: "fuzz" };
    let query = asked(Access::AnyOf(&[Scope::Query]));
    if let Ok(Some(caller)) = authenticator.authorize(&query, NOW_NS) {
        assert!(carries_it && others == 0, "let in by {headers:?}");
        assert_eq!(caller.tenant().as_str(), "acme");
        let named = headers.get_all("x-scope-orgid").into_iter().all(|value| value == "acme");
        assert!(named, "another tenant is named: {headers:?}");
    }
    // No other scope, and nothing that is closed.
    assert!(authenticator.authorize(&asked(Access::AnyOf(&[Scope::Ingest])), NOW_NS).is_err());
    assert!(authenticator.authorize(&asked(Access::Closed), NOW_NS).is_err());
    // In open mode a name is a name.
    if let Ok(Some(caller)) = Authenticator::open().authorize(&query, NOW_NS) {
        assert!(TenantName::parse(caller.tenant().as_str()).is_ok());
    }
}
