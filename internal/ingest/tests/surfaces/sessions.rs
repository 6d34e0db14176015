//! Sessions on the native stream, as their client sees them, and what they leave in the broker.

use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::{Batch, LogRecord, Open, Opened, ingest_response};
use loglake_auth::session::SessionToken;
use loglake_auth::{Authenticator, Scope};
use loglake_batch::repeats::{SESSION_END_NS, SESSION_GOOD_NS};
use loglake_batch::{Origin, SessionPart};
use loglake_ingest::Config;
use loglake_model::TenantName;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::grpc::Talk;
use crate::harness::{Harness, NOW_NS, PARTITIONS, record, session_key, token};

/// Opens a session, or resumes the one of `session_token`.
async fn open(harness: &Harness, session_token: &str) -> (Talk, Opened) {
    let mut talk = Talk::silent(harness).await;
    talk.send(Kind::Open(Open { session_token: session_token.to_owned(), session: true })).await;
    match talk.next().await.unwrap().unwrap().kind {
        Some(ingest_response::Kind::Opened(opened)) => (talk, opened),
        other => panic!("not opened: {other:?}"),
    }
}

async fn send(talk: &Talk, number: u64, oldest_unacknowledged: u64, records: Vec<LogRecord>) {
    talk.send(Kind::Batch(Batch { number, records, oldest_unacknowledged })).await;
}

fn parts(harness: &Harness) -> Vec<(u32, SessionPart)> {
    let of = |(partition, batch): (u32, loglake_batch::LogBatch)| match batch.origin() {
        Origin::Session(part) => (partition, part.clone()),
        other => panic!("no session: {other:?}"),
    };
    harness.broker.batches().into_iter().map(of).collect()
}

#[tokio::test]
async fn batches_carry_their_session_and_go_the_same_way_at_every_ingestor() {
    let harness = Harness::open().await;
    let (mut talk, opened) = open(&harness, "").await;
    assert_eq!(opened.session_seconds_left, 3_600);
    let records = || (0..8).map(|n| record(&format!("s{n}"), "m")).collect::<Vec<_>>();
    send(&talk, 1, 1, records()).await;
    let result = talk.result().await;
    assert_eq!((result.number, result.accepted), (1, 8));
    // Another ingestor would have another count of partitions by now; the token decides.
    harness.clock.advance(60_000_000_000);
    *harness.broker.append_time_ns.lock() += 60_000_000_000;
    let (mut again, resumed) = open(&harness, &opened.session_token).await;
    assert_eq!((&resumed.session_token, resumed.session_seconds_left), (&opened.session_token, 3_540));
    send(&again, 1, 1, records()).await;
    assert_eq!(again.result().await.accepted, 8);
    let parts = parts(&harness);
    let (first, second) = parts.split_at(parts.len() / 2);
    assert!(first.len() > 1 && first == second, "{parts:?}");
    let said = session_key().read(&opened.session_token).unwrap();
    assert_eq!((said.opened_at_ns, said.partitions), (NOW_NS, PARTITIONS));
    for (_, part) in first {
        assert_eq!((part.id, part.opened_at_ns, part.partitions), (said.id, NOW_NS, PARTITIONS));
        assert_eq!((part.number, part.oldest_unacknowledged, part.part, part.parts), (1, 1, 0, 1));
    }

    // A token of another count of partitions.
    let narrow = session_key().sign(&SessionToken { partitions: 1, ..said });
    let (mut talk, _) = open(&harness, &narrow).await;
    let before = harness.broker.messages();
    send(&talk, 2, 1, records()).await;
    assert_eq!(talk.result().await.accepted, 8);
    let batches = harness.broker.batches().split_off(before);
    assert!(matches!(&batches[..], [(0, batch)] if batch.record_count() == 8), "all in the one partition");
}

#[tokio::test]
async fn a_large_batch_becomes_the_same_parts_whenever_it_is_sent() {
    let config = Config { max_age: Some(std::time::Duration::from_secs(60)), ..Config::default() };
    let harness = Harness::with(config, Authenticator::open()).await;
    let (mut talk, opened) = open(&harness, "").await;
    // The first record is too old only when it comes late: it must take its place all the same. The second always is.
    let mut records: Vec<_> = (0..12).map(|n| record("api", &format!("{n}{}", "x".repeat(200 << 10)))).collect();
    records[0].timestamp_ns = NOW_NS.unsigned_abs() - 30_000_000_000;
    records[1].timestamp_ns = NOW_NS.unsigned_abs() - 90_000_000_000;
    for turn in 0..2 {
        send(&talk, 1, 1, records.clone()).await;
        let result = talk.result().await;
        assert_eq!((result.accepted, result.rejected), (11, 1), "turn {turn}");
        harness.clock.advance(120_000_000_000);
        *harness.broker.append_time_ns.lock() += 120_000_000_000;
        (talk, _) = open(&harness, &opened.session_token).await;
    }
    let whole: Vec<_> = harness.broker.batches().into_iter().map(|(_, batch)| batch).collect();
    let (first, second) = whole.split_at(whole.len() / 2);
    let shape = |batch: &loglake_batch::LogBatch| (batch.origin().clone(), batch.record_count());
    assert_eq!(first.iter().map(shape).collect::<Vec<_>>(), second.iter().map(shape).collect::<Vec<_>>());
    let parts: Vec<_> = parts(&harness).into_iter().map(|(_, part)| (part.part, part.parts)).collect();
    assert_eq!(parts, [(0, 3), (1, 3), (2, 3), (0, 3), (1, 3), (2, 3)]);
    harness.stop().await;
}

#[tokio::test]
async fn numbers_outside_of_the_window_and_wrong_tokens_end_the_stream() {
    let known = [token("acme", Scope::Ingest, None), token("other", Scope::Ingest, None)];
    let auth = Authenticator::with_tokens(known.iter().map(|new| new.token.clone()).collect()).unwrap();
    let harness = Harness::with(Config::default(), auth).await;
    let opened = |tenant: &str, opened_at_ns| {
        let tenant = TenantName::parse(tenant).unwrap();
        session_key().sign(&SessionToken { tenant, id: [1; 16], opened_at_ns, partitions: PARTITIONS })
    };
    let cases = [
        ("forged".to_owned(), vec![], Code::NotFound, "session_token"),
        (opened("other", NOW_NS), vec![], Code::PermissionDenied, "session_token"),
        (opened("acme", NOW_NS - SESSION_GOOD_NS), vec![], Code::FailedPrecondition, "session_token"),
        (opened("acme", NOW_NS + SESSION_GOOD_NS), vec![], Code::FailedPrecondition, "session_token"),
        (opened("acme", NOW_NS), vec![(0, 0)], Code::InvalidArgument, "number"),
        (opened("acme", NOW_NS), vec![(1, 0)], Code::InvalidArgument, "oldest_unacknowledged"),
        (opened("acme", NOW_NS), vec![(1, 2)], Code::InvalidArgument, "oldest_unacknowledged"),
        (opened("acme", NOW_NS), vec![(1, 1), (256, 1), (257, 1)], Code::InvalidArgument, "number"),
        (opened("acme", NOW_NS), vec![(5, 1), (6, 4), (3, 3)], Code::InvalidArgument, "number"),
    ];
    for (text, numbers, code, field) in cases {
        let (requests, receiver) = tokio::sync::mpsc::channel(16);
        let mut request = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
        let bearer = format!("Bearer {}", known[0].text);
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        let answers = harness.client().await.ingest(request).await.unwrap().into_inner();
        let mut talk = Talk { requests, answers };
        talk.send(Kind::Open(Open { session_token: text.clone(), session: true })).await;
        let before = harness.broker.messages();
        for (number, oldest) in &numbers {
            send(&talk, *number, *oldest, vec![record("api", "m")]).await;
        }
        let status = talk.end().await.unwrap();
        assert_eq!(status.code(), code, "{text} {numbers:?} {status:?}");
        assert_eq!(status.get_details_error_info().unwrap().metadata["field"], field);
        assert_eq!(harness.broker.messages() - before, numbers.len().saturating_sub(1), "what was right is done");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_hour_is_over() {
    let harness = Harness::open().await;
    let (mut talk, opened) = open(&harness, "").await;
    send(&talk, 1, 1, vec![record("api", "m")]).await;
    assert_eq!(talk.result().await.accepted, 1);
    harness.clock.advance(SESSION_GOOD_NS);
    *harness.broker.append_time_ns.lock() += SESSION_GOOD_NS;
    send(&talk, 2, 2, vec![record("api", "m")]).await;
    assert_eq!(talk.end().await.unwrap().code(), Code::FailedPrecondition);
    let (_, other) = open(&harness, "").await;
    assert_ne!(opened.session_token, other.session_token);
    harness.stop().await;
}

#[tokio::test]
async fn what_is_appended_past_the_end_is_not_acknowledged_and_the_next_session_begins_by_the_logs_time() {
    // This ingestor's clock is two hours behind the log.
    let harness = Harness::open().await;
    *harness.broker.append_time_ns.lock() += SESSION_END_NS;
    let (mut talk, opened) = open(&harness, "").await;
    send(&talk, 1, 1, vec![record("api", "m")]).await;
    let result = talk.result().await;
    assert_eq!(result.accepted, 0);
    assert!(!result.retry_reason.is_empty());
    // It knows better now: the session is over, and a new one is good.
    send(&talk, 1, 1, vec![record("api", "m")]).await;
    assert_eq!(talk.end().await.unwrap().code(), Code::FailedPrecondition);
    let (mut talk, again) = open(&harness, "").await;
    assert_eq!(session_key().read(&opened.session_token).unwrap().opened_at_ns, NOW_NS);
    assert_eq!(session_key().read(&again.session_token).unwrap().opened_at_ns, NOW_NS + SESSION_END_NS);
    send(&talk, 1, 1, vec![record("api", "m")]).await;
    assert_eq!(talk.result().await.accepted, 1);
    harness.stop().await;
}
