//! Limits of tenants on both surfaces, by a clock in the test's hand.

use loglake_api::ingest::v1::{Batch, LogRecord};
use loglake_auth::Authenticator;
use loglake_auth::limits::{AtRest, Limit, Limits};
use loglake_ingest::{Config, metrics};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::harness::{Harness, Said, record, say};

const MS: i64 = 1_000_000;

async fn limited(limits: Limits) -> Harness {
    Harness::limited(Config::default(), Authenticator::open(), limits).await
}

/// Lines of so many services.
fn lines(names: std::ops::Range<u32>) -> String {
    names.map(|n| format!("{{\"service\":\"s{n}\",\"message\":\"m\"}}\n")).collect()
}

async fn post(harness: &Harness, key: Option<&str>, body: String) -> Said {
    let request = harness.post(body);
    say(match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    })
    .await
}

async fn batch(harness: &Harness, records: Vec<LogRecord>) -> Result<(u64, Vec<String>), Status> {
    let batch = Batch { number: 1, records, ..Batch::default() };
    let result = harness.client().await.ingest_batch(Request::new(batch)).await?.into_inner();
    Ok((result.accepted, result.errors.into_iter().map(|error| error.code).collect()))
}

#[tokio::test]
async fn the_wait_is_exact_and_a_refusal_takes_nothing() {
    let limits = Limits::none().with(Limit::IngestRecords, 10).with(Limit::IngestBurstMs, 1_000);
    let harness = limited(limits.with(Limit::IngestBytes, 1_000)).await;
    assert_eq!(post(&harness, None, lines(0..10)).await.status, 200);
    for after in [0, 399] {
        harness.clock.advance(after * MS);
        let said = post(&harness, None, lines(0..4)).await;
        assert_eq!(
            (said.status, said.code(), said.headers["retry-after"].to_str().unwrap()),
            (429, "rate_limited", "1"),
            "{}",
            said.text
        );
        let error = &said.json["error"];
        assert!(error["limit"] == 10 && error["actual"].as_u64() > Some(10), "{error}");
        // The bytes, of which there are enough, were given back.
        assert_eq!(harness.broker.stored().len(), 10);
    }
    harness.clock.advance(MS);
    assert_eq!(post(&harness, None, lines(0..4)).await.status, 200);
    let over = batch(&harness, vec![record("s", "m"); 5]).await.unwrap_err();
    assert_eq!(over.code(), Code::ResourceExhausted);
    let wait = over.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(wait.as_millis(), 500);
    let never = batch(&harness, vec![record("s", "m"); 11]).await.unwrap_err();
    assert!(never.code() == Code::OutOfRange && never.get_details_retry_info().is_none(), "{never:?}");
    assert!(never.message().contains("never passes"), "{never:?}");
    // By bytes too, before anything is decoded.
    harness.clock.advance(10_000 * MS);
    let said = post(&harness, None, "x".repeat(1_001)).await;
    assert_eq!((said.status, said.code()), (413, "too_large"));
    assert_eq!(harness.metric(metrics::LIMITED_TOTAL, &[("limit", "ingest_records")]), 4.0);
    assert_eq!(harness.metric(metrics::LIMITED_TOTAL, &[("limit", "ingest_bytes")]), 1.0);
    harness.stop().await;
}

#[tokio::test]
async fn a_request_that_may_be_sent_again_is_kept_as_a_whole_or_not_at_all() {
    let harness = limited(Limits::none().with(Limit::Services, 3)).await;
    assert_eq!(post(&harness, None, lines(0..2)).await.status, 200);
    // Without a key the others are kept, with one they are not.
    let refused = post(&harness, Some("k1"), lines(1..5)).await;
    assert_eq!(
        (refused.status, refused.code(), refused.json["error"]["field"].as_str()),
        (429, "rate_limited", Some("service"))
    );
    assert!(refused.json["error"]["message"].as_str().unwrap().contains("record 3"), "{}", refused.text);
    let never = post(&harness, Some("k2"), lines(0..4)).await;
    assert_eq!(
        (never.status, never.code(), never.headers.get("retry-after")),
        (413, "too_large", None),
        "{}",
        never.text
    );
    assert_eq!(harness.broker.stored().len(), 2);
    let kept = post(&harness, None, lines(1..5)).await;
    assert_eq!((kept.status, kept.json["accepted"].as_u64(), kept.json["rejected"].as_u64()), (200, Some(2), Some(2)));
    assert_eq!(kept.json["errors"][0]["code"], "rate_limited");
    assert_eq!(post(&harness, Some("k1"), lines(0..3)).await.status, 200);
    let only = post(&harness, None, lines(7..9)).await;
    assert_eq!((only.status, only.json["error"]["record_index"].as_u64()), (429, Some(0)), "{}", only.text);

    let mixed = batch(&harness, vec![record("s0", "m"), record("new", "m")]).await.unwrap();
    assert_eq!(mixed, (1, vec!["rate_limited".to_owned()]));
    let only = batch(&harness, vec![record("new", "m")]).await.unwrap_err();
    assert_eq!(only.code(), Code::ResourceExhausted);
    harness.stop().await;
}

#[tokio::test]
async fn who_has_too_much_stored_is_refused_as_long_as_that_is_known() {
    let harness = limited(Limits::none().with(Limit::StoredBytes, 1_000)).await;
    let enforced = |harness: &Harness| harness.metric(metrics::STORAGE_ENFORCED, &[]);
    let failures = |harness: &Harness| harness.metric(metrics::STORAGE_FAILURES_TOTAL, &[]);
    *harness.at_rest.says.lock() = Some(AtRest { bytes: vec![1_000], lacks: None });
    let until_refused = async || {
        let began = std::time::Instant::now();
        loop {
            let said = post(&harness, None, lines(0..1)).await;
            if said.status != 200 || began.elapsed().as_secs() > 30 {
                break said;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let said = until_refused().await;
    assert_eq!(
        (said.status, said.code(), said.headers["retry-after"].to_str().unwrap()),
        (507, "quota_exceeded", "30")
    );
    assert!(said.json["error"]["limit"] == 1_000 && said.json["error"]["actual"] == 1_000, "{}", said.text);
    // The head is enough to know: the rest need not come.
    let said = say(harness.post("x".repeat(100)).header("content-encoding", "gzip")).await;
    assert_eq!(said.code(), "quota_exceeded");
    let over = batch(&harness, vec![record("s", "m")]).await.unwrap_err();
    assert_eq!(
        (over.code(), over.get_details_error_info().unwrap().reason.as_str()),
        (Code::ResourceExhausted, "QUOTA_EXCEEDED")
    );
    assert_eq!((enforced(&harness), failures(&harness)), (1.0, 0.0));
    assert_eq!(harness.metric(metrics::LIMITED_TOTAL, &[("limit", "stored_bytes")]), 3.0);

    // Nobody answers any more: what was told holds for five minutes.
    *harness.at_rest.says.lock() = None;
    harness.clock.advance(299_000 * MS);
    assert_eq!(post(&harness, None, lines(0..1)).await.status, 507);
    harness.wait_for(|harness| failures(harness) >= 1.0).await;
    assert_eq!(post(&harness, None, lines(0..1)).await.status, 507);
    harness.clock.advance(1_001 * MS);
    assert_eq!(post(&harness, None, lines(0..1)).await.status, 200);
    harness.wait_for(|harness| enforced(harness) == 0.0).await;

    // At least that much, as a part of the index is rebuilt: enough to know.
    *harness.at_rest.says.lock() = Some(AtRest { bytes: vec![5_000], lacks: Some("a part".to_owned()) });
    assert_eq!(until_refused().await.code(), "quota_exceeded");
    assert_eq!(enforced(&harness), 0.0, "not all is known");
    harness.stop().await;
}
