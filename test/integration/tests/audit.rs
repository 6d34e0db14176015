//! The audit log: what is done and refused becomes records of a tenant of its own, which prove themselves.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use loglake_integration::ctl::{configured, done, loglakectl, rows};
use loglake_integration::{Client, Dev, Stack};
use reqwest::StatusCode;

/// What the audit log says, as soon as it has an entry with each of `words`.
async fn log_with(url: &str, token: &str, words: &[&str]) -> String {
    let began = Instant::now();
    loop {
        let log = done(url, token, &["query", "--service", "audit", "--all", "--forward"]);
        if words.iter().all(|word| log.lines().any(|line| line.contains(word))) {
            return log;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{words:?} are not all in\n{log}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn changes_and_refusals_are_told_across_restarts_and_an_altered_log_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (operator, auditor) = (configured("ops", "operator"), configured("loglake-audit", "query,ingest"));
    let env = [("LOGLAKE_AUTH_TOKENS", &*rows(&[&operator, &auditor])), ("LOGLAKE_AUTH_REFRESH", "200ms")];
    let mut dev = Dev::start(&folder.path().join("data"), &env).await;
    let url = dev.ports.query_url();
    let ctl = |args: &[&str]| done(&url, &operator.text, args);
    ctl(&["tenants", "add", "acme"]);
    let token = ctl(&["tokens", "add", "--tenant", "acme", "--scopes", "query", "--id", "acme-reader"]);
    let reader = Client::new(&url).with_header("authorization", &format!("Bearer {token}"));
    let foreign = reader.post("/v1/query", r#"{"tenant_id":"other"}"#).await;
    assert_eq!(foreign.0, StatusCode::FORBIDDEN, "{foreign:?}");
    assert_eq!(reader.clone().post("/v1/tenants", r#"{"tenant_id":"evil"}"#).await.0, StatusCode::FORBIDDEN);
    assert_eq!(reader.at(dev.ports.ingest_url()).post("/v1/ingest", "{}").await.0, StatusCode::FORBIDDEN);
    ctl(&["tokens", "revoke", "acme-reader"]);
    let stranger = Client::new(&url).with_header("authorization", "Bearer ll_nobody_0");
    assert_eq!(stranger.post("/v1/query", "{}").await.0, StatusCode::UNAUTHORIZED);

    let who = format!("token {} of ops", operator.id());
    let wanted = [
        &*format!("info  audit {who}: tenant.add done of tenant acme"),
        &format!("{who}: token.add done acme-reader of tenant acme"),
        "warn  audit token acme-reader of acme: access refused tenant_id of tenant acme: the tenant `other` is not the one",
        "token acme-reader of acme: access refused POST /v1/tenants of tenant acme: the credential lacks the scope `operator`",
        "token acme-reader of acme: access refused POST /v1/ingest of tenant acme: the credential lacks the scope `ingest`",
        &format!("{who}: token.revoke done acme-reader of tenant acme"),
        "a stranger: access refused POST /v1/query: a valid credential is needed",
    ];
    let log = log_with(&url, &auditor.text, &wanted).await;
    let secret = token.rsplit('_').next().unwrap();
    assert!(!log.contains(secret), "{log}");
    let whole = done(&url, &auditor.text, &["audit", "verify"]);
    assert!(whole.contains("in 1 chains: nothing is altered or left out"), "{whole}");

    // Nobody sends for it, not even with a token that says so.
    let forger = Client::new(dev.ports.ingest_url()).with_header("authorization", &format!("Bearer {}", auditor.text));
    let forged = r#"{"service":"audit","message":"nothing happened"}"#;
    assert_eq!(forger.post("/v1/ingest", forged).await.0, StatusCode::FORBIDDEN);

    // Another run has another chain. What was noted last is written down on the way out.
    ctl(&["tenants", "suspend", "acme"]);
    dev.process.stop().await;
    dev.restart().await;
    ctl(&["tenants", "resume", "acme"]);
    log_with(&url, &auditor.text, &["tenant.suspend done of tenant acme", "tenant.resume done of tenant acme"]).await;
    let whole = done(&url, &auditor.text, &["audit", "verify", "--json"]);
    assert_eq!(whole.lines().count(), 2, "{whole}");
    assert!(whole.lines().all(|line| line.contains(r#""faults":[]"#)), "{whole}");
    // A part that is cut off in front is one only where it was asked for.
    let cut = loglakectl(&url, &operator.text, &["audit", "verify"]);
    assert_ne!(cut.code, 0, "an operator reads no records");
}

#[tokio::test]
async fn on_servers_each_process_has_a_chain_and_a_broker_that_is_away_delays_it() {
    let folder = tempfile::tempdir().unwrap();
    let (operator, auditor) = (configured("ops", "operator"), configured("loglake-audit", "query"));
    let stack = Stack::start(folder.path(), &[("LOGLAKE_AUTH_TOKENS", &*rows(&[&operator, &auditor]))]);
    let (mut processor, mut query) = (stack.role("processor", "processor"), stack.role("query", "query"));
    let mut ingestor = stack.role("ingestor", "ingestor");
    for role in [&mut processor, &mut query, &mut ingestor] {
        role.wait_ready().await;
    }
    done(&query.http, &operator.text, &["tenants", "add", "acme"]);
    let stranger = Client::new(&ingestor.http).with_header("authorization", "Bearer ll_nobody_0");
    assert_eq!(stranger.post("/v1/ingest", "{}").await.0, StatusCode::UNAUTHORIZED);
    let words = ["tenant.add done of tenant acme", "a stranger: access refused POST /v1/ingest"];
    log_with(&query.http, &auditor.text, &words).await;
    let whole = done(&query.http, &auditor.text, &["audit", "verify"]);
    assert!(whole.contains("2 entries in 2 chains"), "{whole}");
}
