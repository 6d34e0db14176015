use loglake_api::ingest::v1::Batch;
use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::{IngestRequest, Open};
use loglake_auth::{Authenticator, Scope};
use loglake_ingest::Config;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::harness::{Harness, NOW_NS, SOON, record, say, token};

fn with_headers<T>(message: T, headers: &[(&'static str, String)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}

fn batch() -> Batch {
    Batch { number: 0, records: vec![record("api", "m")], ..Batch::default() }
}

#[tokio::test]
async fn records_go_to_the_tenant_of_their_credential_and_nowhere_else() {
    let (red, blue) = (token("red", Scope::Ingest, None), token("blue", Scope::Ingest, None));
    let auth = Authenticator::with_tokens(vec![red.token.clone(), blue.token.clone()]).unwrap();
    let harness = Harness::with(Config::default(), auth).await;
    for (tenant, token) in [("red", &red), ("blue", &blue)] {
        let body = format!("{{\"service\":\"api\",\"message\":\"canary-{tenant}\",\"tenant_id\":\"{tenant}\"}}");
        let said = say(harness.post(body).bearer_auth(&token.text).header("x-scope-orgid", tenant)).await;
        assert_eq!(said.status, 200, "{}", said.text);
        let said = say(harness
            .post(format!("{{\"service\":\"api\",\"message\":\"canary-{tenant}\"}}"))
            .basic_auth("any", Some(&token.text)))
        .await;
        assert_eq!(said.status, 200);
        let sent = Batch { number: 0, records: vec![record("api", &format!("canary-{tenant}"))], ..Batch::default() };
        let request = with_headers(sent, &[("x-api-key", token.text.clone())]);
        assert_eq!(harness.client().await.ingest_batch(request).await.unwrap().into_inner().accepted, 1);
    }
    let stored = harness.broker.stored();
    assert_eq!(stored.len(), 6);
    for record in &stored {
        assert!(record.line.contains(&format!("canary-{}", record.tenant)), "{record:?}");
    }
    // Red's credential with blue's name, in every place a name can stand.
    let other = say(harness.post("{}").bearer_auth(&red.text).header("x-scope-orgid", "blue")).await;
    assert_eq!((other.status, other.code()), (403, "forbidden"));
    let line = "{\"service\":\"api\",\"message\":\"m\",\"tenant_id\":\"blue\"}";
    let other = say(harness.post(line).bearer_auth(&red.text)).await;
    assert_eq!((other.status, other.code()), (403, "forbidden"));
    let headers = [("authorization", format!("Bearer {}", red.text)), ("x-scope-orgid", "blue".to_owned())];
    let other = harness.client().await.ingest_batch(with_headers(batch(), &headers)).await.unwrap_err();
    assert_eq!(other.code(), Code::PermissionDenied);
    assert_eq!(harness.broker.stored().len(), 6);

    // Metrics name nobody.
    let shown = prometheus::TextEncoder::new().encode_to_string(&harness.registry.gather()).unwrap();
    assert!(!shown.contains("\"red\"") && !shown.contains("blue") && !shown.contains("canary"), "{shown}");
    harness.stop().await;
}

#[tokio::test]
async fn without_a_valid_credential_everything_is_refused_in_the_same_words() {
    let (good, expired) = (token("red", Scope::Ingest, None), token("red", Scope::Ingest, Some(NOW_NS)));
    let reader = token("red", Scope::Query, None);
    let auth = vec![good.token.clone(), expired.token.clone(), reader.token.clone()];
    let harness = Harness::with(Config::default(), Authenticator::with_tokens(auth).unwrap()).await;
    let bearer = |text: &str| vec![("authorization", format!("Bearer {text}"))];
    let both = vec![("authorization", format!("Bearer {}", good.text)), ("x-api-key", expired.text.clone())];
    let strangers =
        [Vec::new(), bearer(""), bearer("nonsense"), bearer(&expired.text), bearer(&format!("{}x", good.text)), both];
    let mut texts = std::collections::BTreeSet::new();
    for headers in &strangers {
        let mut request = harness.post("{").header("x-request-id", "r");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let said = say(request).await;
        assert_eq!((said.status, said.code()), (401, "unauthenticated"), "{headers:?}");
        assert!(said.headers.contains_key("www-authenticate"));
        texts.insert(said.text);
        let status = harness.client().await.ingest_batch(with_headers(batch(), headers)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(status.get_details_error_info().unwrap().reason, "UNAUTHENTICATED");
        let stream = tokio_stream::once(IngestRequest { kind: Some(Kind::Open(Open::default())) });
        let mut request = Request::new(stream);
        for (name, value) in headers {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        assert_eq!(harness.client().await.ingest(request).await.unwrap_err().code(), Code::Unauthenticated);
    }
    assert_eq!(texts.len(), 1, "{texts:?}");

    let said = say(harness.post("{}").bearer_auth(&reader.text)).await;
    assert_eq!((said.status, said.code()), (403, "forbidden"));
    let status = harness.client().await.ingest_batch(with_headers(batch(), &bearer(&reader.text))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    for bad in ["..", "a/b", "%252e%252e", "a|b", "", &"x".repeat(1024)] {
        let said = say(harness.post("{}").bearer_auth(&good.text).header("x-scope-orgid", bad)).await;
        assert_eq!((said.status, said.code()), (400, "invalid"), "{bad}");
        assert_eq!(said.json["error"]["field"], "x-scope-orgid");
    }
    assert!(harness.broker.stored().is_empty());
    harness.stop().await;
}

#[tokio::test]
async fn in_open_mode_the_header_chooses_the_tenant() {
    let harness = Harness::open().await;
    let body = "{\"service\":\"api\",\"message\":\"m\"}";
    assert_eq!(say(harness.post(body)).await.status, 200);
    assert_eq!(say(harness.post(body).header("x-scope-orgid", "green")).await.status, 200);
    let request = with_headers(batch(), &[("x-scope-orgid", "grey".to_owned())]);
    harness.client().await.ingest_batch(request).await.unwrap();
    assert_eq!(say(harness.post(body).header("x-scope-orgid", "../green")).await.status, 400);
    let mut tenants: Vec<String> = harness.broker.stored().into_iter().map(|record| record.tenant).collect();
    tenants.sort();
    assert_eq!(tenants, ["default", "green", "grey"]);
    harness.stop().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_credential_expires() {
    let token = token("red", Scope::Ingest, Some(NOW_NS + 1_000));
    let auth = Authenticator::with_tokens(vec![token.token.clone()]).unwrap();
    let harness = Harness::with(Config::default(), auth).await;
    let (requests, receiver) = mpsc::channel(8);
    let mut request = Request::new(ReceiverStream::new(receiver));
    request.metadata_mut().append("authorization", format!("Bearer {}", token.text).parse().unwrap());
    let mut answers = harness.client().await.ingest(request).await.unwrap().into_inner();
    requests.send(IngestRequest { kind: Some(Kind::Open(Open::default())) }).await.unwrap();
    let sent = |number| IngestRequest { kind: Some(Kind::Batch(Batch { number, ..batch() })) };
    requests.send(sent(0)).await.unwrap();
    for _ in 0..2 {
        tokio::time::timeout(SOON, answers.next()).await.unwrap().unwrap().unwrap();
    }
    assert_eq!(harness.broker.stored().len(), 1);
    harness.clock.advance(1_000);
    requests.send(sent(1)).await.unwrap();
    let status = tokio::time::timeout(SOON, answers.next()).await.unwrap().unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(harness.broker.messages(), 1);
    harness.stop().await;
}
