use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer with a key of each curve.
struct Issuer {
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).unwrap();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self { p256, ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap() }
    }

    fn keys(&self) -> Value {
        let (x, y) = self.p256.public_key().as_ref()[1..].split_at(32);
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "e", "use": "sig", "alg": "ES256", "x": base64(x), "y": base64(y)},
            {"kty": "OKP", "crv": "Ed25519", "kid": "d", "x": base64(self.ed25519.public_key())},
            {"kty": "oct", "kid": "o", "k": base64("shared secret of thirty-two byte")},
            {"kty": "EC", "crv": "P-256", "kid": "enc", "use": "enc", "x": base64(x), "y": base64(y)},
            {"kty": "XX", "kid": "x"},
        ]})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = match header["alg"].as_str() {
            Some("EdDSA") => self.ed25519.sign(message.as_bytes()).as_ref().to_vec(),
            _ => self.p256.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", base64(signature))
    }
}

fn config() -> OidcConfig {
    OidcConfig {
        issuer: "https://id.example".to_owned(),
        audience: "loglake".to_owned(),
        algorithms: vec!["ES256".to_owned(), "EdDSA".to_owned()],
        tenant: None,
        tenant_claim: Some("tenant".to_owned()),
        scopes: vec!["query".to_owned()],
        scope_claim: None,
    }
}

fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "loglake", "sub": "ada", "exp": NOW + 300, "iat": NOW, "tenant": "acme"})
}

fn header() -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": "e"})
}

fn with(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

fn ready(config: &OidcConfig) -> (Issuer, Oidc) {
    let (issuer, oidc) = (Issuer::new(), Oidc::new(config).unwrap());
    assert_eq!(oidc.take_keys(issuer.keys().to_string().as_bytes()).unwrap(), 2);
    (issuer, oidc)
}

#[test]
fn a_token_of_the_issuer_is_a_person_of_a_tenant() {
    let (issuer, oidc) = ready(&config());
    for header in [header(), json!({"alg": "EdDSA", "kid": "d"})] {
        let text = issuer.sign(&header, &claims());
        assert!(Oidc::is_shaped(&text));
        let person = oidc.verify(&text, NOW * 1_000_000_000).unwrap();
        assert_eq!((person.subject.as_str(), person.tenant.as_str()), ("ada", "acme"));
        assert_eq!(person.scopes, BTreeSet::from([Scope::Query]));
        assert_eq!(person.ends_ns, (NOW + 360) * 1_000_000_000);
    }
    let many = with(claims(), "aud", json!(["other", "loglake"]));
    oidc.verify(&issuer.sign(&header(), &many), NOW * 1_000_000_000).unwrap();
}

#[test]
fn whatever_is_wrong_lets_nobody_in() {
    let (issuer, oidc) = ready(&config());
    let claimed = |key: &str, to: Value| issuer.sign(&header(), &with(claims(), key, to));
    let headed = |key: &str, to: Value| issuer.sign(&with(header(), key, to), &claims());
    let good = issuer.sign(&header(), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let stranger = Issuer::new().sign(&header(), &claims());
    let other_claims = base64(with(claims(), "tenant", json!("other")).to_string());
    let cut = format!("{message}.{}", &signature[..signature.len() - 2]);
    // A key in the header, or one at an address that it names, proves nothing.
    let own = issuer.keys()["keys"][0].clone();
    for (what, bad) in [
        ("no signature", format!("{message}.")),
        ("a cut signature", cut),
        ("another's signature", stranger),
        ("other claims", format!("{}.{other_claims}.{signature}", message.split_once('.').unwrap().0)),
        ("none", headed("alg", json!("none"))),
        ("a shared secret's algorithm", headed("alg", json!("HS256"))),
        ("an algorithm that is not pinned", headed("alg", json!("ES384"))),
        ("the key of another algorithm", headed("kid", json!("d"))),
        ("a key that is for encryption", headed("kid", json!("enc"))),
        ("a key in the header", Issuer::new().sign(&with(header(), "jwk", own), &claims())),
        ("no key", headed("kid", Value::Null)),
        ("critical", headed("crit", json!(["exp"]))),
        ("another issuer", claimed("iss", json!("https://id.example/"))),
        ("several issuers", claimed("iss", json!(["https://id.example"]))),
        ("another audience", claimed("aud", json!("loglake2"))),
        ("no audience", claimed("aud", Value::Null)),
        ("ended", claimed("exp", json!(NOW - 60))),
        ("no end", claimed("exp", Value::Null)),
        ("an end in words", claimed("exp", json!("tomorrow"))),
        ("not yet", claimed("nbf", json!(NOW + 61))),
        ("a beginning in words", claimed("nbf", json!("now"))),
        ("no person", claimed("sub", json!(""))),
        ("a person with a control character", claimed("sub", json!("a\u{1b}[2J"))),
        ("no tenant", claimed("tenant", Value::Null)),
        ("no tenant's name", claimed("tenant", json!("../acme"))),
        ("a list of tenants", claimed("tenant", json!(["acme"]))),
    ] {
        assert_eq!(oidc.verify(&bad, NOW * 1_000_000_000), Err(Error::Unauthenticated), "{what}: {bad}");
    }
    oidc.verify(&good, (NOW + 359) * 1_000_000_000).unwrap();
    assert!(!Oidc::is_shaped("ll_a_b") && !Oidc::is_shaped("a.b.") && !Oidc::is_shaped("a.b.c.d"));
    assert!(!Oidc::is_shaped(&format!("a.b.{}", "c".repeat(MAX_TEXT_BYTES))));
}

#[test]
fn scopes_come_from_a_claim_where_one_is_named() {
    let (issuer, oidc) = ready(&OidcConfig { scope_claim: Some("scope".to_owned()), ..config() });
    let scopes = |value: Value| {
        let text = issuer.sign(&header(), &with(claims(), "scope", value));
        oidc.verify(&text, NOW * 1_000_000_000).map(|person| person.scopes)
    };
    let both = Ok(BTreeSet::from([Scope::Query, Scope::Admin]));
    assert_eq!(scopes(json!("openid loglake:query loglake:admin query loglake:root")), both);
    assert_eq!(scopes(json!(["loglake:admin", "loglake:query", 7])), both);
    assert_eq!(scopes(json!(7)), Ok(BTreeSet::new()));
    assert_eq!(scopes(Value::Null), Ok(BTreeSet::new()));
}

#[tokio::test]
async fn a_key_that_is_not_known_is_asked_for_and_bad_keys_change_nothing() {
    let (issuer, oidc) = ready(&config());
    let text = issuer.sign(&with(header(), "kid", json!("new")), &claims());
    assert!(oidc.verify(&text, NOW * 1_000_000_000).is_err());
    tokio::time::timeout(std::time::Duration::from_secs(5), oidc.unknown_key()).await.unwrap();
    let too_many = json!({"keys": vec![issuer.keys()["keys"][0].clone(); 65]}).to_string();
    for bad in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","kid":"o","k":"AAAA"}]}"#, &too_many] {
        assert!(matches!(oidc.take_keys(bad.as_bytes()), Err(Error::Issuer(_))), "{bad}");
    }
    oidc.verify(&issuer.sign(&header(), &claims()), NOW * 1_000_000_000).unwrap();
    // Keys that are gone are gone.
    oidc.take_keys(Issuer::new().keys().to_string().as_bytes()).unwrap();
    assert!(oidc.verify(&issuer.sign(&header(), &claims()), NOW * 1_000_000_000).is_err());
}

#[test]
fn a_policy_says_all_that_is_wrong_with_it() {
    let bad = OidcConfig {
        audience: String::new(),
        algorithms: vec!["HS256".to_owned(), "none".to_owned()],
        tenant: Some("../x".to_owned()),
        tenant_claim: None,
        scopes: vec!["root".to_owned()],
        ..config()
    };
    let fields: Vec<_> = Oidc::new(&bad).unwrap_err().into_iter().map(|fault| fault.field).collect();
    assert_eq!(fields, ["algorithms", "algorithms", "audience", "tenant", "scopes"]);
    let both = OidcConfig { tenant: Some("acme".to_owned()), ..config() };
    assert_eq!(Oidc::new(&both).unwrap_err()[0].field, "tenant");
}
