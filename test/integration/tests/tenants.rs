//! Tenants and tokens, made and taken away while everything runs.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use loglake_integration::ctl::{configured, done, loglakectl, rows};
use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Dev, Session, Stack, send};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A revocation is known everywhere after this.
const MINUTE: Duration = Duration::from_secs(60);

fn record(n: u64) -> Sent {
    Sent {
        service: "shop".to_owned(),
        timestamp_ns: 1_772_323_200_000_000_000 + i64::try_from(n).unwrap(),
        level: Some("error"),
        message: format!("number {n}"),
        trace_id: String::new(),
    }
}

/// Waits until the server takes, or no longer takes, a batch under `token`; says how long that took.
async fn until(grpc: &str, token: &str, is_taken: bool) -> Duration {
    let began = Instant::now();
    let bearer = format!("Bearer {token}");
    loop {
        let sent = send::batch(grpc, &[("authorization", &bearer)], vec![]).await;
        match &sent {
            Ok(_) => {}
            Err(status) => assert_eq!(status.code(), tonic::Code::Unauthenticated, "{status:?}"),
        }
        if sent.is_ok() == is_taken {
            return began.elapsed();
        }
        assert!(began.elapsed() < MINUTE, "{sent:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn on_servers_a_token_is_made_in_one_process_good_in_another_and_ends_open_streams_when_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let operator = configured("ops", "operator");
    let tokens = rows(&[&operator]);
    // As it is when nobody sets anything but the configuration's token: ten seconds.
    let stack = Stack::start(folder.path(), &[("LOGLAKE_AUTH_TOKENS", &tokens)]);
    let (mut processor, mut query) = (stack.role("processor", "processor"), stack.role("query", "query"));
    let mut ingestor = stack.role("ingestor", "ingestor");
    for role in [&mut processor, &mut query, &mut ingestor] {
        role.wait_ready().await;
    }
    let ctl = |args: &[&str]| done(&query.http, &operator.text, args);
    ctl(&["tenants", "add", "acme"]);
    let writer = ctl(&["tokens", "add", "--tenant", "acme", "--scopes", "ingest"]);
    let reader = ctl(&["tokens", "add", "--tenant", "acme", "--scopes", "query"]);
    until(&ingestor.grpc, &writer, true).await;

    let bearer = format!("Bearer {writer}");
    let mut session = Session::open_as(&ingestor.grpc, ("authorization", &bearer), "").await.unwrap();
    let mut silent = Session::open_as(&ingestor.grpc, ("authorization", &bearer), "").await.unwrap();
    session.send(1, 1, vec![send::wire(&record(1))]).await;
    assert_eq!(session.result().await.unwrap().accepted, 1);
    let found = done(&query.http, &reader, &["query", "--service", "shop"]);
    assert!(found.ends_with(" error shop number 1") && found.lines().count() == 1, "{found}");

    // The server that made it is killed; what it made is not its own.
    query.process.kill();
    query.restart().await;
    let id = writer.split('_').nth(1).unwrap();
    let began = Instant::now();
    done(&query.http, &operator.text, &["tokens", "revoke", id]);
    let ended = silent.result().await.unwrap_err();
    assert_eq!(ended.code(), tonic::Code::Unauthenticated, "a stream that sends nothing: {ended:?}");
    assert!(began.elapsed() < MINUTE, "{:?}", began.elapsed());
    let ended = session.result().await.unwrap_err();
    assert_eq!(ended.code(), tonic::Code::Unauthenticated, "{ended:?}");
    until(&ingestor.grpc, &writer, false).await;
    println!("revoked everywhere after {:?}", began.elapsed());

    // An ingestor that begins while the store is away knows the configuration's tokens, and the others once it is back.
    let fresh = done(&query.http, &operator.text, &["tokens", "add", "--tenant", "acme", "--scopes", "ingest"]);
    stack.minio.stop();
    ingestor.process.kill();
    ingestor.restart().await;
    until(&ingestor.grpc, &fresh, false).await;
    stack.minio.start_again();
    until(&ingestor.grpc, &fresh, true).await;
}

#[tokio::test]
async fn a_tenants_administrator_manages_its_own_tokens_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let operator = configured("ops", "operator");
    let env = [("LOGLAKE_AUTH_TOKENS", &*rows(&[&operator])), ("LOGLAKE_AUTH_REFRESH", "200ms")];
    let mut dev = Dev::start(&folder.path().join("data"), &env).await;
    let url = dev.ports.query_url();
    let ctl = |token: &str, args: &[&str]| done(&url, token, args);
    for tenant in ["acme", "other"] {
        ctl(&operator.text, &["tenants", "add", tenant]);
    }
    let admin = ctl(&operator.text, &["tokens", "add", "--tenant", "acme", "--scopes", "admin"]);
    let other = ctl(&operator.text, &["tokens", "add", "--tenant", "other", "--scopes", "admin,query,ingest"]);
    let (admin_id, other_id) = (admin.split('_').nth(1).unwrap(), other.split('_').nth(1).unwrap());
    let own = ctl(&admin, &["tokens", "add", "--scopes", "query,ingest", "--expires", "2100-01-01T00:00:00Z"]);
    let listed = ctl(&admin, &["tokens", "list"]);
    assert!(listed.lines().count() == 2 && !listed.contains("other") && listed.contains("2100-01-01"), "{listed}");
    assert_eq!(ctl(&operator.text, &["tokens", "list"]).lines().count(), 3);
    assert_eq!(ctl(&operator.text, &["--tenant", "other", "tokens", "list"]).lines().count(), 1);

    // Another tenant's token and one that there is not: the same answer. What only operators may: refused.
    let as_admin = Client::new(&url).with_header("authorization", &format!("Bearer {admin}"));
    let mut answers = Vec::new();
    for id in [other_id, "nobodys", "..%2f..%2fx", "%252e%252e"] {
        let (status, mut answer) = as_admin.post(&format!("/v1/tokens/{id}/rotate"), "{}").await;
        answer["error"]["request_id"].take();
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}: {answer}");
        answers.push(answer);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    for (path, body, status, field) in [
        ("/v1/tokens", json!({"scopes": ["operator"]}), 403, Value::Null),
        ("/v1/tokens", json!({"scopes": ["query"], "tenant_id": "other"}), 403, Value::Null),
        ("/v1/tokens", json!({"scopes": ["query"], "id": "mine"}), 403, Value::Null),
        ("/v1/tokens", json!({"scopes": ["query"], "tenant_id": "../other"}), 400, json!("tenant_id")),
        ("/v1/tokens", json!({"scopes": ["root"]}), 400, json!("scopes")),
        ("/v1/tokens", json!({"scopes": []}), 400, Value::Null),
        ("/v1/tokens", json!({"scopes": ["query"], "expires": "soon"}), 400, json!("expires")),
        ("/v1/tokens", json!({"scopes": ["query"], "expires": "2020-01-01T00:00:00Z"}), 400, Value::Null),
        ("/v1/tokens", json!({"scopes": ["query"], "secret": "x"}), 400, Value::Null),
        ("/v1/tenants", json!({"tenant_id": "mine"}), 403, Value::Null),
        ("/v1/tenants/acme/suspend", json!({}), 403, Value::Null),
    ] {
        let (got, answer) = as_admin.post(path, body.to_string()).await;
        assert_eq!((got.as_u16(), &answer["error"]["field"]), (status, &field), "{path} {body}: {answer}");
    }
    let as_operator = Client::new(&url).with_header("authorization", &format!("Bearer {}", operator.text));
    for (path, body, status) in [
        ("/v1/tenants", json!({"tenant_id": "acme"}), 409),
        ("/v1/tenants", json!({"tenant_id": "a/b"}), 400),
        ("/v1/tenants/..%2f..%2fx/suspend", json!({}), 400),
        ("/v1/tenants/%252e%252e/suspend", json!({}), 400),
        ("/v1/tenants/absent/suspend", json!({}), 404),
        ("/v1/tokens", json!({"tenant_id": "absent", "scopes": ["query"]}), 404),
        ("/v1/query", json!({}), 403),
    ] {
        let (got, answer) = as_operator.post(path, body.to_string()).await;
        assert_eq!(got.as_u16(), status, "{path} {body}: {answer}");
    }

    // A successor beside the old one, then alone; all of it outlives a crash.
    let successor = ctl(&admin, &["tokens", "rotate", own.split('_').nth(1).unwrap(), "--overlap", "2s"]);
    for token in [&own, &successor] {
        assert_eq!(ctl(token, &["query"]), "");
    }
    dev.process.kill();
    dev.restart().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(loglakectl(&url, &own, &["query"]).code, 1);
    assert_eq!(ctl(&successor, &["query"]), "");

    // A suspended tenant has no way in, on no surface; the others do.
    ctl(&operator.text, &["tenants", "suspend", "acme"]);
    assert!(ctl(&operator.text, &["tenants", "list"]).contains("suspended"));
    until(&dev.ports.grpc_url(), &successor, false).await;
    let refused = loglakectl(&url, &admin, &["tokens", "list"]);
    assert!(refused.code == 1 && refused.err.contains("401"), "{refused:?}");
    assert_eq!(ctl(&other, &["query"]), "");
    ctl(&operator.text, &["tenants", "resume", "acme"]);
    until(&dev.ports.grpc_url(), &successor, true).await;
    ctl(&admin, &["tokens", "revoke", admin_id]);
    assert_eq!(loglakectl(&url, &admin, &["tokens", "list"]).code, 1, "one's own token, too");

    // Nothing secret in the log or in what is stored.
    let secret = |token: &str| token.rsplit('_').next().unwrap().to_owned();
    let said = dev.process.said();
    for token in [&operator.text, &admin, &other, &own, &successor] {
        assert!(!said.contains(&secret(token)), "a secret is in the log");
    }
    let kept = std::fs::read_dir(dev.objects().join("auth/default")).unwrap();
    let entries =
        kept.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let kept: Vec<String> = entries.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(kept.len() >= 9 && !kept.iter().any(|entry| entry.contains(&secret(&own))), "{kept:?}");
}

#[tokio::test]
async fn with_no_token_configured_the_stored_ones_can_be_the_only_ones() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Open on loopback, the first operator's token is made; from then on nobody is let in without one.
    let mut dev = Dev::start(&data, &[]).await;
    let url = dev.ports.query_url();
    done(&url, "", &["tenants", "add", "ops"]);
    let operator = done(&url, "", &["--tenant", "ops", "tokens", "add", "--scopes", "operator"]);
    dev.process.stop().await;
    dev.set("LOGLAKE_AUTH_REQUIRED", "true");
    dev.restart().await;
    assert_eq!(Client::new(&url).post("/v1/query", "{}").await.0, StatusCode::UNAUTHORIZED);
    assert!(done(&url, &operator, &["tenants", "list"]).starts_with("ops"));
}
