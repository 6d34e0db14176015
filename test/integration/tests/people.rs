//! People: tokens that an OpenID Connect issuer signed, here one of the test's own.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use loglake_integration::{Client, Dev};
use loglake_model::{Clock as _, SystemClock};
use reqwest::StatusCode;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key with its name.
struct Key {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap();
        Self { kid, pair }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": base64(x), "y": base64(y)})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid});
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", base64(signature))
    }
}

/// An issuer on a loopback address.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Value>>,
}

impl Issuer {
    async fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/realms/main", listener.local_addr().unwrap().port());
        let keys = Arc::new(Mutex::new(keys));
        let issuer = Self { url: url.clone(), keys: Arc::clone(&keys) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &url, &keys).await;
            }
        });
        issuer
    }

    fn claims(&self) -> Value {
        let ends = SystemClock.now_ns() / 1_000_000_000 + 600;
        json!({"iss": self.url, "aud": ["account", "loglake"], "sub": "ada", "exp": ends, "org": "acme", "groups": ["loglake:query"]})
    }
}

async fn answer(mut stream: TcpStream, url: &str, keys: &Mutex<Value>) {
    let mut head = vec![0; 4096];
    let length = stream.read(&mut head).await.unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let (status, body) = match head.split(' ').nth(1) {
        Some("/realms/main/.well-known/openid-configuration") => {
            ("200 OK", json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string())
        }
        Some("/realms/main/keys") => ("200 OK", keys.lock().unwrap().to_string()),
        _ => ("404 Not Found", String::new()),
    };
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _gone = stream.write_all(text.as_bytes()).await;
}

fn bearer(url: &str, token: &str) -> Client {
    Client::new(url).with_header("authorization", &format!("Bearer {token}"))
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn people_come_with_the_tokens_of_their_issuer_and_see_their_own_tenant_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, stranger) = (Key::new("first"), Key::new("second"), Key::new("first"));
    let issuer = Issuer::start(json!({"keys": [first.jwk()]})).await;
    let env = [
        ("LOGLAKE_OIDC_ISSUER", &*issuer.url),
        ("LOGLAKE_OIDC_AUDIENCE", "loglake"),
        ("LOGLAKE_OIDC_TENANT_CLAIM", "org"),
        ("LOGLAKE_OIDC_SCOPE_CLAIM", "groups"),
        ("LOGLAKE_OUTGOING_INSIDE_HOSTS", "127.0.0.1"),
    ];
    let dev = Dev::start(&folder.path().join("data"), &env).await;
    let url = dev.ports.query_url();
    let asks = async |token: &str| bearer(&url, token).post("/v1/query", r#"{"service":"shop"}"#).await;
    // The keys are fetched beside the start.
    let good = first.sign(&issuer.claims());
    let began = std::time::Instant::now();
    while asks(&good).await.0 != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", asks(&good).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let metrics = reqwest::get(format!("http://127.0.0.1:{}/metrics", dev.ports.metrics[0])).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("\nloglake_auth_oidc_keys 1\n"), "{metrics}");
    for name in ["loglake_auth_oidc_keys_age_seconds", "loglake_auth_tenants_age_seconds"] {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert!(line.trim().parse::<f64>().unwrap() < 30.0, "{name}{line}");
    }

    // Each tenant's people send and see their own records.
    let ingest = |org: &str| {
        with(with(issuer.claims(), "org", json!(org)), "groups", json!(["loglake:ingest", "loglake:query"]))
    };
    for org in ["acme", "other"] {
        let token = first.sign(&ingest(org));
        let line =
            json!({"service": "shop", "timestamp": "2026-03-01T00:00:00Z", "message": format!("canary of {org}")});
        let sent = bearer(&dev.ports.ingest_url(), &token).post("/v1/ingest", format!("{line}\n")).await;
        assert_eq!(sent.0, StatusCode::OK, "{sent:?}");
    }
    let (_, found) = asks(&good).await;
    let messages: Vec<_> =
        found["items"].as_array().unwrap().iter().map(|item| item["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["canary of acme"]);
    let foreign = bearer(&url, &good).post("/v1/query", r#"{"service":"shop","tenant_id":"other"}"#).await;
    assert_eq!(foreign.0, StatusCode::FORBIDDEN, "{foreign:?}");
    let foreign =
        bearer(&url, &good).with_header("x-scope-orgid", "other").post("/v1/query", r#"{"service":"shop"}"#).await;
    assert_eq!(foreign.0, StatusCode::FORBIDDEN, "{foreign:?}");

    // Too little, and nothing at all.
    let (status, answer) = asks(&first.sign(&with(issuer.claims(), "groups", json!(["staff"])))).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    let refused = async |token: &str| {
        let (status, mut answer) = asks(token).await;
        answer["error"]["request_id"].take();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
        answer
    };
    let nothing = refused("ll_nobody_00").await;
    for bad in [
        stranger.sign(&issuer.claims()),
        first.sign(&with(issuer.claims(), "aud", json!("elsewhere"))),
        first.sign(&with(issuer.claims(), "iss", json!("https://id.example"))),
        first.sign(&with(issuer.claims(), "exp", json!(1_700_000_000))),
        first.sign(&with(issuer.claims(), "org", json!("../acme"))),
        good.rsplit_once('.').unwrap().0.to_owned() + ".",
    ] {
        assert_eq!(refused(&bad).await, nothing, "one text for all");
    }

    // The issuer takes a new key: its tokens are good as soon as one came, the old key's no longer.
    *issuer.keys.lock().unwrap() = json!({"keys": [second.jwk()]});
    let fresh = second.sign(&issuer.claims());
    let began = std::time::Instant::now();
    while asks(&fresh).await.0 != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", asks(&fresh).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(asks(&good).await.0, StatusCode::UNAUTHORIZED);
}
