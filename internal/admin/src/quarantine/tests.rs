//! Quarantined messages over an in-memory bucket and broker.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use loglake_batch::{BatchBuilder, LogBatch, Origin};
use loglake_broker::{MemoryBroker, Producer as _, Reader as _, Trim as _};
use loglake_commit::{Claim, ENTRY_VERSION, Entry, QuarantineRef, incarnation, quarantine_key};
use loglake_model::{ErrorKind, ManualClock, Service, TenantName, line};
use loglake_store::{MemoryStore, ObjectStore, list_all};

use super::{Redriven, Target, quarantine, redrive};
use crate::Lake;

const T0: i64 = 1_772_323_200_000_000_000;
const PARTITION: u32 = 1;

struct World {
    lake: Lake,
    store: Arc<MemoryStore>,
    broker: Arc<MemoryBroker>,
    clock: Arc<ManualClock>,
}

fn batch(text: &str) -> Bytes {
    let (tenant, service) = (TenantName::parse("acme").unwrap(), Service::parse("shop").unwrap());
    let mut builder = BatchBuilder::new(&tenant, T0, Origin::None);
    for number in 0..3 {
        let mut raw = Vec::new();
        line::begin(&mut raw, T0 + number, None, "shop");
        line::text_field(&mut raw, "message", &format!("{text} {number}"));
        raw.push(b'}');
        builder.push(&service, T0 + number, None, "trace", &raw).unwrap();
    }
    builder.finish().unwrap()
}

impl World {
    /// A chain whose one entry put these messages, at offsets from 5 on, into quarantine.
    async fn new(messages: &[Bytes]) -> Self {
        let clock = Arc::new(ManualClock::at(T0));
        let store = Arc::new(MemoryStore::new());
        let broker = MemoryBroker::new("topic", 2, clock.clone());
        incarnation(&*store, "default", "topic", 2, &*clock, false).await.unwrap();
        let lake = Lake {
            store: store.clone(),
            cluster: "default".to_owned(),
            index: None,
            folder: None,
            not_checked: Vec::new(),
        };
        let mut out = GzEncoder::new(Vec::new(), Compression::new(6));
        for (offset, payload) in (5..).zip(messages) {
            let line = serde_json::json!({"partition": PARTITION, "offset": offset, "reason": "it was not understood",
                "appended_at": "2026-03-01T00:00:00.000000000Z", "payload": STANDARD.encode(payload)});
            writeln!(out, "{line}").unwrap();
        }
        let body = Bytes::from(out.finish().unwrap());
        let key = quarantine_key("default", 0, PARTITION, 1, "aa");
        store.put(&key, body.clone()).await.unwrap();
        let named = QuarantineRef {
            key,
            length: body.len() as u64,
            checksum: crc32c::crc32c(&body),
            offsets: (5..5 + messages.len() as u64).collect(),
        };
        let entry = Entry {
            version: ENTRY_VERSION,
            seq: 1,
            start: 0,
            next: 10,
            adds: Vec::new(),
            removes: Vec::new(),
            nonce: "n".to_owned(),
            writer: "test".to_owned(),
            leader_epoch: None,
            sessions: Vec::new(),
            quarantine: Some(named),
            gap: None,
            previous_hash: String::new(),
        };
        assert!(matches!(lake.chain(0, PARTITION).claim(&entry).await.unwrap(), Claim::Won(_)));
        Self { lake, store, broker, clock }
    }

    fn target(&self) -> Target {
        let clock = self.clock.clone();
        Target { producer: self.broker.clone(), reader: self.broker.clone(), incarnation: 0, clock }
    }

    async fn redrive(&self, is_dry_run: bool) -> Result<Redriven, crate::Error> {
        let object = quarantine(&self.lake).await.unwrap().pop().unwrap();
        redrive(&self.lake, &object, &self.target(), is_dry_run).await
    }

    /// The first line of each message in the log.
    async fn log(&self) -> Vec<String> {
        let fetched = self.broker.read(PARTITION, 0, u64::MAX, 1 << 20).await.unwrap();
        let first = |payload: &Bytes| {
            let batch = LogBatch::decode(payload.clone()).unwrap();
            let text = batch.groups().next().unwrap().records().next().unwrap().line.to_vec();
            String::from_utf8(text).unwrap()
        };
        fetched.messages.iter().map(|message| first(&message.payload)).collect()
    }

    async fn markers(&self) -> Vec<String> {
        list_all(&*self.store, "redrive/").await.unwrap().into_iter().map(|object| object.key).collect()
    }
}

fn counts(of: &Redriven) -> (u64, u64, u64, u64, u64) {
    (of.appended, of.found, of.would_append, of.done_before, of.unreadable)
}

#[tokio::test]
async fn messages_are_listed_with_their_reasons() {
    let world = World::new(&[batch("a"), Bytes::from_static(b"junk")]).await;
    let objects = quarantine(&world.lake).await.unwrap();
    let [object] = &objects[..] else { panic!("{objects:?}") };
    assert_eq!((object.incarnation, object.partition, object.seq, object.count), (0, PARTITION, 1, 2));
    let [readable, junk] = &object.messages[..] else { panic!("{objects:?}") };
    assert_eq!(
        (readable.offset, readable.is_readable, junk.offset, junk.is_readable, junk.bytes),
        (5, true, 6, false, 4)
    );
    assert_eq!(junk.reason, "it was not understood");
    // One that is damaged is listed too.
    world.store.put(&object.key, Bytes::from_static(b"x")).await.unwrap();
    assert!(quarantine(&world.lake).await.unwrap()[0].problem.is_some());
    assert_eq!(world.redrive(false).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn what_can_be_read_goes_into_the_log_once_however_often_it_is_asked_for() {
    let world = World::new(&[batch("a"), Bytes::from_static(b"junk"), batch("b")]).await;
    assert_eq!(counts(&world.redrive(true).await.unwrap()), (0, 0, 2, 0, 1));
    assert!(world.log().await.is_empty() && world.markers().await.is_empty(), "a dry run changes nothing");
    assert_eq!(counts(&world.redrive(false).await.unwrap()), (2, 0, 0, 0, 1));
    let log = world.log().await;
    assert!(log.len() == 2 && log[0].contains("a 0") && log[1].contains("b 0"), "{log:?}");
    for _ in 0..2 {
        assert_eq!(counts(&world.redrive(false).await.unwrap()), (0, 0, 0, 2, 1));
    }
    assert_eq!(world.log().await.len(), 2);
    assert_eq!(quarantine(&world.lake).await.unwrap()[0].redriven, [5, 7]);
    // Records, times and traces are those of before.
    let fetched = world.broker.read(PARTITION, 0, u64::MAX, 1 << 20).await.unwrap();
    let (new, old) =
        (LogBatch::decode(fetched.messages[0].payload.clone()).unwrap(), LogBatch::decode(batch("a")).unwrap());
    let records = |batch: &LogBatch| -> Vec<_> {
        let group = batch.groups().next().unwrap();
        group.records().map(|record| (record.timestamp_ns, record.trace_id.to_owned(), record.line.to_vec())).collect()
    };
    assert_eq!(records(&new), records(&old));
    assert_eq!((new.tenant(), new.received_at_ns()), (old.tenant(), old.received_at_ns()));
}

#[tokio::test]
async fn one_that_was_cut_off_is_gone_on_with() {
    let world = World::new(&[batch("a"), batch("b"), batch("c")]).await;
    world.broker.append(PARTITION, batch("of a client")).await.unwrap();
    world.redrive(false).await.unwrap();
    let whole = world.log().await;
    // As if it had ended after any step: the end is not written down, or not all was appended.
    let done = world.markers().await.pop().unwrap();
    assert!(done.ends_with("00001-done.json"));
    world.store.delete(&done).await.unwrap();
    world.clock.advance(3_600_000_000_000);
    assert_eq!(counts(&world.redrive(false).await.unwrap()), (0, 3, 0, 0, 0), "all of it is in the log");
    assert_eq!(world.log().await, whole);

    let cut = World::new(&[batch("a"), batch("b"), batch("c")]).await;
    for key in world.markers().await.into_iter().filter(|key| key.ends_with("begun.json")) {
        cut.store.put(&key, world.store.get(&key, 1_000).await.unwrap()).await.unwrap();
    }
    for message in world.broker.read(PARTITION, 0, 3, 1 << 20).await.unwrap().messages {
        cut.broker.append(PARTITION, message.payload).await.unwrap();
    }
    assert_eq!(counts(&cut.redrive(false).await.unwrap()), (1, 2, 0, 0, 0), "one was missing");
    assert_eq!(cut.log().await, whole);
}

#[tokio::test]
async fn nothing_is_appended_when_nobody_can_tell_what_was() {
    let world = World::new(&[batch("a")]).await;
    world.redrive(false).await.unwrap();
    let done = world.markers().await.pop().unwrap();
    world.store.delete(&done).await.unwrap();
    world.broker.trim(PARTITION, 1).await.unwrap();
    let why = world.redrive(false).await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Conflict);
    assert!(why.to_string().contains("begun.json"), "{why}");
}

#[tokio::test]
async fn messages_of_an_older_life_go_where_their_streams_go_now() {
    let world = World::new(&[batch("a")]).await;
    let object = quarantine(&world.lake).await.unwrap().pop().unwrap();
    let target = Target { incarnation: 1, ..world.target() };
    redrive(&world.lake, &object, &target, false).await.unwrap();
    let (tenant, service) = (TenantName::parse("acme").unwrap(), Service::parse("shop").unwrap());
    let partition = loglake_model::partition_of(&tenant, &service, 2);
    assert_eq!(world.broker.offsets(&[partition]).await.unwrap()[0].latest, 1);
}

#[tokio::test]
async fn two_at_once_write_the_same_keys() {
    let world = World::new(&[batch("a"), batch("b")]).await;
    let (one, two) = tokio::join!(world.redrive(false), world.redrive(false));
    one.unwrap();
    two.unwrap();
    let fetched = world.broker.read(PARTITION, 0, u64::MAX, 1 << 20).await.unwrap();
    let mut hashes = std::collections::BTreeSet::new();
    for message in &fetched.messages {
        let Origin::Key(key) = LogBatch::decode(message.payload.clone()).unwrap().origin().clone() else {
            panic!("without a key the processor would not know the repeat")
        };
        hashes.insert(key.hash);
    }
    assert_eq!(hashes.len(), 2);
}
