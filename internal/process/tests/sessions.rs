//! Repeats of clients, over an in-memory broker and bucket: dropped in chunks and in the tail, whoever dies or doubles.
#![allow(clippy::unwrap_used, missing_docs, reason = "test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_api::internal::v1::tail_service_client::TailServiceClient;
use loglake_api::internal::v1::{TailRequest, Want, tail_response};
use loglake_auth::internal::{self, InternalKey};
use loglake_auth::keys::ClusterSecret;
use loglake_batch::repeats::{MARGIN_NS, SESSION_END_NS};
use loglake_batch::{BatchBuilder, IdempotencyKey, Origin, SessionPart};
use loglake_broker::{Assignment, Consumer, Error as BrokerError, MemoryBroker, PartitionConsumer, Producer};
use loglake_chunk::{Footer, decode_block};
use loglake_commit::{Chain, ChainState};
use loglake_index::{ChunkIndex, EmbeddedIndex};
use loglake_model::{Clock, ManualClock, Readiness, Service, TenantId, TenantName, TimeRange, line};
use loglake_process::{Config, LostRecords, Parts, Processor};
use loglake_store::{MemoryStore, ObjectStore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// A member that believes that the one partition is its own, also where another one does.
struct Alone {
    inner: Arc<dyn Consumer>,
    told: parking_lot::Mutex<bool>,
}

#[async_trait]
impl Consumer for Alone {
    async fn next_assignment(&self) -> Result<Assignment, BrokerError> {
        if std::mem::replace(&mut *self.told.lock(), true) {
            std::future::pending::<()>().await;
        }
        Ok(Assignment::Assigned(vec![0]))
    }
    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, BrokerError> {
        self.inner.open(partition, offset).await
    }
    async fn commit(&self, partition: u32, next: u64) -> Result<(), BrokerError> {
        self.inner.commit(partition, next).await
    }
    async fn leave(&self) {}
}

struct World {
    clock: Arc<ManualClock>,
    broker: Arc<MemoryBroker>,
    store: Arc<MemoryStore>,
    index: Arc<EmbeddedIndex>,
    _folder: tempfile::TempDir,
}

struct Running {
    clock: Arc<ManualClock>,
    tail: SocketAddr,
    registry: prometheus::Registry,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), loglake_process::Error>>,
}

fn key() -> InternalKey {
    InternalKey::new(&ClusterSecret::from_bytes(&[7; 32]).unwrap())
}

/// Batch `number` of a session, one message of `parts`.
fn numbered(number: u64, oldest_unacknowledged: u64, part: u32, parts: u32) -> Bytes {
    let origin = Origin::Session(SessionPart {
        id: [9; 16],
        opened_at_ns: NOW_NS,
        partitions: 1,
        number,
        oldest_unacknowledged,
        part,
        parts,
    });
    message(origin, &format!("batch {number} part {part}"))
}

fn keyed(hash: u8, first_seen_ns: i64) -> Bytes {
    let key = IdempotencyKey { hash: [hash; 32], first_seen_ns, partitions: 1, part: 0, parts: 1 };
    message(Origin::Key(key), &format!("key {hash} at {}", first_seen_ns - NOW_NS))
}

fn message(origin: Origin, text: &str) -> Bytes {
    let (tenant, service) = (TenantName::parse("t").unwrap(), Service::parse("api").unwrap());
    let mut batch = BatchBuilder::new(&tenant, NOW_NS, origin);
    let mut rendered = Vec::new();
    line::begin(&mut rendered, NOW_NS, None, service.as_str());
    line::text_field(&mut rendered, "message", text);
    rendered.push(b'}');
    batch.push(&service, NOW_NS, None, "", &rendered).unwrap();
    batch.finish().unwrap()
}

fn text_of(line: &str) -> String {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap().to_owned()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW_NS));
        let index = EmbeddedIndex::open(&folder.path().join("index"), "default", 0, clock.clone()).unwrap();
        Self {
            broker: MemoryBroker::new("topic", 1, clock.clone()),
            store: Arc::new(MemoryStore::new()),
            index: Arc::new(index),
            clock,
            _folder: folder,
        }
    }

    async fn start(&self) -> Running {
        self.start_with(Duration::from_secs(3600)).await
    }

    async fn start_with(&self, flush_interval: Duration) -> Running {
        let config = Config {
            cluster: "default".to_owned(),
            tail_listen: "127.0.0.1:0".parse().unwrap(),
            tail_advertise: None,
            flush_bytes: 64 << 20,
            flush_interval,
            memory_bytes: 64 << 20,
            max_open_chunks: 1000,
            window: Duration::from_secs(3600),
            block_bytes: 4096,
            tail_hold: Duration::from_millis(300),
            fold_entries: 3,
            fold_grace: Duration::from_millis(200),
            collect_interval: Duration::from_millis(300),
            removed_grace: Duration::from_secs(1),
            on_lost_records: LostRecords::Halt,
            truncation_grace: Duration::from_secs(60),
            metric_tenants: 0,
        };
        let (registry, readiness) = (prometheus::Registry::new(), Readiness::default());
        let parts = Parts {
            consumer: Arc::new(Alone { inner: Arc::new(self.broker.member()), told: parking_lot::Mutex::new(false) }),
            reader: Arc::clone(&self.broker) as _,
            trim: None,
            store: Arc::clone(&self.store) as _,
            index: Arc::clone(&self.index) as _,
            incarnation: 0,
            clock: Arc::clone(&self.clock) as _,
            internal: key(),
            registry: registry.clone(),
            ready: readiness.role("processor"),
        };
        let processor = Processor::bind(config, parts).await.unwrap();
        let tail = processor.tail_addr();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(processor.run(shutdown.clone()));
        until("ready", async || readiness.waiting().is_empty()).await;
        Running { clock: Arc::clone(&self.clock), tail, registry, shutdown, task }
    }

    async fn append(&self, payload: Bytes) {
        self.broker.append(0, payload).await.unwrap();
    }

    async fn chain(&self) -> ChainState {
        Chain::new(Arc::clone(&self.store) as _, "default", 0, 0).read().await.unwrap()
    }

    /// The messages of all records in live chunks, sorted.
    async fn committed(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for chunk in self.chain().await.live.values() {
            let bytes = self.store.get(&chunk.key, 1 << 30).await.unwrap();
            let footer = bytes.slice(usize::try_from(chunk.footer_offset).unwrap()..);
            for row in Footer::parse(&footer, chunk.footer_offset, chunk.length).unwrap().blocks() {
                let start = usize::try_from(row.offset).unwrap();
                let block = decode_block(row, &bytes[start..start + row.length as usize]).unwrap();
                texts.extend(String::from_utf8(block.to_vec()).unwrap().lines().map(text_of));
            }
        }
        texts.sort();
        texts
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 20 s: {what}");
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    async fn kill(self) {
        self.task.abort();
        let _aborted = self.task.await;
    }

    /// The un-flushed records' messages from `from` on, once everything below `until` was consumed; sorted.
    async fn tail(&self, from: u64, until: u64) -> Vec<String> {
        #[allow(clippy::disallowed_methods, reason = "test")]
        let tenant = TenantId::from_credential(TenantName::parse("t").unwrap());
        let mut client = TailServiceClient::connect(format!("http://{}", self.tail)).await.unwrap();
        for _ in 0..20 {
            let mut request = tonic::Request::new(TailRequest {
                tenant: "t".to_owned(),
                wants: vec![Want { partition: 0, from, until }],
                filter_json: "{}".to_owned(),
                start_ns: TimeRange::ALL.start_ns(),
                end_ns: TimeRange::ALL.end_ns(),
                limit: 1_000,
                max_bytes: 1 << 20,
                forward: true,
                ..TailRequest::default()
            });
            let signed = key().sign(&tenant, self.clock.now_ns());
            request.metadata_mut().insert(internal::HEADER, signed.parse().unwrap());
            let mut stream = client.tail(request).await.unwrap().into_inner();
            let (mut is_covered, mut texts) = (false, Vec::new());
            while let Some(message) = stream.message().await.unwrap() {
                match message.kind.unwrap() {
                    tail_response::Kind::Coverage(found) => is_covered = found.position >= until,
                    tail_response::Kind::Rows(rows) => {
                        texts.extend(rows.lines.iter().map(|line| text_of(std::str::from_utf8(line).unwrap())));
                    }
                }
            }
            if is_covered {
                texts.sort();
                return texts;
            }
        }
        panic!("the tail did not get to {until}");
    }

    fn dropped(&self, reason: &str) -> f64 {
        let families = self.registry.gather();
        let Some(family) = families.iter().find(|family| family.name() == "loglake_repeats_dropped_total") else {
            return 0.0;
        };
        let is_it = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == reason;
        family.get_metric().iter().filter(is_it).map(|metric| metric.get_counter().get_value()).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_are_in_the_tail_and_in_chunks_once_through_crashes_and_takeovers() {
    let world = World::new();
    let first = world.start().await;
    for (number, low) in [(1, 1), (3, 1), (1, 1), (2, 1), (3, 1)] {
        world.append(numbered(number, low, 0, 1)).await;
    }
    let all = ["batch 1 part 0", "batch 2 part 0", "batch 3 part 0"];
    assert_eq!(first.tail(0, 5).await, all);
    assert_eq!(first.tail(2, 5).await, ["batch 2 part 0"], "a view from any offset");
    assert_eq!((first.dropped("repeat"), first.dropped("late")), (2.0, 0.0));
    first.kill().await;

    // Nothing was saved: everything is consumed again, to the same end.
    let second = world.start().await;
    assert_eq!(second.tail(0, 5).await, all);
    second.stop().await;
    assert_eq!(world.committed().await, all);
    let state = world.chain().await;
    assert_eq!(
        state.sessions.into_iter().collect::<Vec<_>>(),
        [("09".repeat(16), format!("[1,{NOW_NS},1,[[1,3]],[]]"))]
    );
    let (_, indexed) = world.index.sessions(0).await.unwrap().unwrap();
    assert_eq!(indexed.len(), 1, "readers of the raw tail have the state with the watermark");

    // Retries after the flush, to another processor; one that was long under way; a new one.
    for (number, low) in [(2, 2), (3, 2), (5, 2), (4, 4), (1, 1)] {
        world.append(numbered(number, low, 0, 1)).await;
    }
    let third = world.start().await;
    assert_eq!(third.tail(5, 10).await, ["batch 4 part 0", "batch 5 part 0"]);
    third.stop().await;
    assert_eq!(world.committed().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_claim_rolls_the_state_back_with_the_buffers() {
    let world = World::new();
    let zombie = world.start().await;
    world.append(numbered(1, 1, 0, 1)).await;
    world.append(numbered(2, 1, 0, 1)).await;
    assert_eq!(zombie.tail(0, 2).await.len(), 2);
    // Another one commits only what there is so far; the zombie goes on and has seen more.
    let owner = world.start().await;
    assert_eq!(owner.tail(0, 2).await.len(), 2);
    owner.stop().await;
    for (number, low) in [(2, 1), (3, 1), (3, 3), (4, 3)] {
        world.append(numbered(number, low, 0, 1)).await;
    }
    assert_eq!(zombie.tail(2, 6).await, ["batch 3 part 0", "batch 4 part 0"]);
    // Its flush loses: what it had seen is forgotten and consumed again, and what it had dropped is dropped again.
    zombie.stop().await;
    let last = world.start().await;
    last.stop().await;
    let expected: Vec<_> = (1..=4).map(|number| format!("batch {number} part 0")).collect();
    assert_eq!(world.committed().await, expected);
    assert_eq!(world.chain().await.sessions["09".repeat(16).as_str()], format!("[1,{NOW_NS},3,[[3,4]],[]]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processors_that_both_own_the_partition_keep_each_batch_once() {
    let world = World::new();
    let (one, other) =
        (world.start_with(Duration::from_millis(20)).await, world.start_with(Duration::from_millis(30)).await);
    for number in 1..=60_u64 {
        let low = number.saturating_sub(10).max(1);
        world.append(numbered(number, low, 1, 2)).await;
        world.append(numbered(number, low, 0, 2)).await;
        if number % 3 == 0 {
            world.append(numbered(number - 1, low, 0, 2)).await;
            world.append(numbered(number, low, 1, 2)).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    one.stop().await;
    other.stop().await;
    let last = world.start().await;
    last.stop().await;
    let mut expected: Vec<_> =
        (1..=60).flat_map(|number| [0, 1].map(|part| format!("batch {number} part {part}"))).collect();
    expected.sort();
    assert_eq!(world.committed().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_past_the_end_is_dropped_and_the_state_goes_by_the_logs_time() {
    let world = World::new();
    let running = world.start().await;
    world.append(numbered(1, 1, 0, 1)).await;
    world.append(keyed(1, NOW_NS)).await;
    world.append(keyed(1, NOW_NS + 1)).await;
    assert_eq!(running.tail(0, 3).await, ["batch 1 part 0", "key 1 at 0"]);
    running.stop().await;
    assert_eq!(world.chain().await.sessions.len(), 2);

    world.clock.advance(SESSION_END_NS - 1);
    world.append(numbered(1, 1, 0, 1)).await;
    world.append(numbered(2, 1, 0, 1)).await;
    world.clock.advance(1);
    world.append(numbered(3, 1, 0, 1)).await;
    world.append(keyed(1, NOW_NS + SESSION_END_NS)).await;
    let running = world.start().await;
    assert_eq!(running.tail(3, 7).await, ["batch 2 part 0", &format!("key 1 at {SESSION_END_NS}")]);
    assert_eq!((running.dropped("repeat"), running.dropped("late")), (1.0, 1.0));
    running.stop().await;
    assert_eq!(world.chain().await.sessions.len(), 2, "the session's state is kept for clocks that step back");

    world.clock.advance(2 * MARGIN_NS);
    world.append(numbered(1, 1, 0, 1)).await;
    world.append(message(Origin::None, "plain")).await;
    let running = world.start().await;
    assert_eq!(running.tail(7, 9).await, ["plain"], "without its state it is not taken for new");
    running.stop().await;
    let sessions = world.chain().await.sessions;
    assert!(sessions.keys().all(|id| id.len() == 64) && sessions.len() == 1, "{sessions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_are_saved_in_entries_of_bounded_size() {
    let world = World::new();
    for number in 0..40_000_u32 {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_le_bytes());
        let key = IdempotencyKey { hash, first_seen_ns: NOW_NS, partitions: 1, part: 0, parts: 1 };
        world.append(message(Origin::Key(key), "m")).await;
    }
    let running = world.start().await;
    running.stop().await;
    let state = world.chain().await;
    assert_eq!((state.sessions.len(), state.tail.next), (40_000, 40_000));
    let entries = world.store.list("commits/", None).await.unwrap().objects;
    let largest = entries.iter().filter(|object| !object.key.contains("checkpoint")).map(|object| object.length).max();
    assert!(state.tail.seq > 1 && largest.unwrap() < 4 << 20, "{} entries, {largest:?} bytes", state.tail.seq);
    assert_eq!(world.committed().await.len(), 40_000);
}
