//! Idempotency keys, as their client sees them, and what they leave in the broker.

use loglake_api::ingest::v1::Batch;
use loglake_batch::repeats::KEY_GOOD_NS;
use loglake_batch::{IdempotencyKey, Origin};
use tonic::Code;

use crate::harness::{Harness, NOW_NS, PARTITIONS, record, say};

const LINE: &str = "{\"service\":\"api\",\"message\":\"m\"}";

fn keys(harness: &Harness) -> Vec<IdempotencyKey> {
    let of = |(_, batch): (u32, loglake_batch::LogBatch)| match batch.origin() {
        Origin::Key(key) => key.clone(),
        other => panic!("no key: {other:?}"),
    };
    harness.broker.batches().into_iter().map(of).collect()
}

#[tokio::test]
async fn requests_with_a_key_carry_its_hash_over_http_and_grpc() {
    let harness = Harness::open().await;
    for tenant in ["a", "a", "b"] {
        let request = harness.post(LINE).header("Idempotency-Key", "order-1").header("X-Scope-OrgID", tenant);
        assert_eq!(say(request).await.status, 200);
        harness.clock.advance(1);
        *harness.broker.append_time_ns.lock() += 1;
    }
    let mut request = tonic::Request::new(Batch { records: vec![record("api", "m")], ..Batch::default() });
    request.metadata_mut().insert("idempotency-key", "order-1".parse().unwrap());
    request.metadata_mut().insert("x-scope-orgid", "a".parse().unwrap());
    assert_eq!(harness.client().await.ingest_batch(request).await.unwrap().into_inner().accepted, 1);
    let keys = keys(&harness);
    assert!(keys.iter().all(|key| (key.partitions, key.part, key.parts) == (PARTITIONS, 0, 1)));
    assert_eq!(keys.iter().map(|key| key.first_seen_ns - NOW_NS).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(keys[0].hash, keys[1].hash);
    assert_ne!(keys[0].hash, keys[2].hash, "another tenant's key");
    assert_eq!(keys[0].hash, keys[3].hash, "the same over gRPC");
    harness.stop().await;
}

#[tokio::test]
async fn wrong_keys_are_refused_and_nothing_is_kept() {
    let harness = Harness::open().await;
    let long = "k".repeat(256);
    for bad in ["", &long] {
        let said = say(harness.post(LINE).header("Idempotency-Key", bad)).await;
        assert_eq!(
            (said.status, said.json["error"]["field"].as_str()),
            (400, Some("idempotency-key")),
            "{}",
            said.text
        );
    }
    let twice = harness.post(LINE).header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_eq!(say(twice).await.status, 400);
    let mut request = tonic::Request::new(Batch { records: vec![record("api", "m")], ..Batch::default() });
    request.metadata_mut().insert("idempotency-key", long.parse().unwrap());
    assert_eq!(harness.client().await.ingest_batch(request).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(harness.broker.messages(), 0);
    harness.stop().await;
}

#[tokio::test]
async fn a_record_outside_of_the_times_allowed_refuses_the_whole_request() {
    let harness = Harness::open().await;
    // It may be taken when it comes again later: then the request would have other records than before.
    let ahead = (NOW_NS + 3_600_000_000_000 + 1).to_string();
    let body =
        format!("{LINE}\n{{\"service\":\"api\",\"message\":\"m\",\"ts\":{ahead}}}\n{{\"message\":\"no service\"}}");
    let said = say(harness.post(body.clone()).header("Idempotency-Key", "k")).await;
    assert_eq!((said.status, said.code()), (400, "too_far_ahead"), "{}", said.text);
    assert_eq!(harness.broker.messages(), 0);
    harness.clock.advance(1);
    let said = say(harness.post(body).header("Idempotency-Key", "k")).await;
    assert_eq!((said.status, said.json["accepted"].as_u64(), said.json["rejected"].as_u64()), (200, Some(2), Some(1)));
    harness.stop().await;
}

#[tokio::test]
async fn what_took_ten_minutes_to_be_appended_is_not_acknowledged() {
    let harness = Harness::open().await;
    *harness.broker.append_time_ns.lock() += KEY_GOOD_NS;
    let said = say(harness.post(LINE).header("Idempotency-Key", "k")).await;
    assert_eq!((said.status, said.json["accepted"].as_u64()), (503, Some(0)), "{}", said.text);
    // The log's time is known now.
    let said = say(harness.post(LINE).header("Idempotency-Key", "k")).await;
    assert_eq!((said.status, said.json["accepted"].as_u64()), (200, Some(1)));
    assert_eq!(keys(&harness)[1].first_seen_ns, NOW_NS + KEY_GOOD_NS);
    harness.stop().await;
}
