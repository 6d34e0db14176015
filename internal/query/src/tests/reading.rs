//! The reading rule: what counts as an answer for the un-flushed tail.

use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use loglake_batch::{BatchBuilder, Origin, SessionPart};
use loglake_broker::{Producer as _, Trim as _};
use loglake_index::{Gap, SessionChange, Watermark};
use loglake_model::{ErrorKind, Level, RecordId, Service, TenantName, TimeRange};
use loglake_search::Filter;
use loglake_store::ObjectStore as _;

use super::fake_index::Step;
use super::fake_tail::{Claim, FakeTail};
use super::lake::{Lake, NOW_NS, PARTITIONS, Sent, ids_of, tenant};
use crate::Config;
use crate::missing::{GONE, LOST, Missing, NO_INDEX};
use crate::order::Direction;
use crate::query::Query;
use crate::replay::{Outcome, replay};
use crate::tail_ask::TailAsk;

fn some(from: i64, count: i64) -> Vec<Sent> {
    let services = ["api", "web", "queue", "db"];
    let sent = |at: i64| Sent {
        tenant: "acme",
        service: services[at as usize % services.len()],
        timestamp_ns: NOW_NS + at,
        level: Some(Level::Warn),
        message: format!("number {at}"),
        trace_id: "",
    };
    (from..from + count).map(sent).collect()
}

pub(super) fn everything(lake: &Lake) -> Query {
    lake.query("acme", &Filter::default(), Direction::Backward, 1_000)
}

/// A lake with chunks and a tail in every partition.
async fn lake() -> Lake {
    lake_with(|_| {}).await
}

pub(super) async fn lake_with(change: impl FnOnce(&mut Config)) -> Lake {
    let mut lake = Lake::with(change).await;
    lake.send(&some(0, 30)).await;
    lake.flush_all().await;
    lake.send(&some(30, 30)).await;
    lake
}

/// The partition of `api`, which has records in chunks and in its tail.
fn busy() -> u32 {
    Lake::partition(&some(0, 1)[0])
}

#[track_caller]
fn check(lake: &Lake, answer: &crate::answer::Answer) {
    assert_eq!(answer.missing, []);
    assert_eq!(ids_of(answer), lake.expected(&everything(lake)));
}

#[tokio::test]
async fn owners_are_asked_once_each_for_all_of_theirs() {
    let lake = lake().await;
    let (one, one_address) = FakeTail::start(&lake).await;
    let (two, two_address) = FakeTail::start(&lake).await;
    lake.lease(0, &one_address);
    lake.lease(1, &two_address);
    lake.lease(2, &one_address);
    let mut query = everything(&lake);
    query.limit = 5;
    let (found, is_complete) = lake.all_pages(query.clone(), |_| 3).await;
    assert!(is_complete);
    assert_eq!(found, lake.expected(&query));
    assert_eq!(one.calls(), two.calls());
    assert_eq!(lake.shared().metrics.tail_fallbacks.get(), 0);
}

#[tokio::test]
async fn chunks_that_hold_the_same_records_are_answered_as_they_are_and_the_merge_ends() {
    let lake = lake().await;
    let partition = busy();
    let until = lake.index.state.lock().partitions[&partition].0.unwrap().next;
    let again = lake.chunks_of(partition, 0, until, 99).await;
    let copies: u64 = again.iter().map(|chunk| chunk.records).sum();
    lake.index.state.lock().partitions.get_mut(&partition).unwrap().1.extend(again);
    for direction in [Direction::Forward, Direction::Backward] {
        let query = Query { direction, ..everything(&lake) };
        let mut expected = lake.expected(&query);
        let found = ids_of(&lake.page(query).await.unwrap());
        assert_eq!(found.len() as u64, expected.len() as u64 + copies);
        let mut distinct = found.clone();
        distinct.dedup();
        expected.dedup();
        assert_eq!(distinct, expected);
    }
}

#[tokio::test]
async fn without_an_owner_the_broker_is_read() {
    let lake = lake().await;
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
    assert!(lake.shared().metrics.tail_fallbacks.get() > 0);
}

#[tokio::test]
async fn an_owner_that_cannot_be_reached_is_no_answer() {
    let lake = lake().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (partition, address) in [(0, format!("http://{closed}")), (1, "no address".to_owned()), (2, String::new())] {
        lake.lease(partition, &address);
    }
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
}

#[tokio::test]
async fn an_owner_that_never_answers_costs_one_query_its_patience() {
    let mut lake = Lake::with(|config| config.timeout = std::time::Duration::from_secs(4)).await;
    lake.send(&some(0, 30)).await;
    // Takes connections and says nothing, as a stopped process does.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
    for _ in 0..5 {
        check(&lake, &lake.page(everything(&lake)).await.unwrap());
    }
    let outcome = |name: &str| lake.shared().metrics.owners.with_label_values(&[name]).get();
    assert_eq!((outcome("failed"), outcome("passed_over"), outcome("answered")), (1, 4, 0));

    // Another holder is not punished for it.
    let (tail, address) = FakeTail::start(&lake).await;
    (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
    let (found, is_complete) = lake.all_pages(everything(&lake), |_| 1_000).await;
    assert!(is_complete && tail.calls() > 0);
    assert_eq!((found, outcome("answered")), (lake.expected(&everything(&lake)), tail.calls()));
}

#[tokio::test]
async fn an_owner_that_lags_or_lost_the_partition_is_no_answer() {
    for lags in [true, false] {
        let lake = lake().await;
        let (tail, address) = FakeTail::start(&lake).await;
        for partition in 0..PARTITIONS {
            lake.lease(partition, &address);
            let position = lake.latest(partition).await.saturating_sub(1);
            let lagging = Claim { position: Some(position), ..Claim::WHOLE };
            let claim = if lags { lagging } else { Claim { held: false, ..Claim::WHOLE } };
            tail.claims.lock().insert(partition, claim);
        }
        check(&lake, &lake.page(everything(&lake)).await.unwrap());
        assert_eq!(tail.calls(), 1, "the same holder is not asked again");
        assert!(lake.shared().metrics.tail_fallbacks.get() > 0);
    }
}

#[tokio::test]
async fn rows_that_were_not_asked_for_are_no_answer() {
    let lake = lake().await;
    let (tail, address) = FakeTail::start(&lake).await;
    (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
    let forged = br#"{"timestamp":"2023-11-14T22:13:20.000000000Z","service":"api","message":"canary","id":"2-9-0-0"}"#;
    *tail.forged.lock() = Some(forged.to_vec());
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
}

#[tokio::test]
async fn a_floor_above_the_watermark_reads_the_index_again() {
    let lake = lake().await;
    let (tail, address) = FakeTail::start(&lake).await;
    for partition in 0..PARTITIONS {
        lake.lease(partition, &address);
        let latest = lake.latest(partition).await;
        tail.claims.lock().insert(partition, Claim { floor: latest, ..Claim::WHOLE });
    }
    // The flush shows in the index only at the third question.
    let before = lake.index.state.lock().partitions.clone();
    lake.flush_all().await;
    let flushed = std::mem::replace(&mut lake.index.state.lock().partitions, before);
    let questions =
        [Step(Box::new(|_| {})), Step(Box::new(|_| {})), Step(Box::new(move |state| state.partitions = flushed))];
    lake.index.state.lock().before_chunks = questions.into();
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
    assert_eq!(lake.index.state.lock().questions, 3);
    assert_eq!(lake.shared().metrics.tail_fallbacks.get(), 0);
}

#[tokio::test]
async fn a_floor_that_stays_above_is_answered_by_the_broker() {
    let lake = lake().await;
    let (tail, address) = FakeTail::start(&lake).await;
    for partition in 0..PARTITIONS {
        lake.lease(partition, &address);
        tail.claims.lock().insert(partition, Claim { floor: u64::MAX, ..Claim::WHOLE });
    }
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
}

#[tokio::test]
async fn no_watermark_waits_for_the_rebuild() {
    let lake = lake().await;
    let whole = lake.index.state.lock().partitions.clone();
    for (watermark, _) in lake.index.state.lock().partitions.values_mut() {
        *watermark = None;
    }
    let questions = [Step(Box::new(|_| {})), Step(Box::new(move |state| state.partitions = whole))];
    lake.index.state.lock().before_chunks = questions.into();
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
}

#[tokio::test]
async fn a_rebuild_that_does_not_come_is_named() {
    let mut lake = Lake::with(|config| config.timeout = std::time::Duration::from_millis(1_500)).await;
    lake.send(&some(0, 30)).await;
    lake.flush_all().await;
    lake.index.state.lock().partitions.get_mut(&busy()).unwrap().0 = None;
    let answer = lake.page(everything(&lake)).await.unwrap();
    let to_offset = lake.latest(busy()).await;
    let missing = Missing::Offsets { partition: busy(), from_offset: 0, to_offset, reason: NO_INDEX };
    assert_eq!(answer.missing, [missing]);
    let others: Vec<_> = lake.expected(&everything(&lake)).into_iter().filter(|id| id.partition != busy()).collect();
    assert_eq!(ids_of(&answer), others);
}

#[tokio::test]
async fn what_retention_took_from_the_broker_is_named() {
    let lake = lake().await;
    let watermark = lake.index.state.lock().partitions[&busy()].0.unwrap();
    let latest = lake.latest(busy()).await;
    assert!(watermark.next < latest);
    lake.broker.trim(busy(), latest).await.unwrap();
    let answer = lake.page(everything(&lake)).await.unwrap();
    let missing = Missing::Offsets { partition: busy(), from_offset: watermark.next, to_offset: latest, reason: GONE };
    assert_eq!(answer.missing, [missing]);
}

#[tokio::test]
async fn messages_that_no_one_can_read_hold_nothing_up() {
    let lake = lake().await;
    lake.broker.append(busy(), bytes::Bytes::from_static(b"not a batch")).await.unwrap();
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
}

#[tokio::test]
async fn a_chunk_that_vanished_is_planned_for_again() {
    let lake = lake().await;
    lake.flush_all().await;
    // A job has put the same records into another object, and the old one is gone.
    let old = lake.index.state.lock().partitions[&busy()].1.clone();
    let next = lake.index.state.lock().partitions[&busy()].0.unwrap().next;
    let new = lake.chunks_of(busy(), 0, next, 77).await;
    for chunk in &old {
        lake.store.delete(&chunk.key).await.unwrap();
    }
    let questions = [
        Step(Box::new(|_| {})),
        Step(Box::new(move |state| {
            state.partitions.insert(busy(), (Some(Watermark { seq: 9, next }), new));
        })),
    ];
    lake.index.state.lock().before_chunks = questions.into();
    check(&lake, &lake.page(everything(&lake)).await.unwrap());
    assert_eq!(lake.shared().metrics.replans.get(), 1);

    // Where the index goes on naming it, the answer names what is lost: never a short answer that looks whole.
    lake.index.state.lock().partitions.insert(busy(), (Some(Watermark { seq: 10, next }), old.clone()));
    let answer = lake.page(everything(&lake)).await.unwrap();
    let mut keys: Vec<_> = old.into_iter().map(|chunk| chunk.key).collect();
    keys.sort();
    let mut named: Vec<_> = answer
        .missing
        .into_iter()
        .map(|missing| match missing {
            Missing::Object { key, reason } if reason == LOST => key,
            other => panic!("{other:?}"),
        })
        .collect();
    named.sort();
    assert_eq!(named, keys);
}

#[tokio::test]
async fn damage_is_named_and_the_rest_answered() {
    let lake = lake().await;
    lake.flush_all().await;
    let chunk = lake.index.state.lock().partitions[&busy()].1[0].clone();
    let whole = lake.store.get(&chunk.key, u64::MAX).await.unwrap();
    // A block; the directory, which stands before the locator of some hundred bytes.
    for at in [20, whole.len() - 200] {
        let mut broken = whole.to_vec();
        broken[at] ^= 1;
        // Under another key, so that no cache knows it.
        let mut named = chunk.clone();
        named.key = format!("{}.{at}", chunk.key);
        lake.store.put(&named.key, broken.into()).await.unwrap();
        lake.index.state.lock().partitions.get_mut(&busy()).unwrap().1[0] = named.clone();
        let answer = lake.page(everything(&lake)).await.unwrap();
        let [Missing::Object { key, .. }] = answer.missing.as_slice() else { panic!("{:?}", answer.missing) };
        assert_eq!(*key, named.key);
        let found = ids_of(&answer);
        let expected = lake.expected(&everything(&lake));
        assert!(found.len() < expected.len() && found.iter().all(|id| expected.contains(id)));
    }
}

#[tokio::test]
async fn an_index_that_does_not_answer_is_an_error() {
    let lake = lake().await;
    lake.index.state.lock().is_down = true;
    assert_eq!(lake.page(everything(&lake)).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn queries_that_come_together_share_one_request_for_offsets() {
    let lake = lake().await;
    let heads = &lake.shared().heads;
    let (one, two) = tokio::join!(heads.now(), heads.now());
    assert!(std::sync::Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
    let three = heads.now().await.unwrap();
    assert_eq!(three.0.len(), PARTITIONS as usize);
}

#[tokio::test]
async fn a_gap_is_named_by_every_answer_that_it_could_be_part_of() {
    let mut lake = Lake::new().await;
    lake.send(&some(0, 30)).await;
    lake.flush_all().await;
    let gap = Gap { from: 3, to: 7, at_ns: NOW_NS, reason: "retention".to_owned() };
    lake.index.state.lock().gaps.insert(busy(), vec![gap]);
    let named = Missing::Gap {
        incarnation: None,
        partition: busy(),
        from_offset: 3,
        to_offset: 7,
        given_up_at: "2023-11-14T22:13:20.000000000Z".to_owned(),
        reason: "retention".to_owned(),
    };
    let answer = lake.page(everything(&lake)).await.unwrap();
    assert_eq!(answer.missing, [named]);
    assert_eq!(ids_of(&answer), lake.expected(&everything(&lake)), "what is there is answered");

    // Before and around it: its records may be of any age. Well after it: none can be.
    let over = |start_ns, end_ns| Query { range: TimeRange::new(start_ns, end_ns).unwrap(), ..everything(&lake) };
    let day = 86_400_000_000_000;
    for (query, is_named) in [
        (over(0, 1_000), true),
        (over(NOW_NS, NOW_NS + 1), true),
        (over(NOW_NS + day, NOW_NS + 3 * day), true),
        (over(NOW_NS + 3 * day, NOW_NS + 4 * day), false),
    ] {
        let range = query.range;
        assert_eq!(!lake.page(query).await.unwrap().missing.is_empty(), is_named, "{range:?}");
    }
}

/// A message of batch `number` of one session with one record of `api`.
fn numbered(number: u64, oldest_unacknowledged: u64) -> Bytes {
    let origin = Origin::Session(SessionPart {
        id: [5; 16],
        opened_at_ns: NOW_NS,
        partitions: PARTITIONS,
        number,
        oldest_unacknowledged,
        part: 0,
        parts: 1,
    });
    let sent = Sent { message: format!("batch {number}"), ..some(0, 1).remove(0) };
    let mut builder = BatchBuilder::new(&TenantName::parse(sent.tenant).unwrap(), NOW_NS, origin);
    builder.push(&Service::parse(sent.service).unwrap(), sent.timestamp_ns, sent.level, "", &sent.line()).unwrap();
    builder.finish().unwrap()
}

#[tokio::test]
async fn repeats_are_not_read_from_the_broker_by_the_state_at_the_watermark() {
    let lake = Lake::new().await;
    let partition = busy();
    // 1 and 3 are in chunks; then 2, tried again, comes late, and copies of 1, 3 and 2.
    for (number, low) in [(1, 1), (3, 1), (2, 1), (1, 1), (3, 2), (2, 2), (4, 4), (4, 4)] {
        lake.broker.append(partition, numbered(number, low)).await.unwrap();
    }
    lake.flush(partition, 2).await;
    let state = Some(format!("[1,{NOW_NS},1,[[1,1],[3,3]],[]]"));
    lake.index.state.lock().sessions.insert(partition, vec![SessionChange { session: "05".repeat(16), state }]);
    let offsets = |ids: Vec<RecordId>| ids.into_iter().map(|id| id.offset).collect::<Vec<_>>();
    let answer = lake.page(everything(&lake)).await.unwrap();
    assert_eq!((answer.missing.len(), offsets(ids_of(&answer))), (0, vec![6, 2, 1, 0]));
    // Also where nothing of a message is asked for: it counts for those after it.
    let ask = TailAsk::Services { tenant: tenant("acme"), range: TimeRange::ALL };
    let budget = AtomicUsize::new(1 << 20);
    let Outcome::Read(read) = replay(lake.shared(), &ask, partition, 2, 8, &budget).await.unwrap() else {
        panic!("the index has moved");
    };
    assert_eq!(read.part.services["api"].records, 2);
    // The state belongs to one offset: at another one nothing can be said.
    let moved = replay(lake.shared(), &ask, partition, 1, 8, &budget).await.unwrap();
    assert!(matches!(moved, Outcome::Moved));
    lake.index
        .state
        .lock()
        .sessions
        .insert(partition, vec![SessionChange { session: "05".repeat(16), state: Some("[9]".to_owned()) }]);
    let kind = replay(lake.shared(), &ask, partition, 2, 8, &budget).await.map(drop).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Internal);
}

#[tokio::test]
async fn a_flush_between_chunks_and_sessions_reads_the_index_again() {
    let lake = Lake::new().await;
    let partition = busy();
    for number in [1, 1, 2, 2] {
        lake.broker.append(partition, numbered(number, 1)).await.unwrap();
    }
    // The sessions are those at offset 1 while the chunks were read at 0: the first answer cannot be used.
    lake.index.state.lock().before_sessions.push(Step(Box::new(move |state| {
        let state_text = Some(format!("[1,{NOW_NS},1,[[1,1]],[]]"));
        state.sessions.insert(partition, vec![SessionChange { session: "05".repeat(16), state: state_text }]);
        let (watermark, _) = state.partitions.get_mut(&partition).unwrap();
        *watermark = Some(Watermark { seq: 1, next: 1 });
    })));
    let before = lake.index.state.lock().questions;
    let answer = lake.page(everything(&lake)).await.unwrap();
    let offsets: Vec<u64> = ids_of(&answer).into_iter().map(|id| id.offset).collect();
    // Offset 0 is in chunks now, which this index does not have.
    assert_eq!((answer.missing.len(), offsets), (0, vec![2]));
    assert_eq!(lake.index.state.lock().questions, before + 2);
}
