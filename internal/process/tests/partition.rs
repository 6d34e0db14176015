//! The processor over an in-memory broker and bucket: what comes in is in chunks exactly once, whoever dies or doubles.
#![allow(clippy::unwrap_used, missing_docs, reason = "test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_api::internal::v1::admin_service_client::AdminServiceClient;
use loglake_api::internal::v1::tail_service_client::TailServiceClient;
use loglake_api::internal::v1::{Coverage, FlushRequest, TailRequest, Want, tail_response};
use loglake_auth::internal::{self, InternalKey};
use loglake_auth::keys::ClusterSecret;
use loglake_batch::{BatchBuilder, Origin};
use loglake_broker::{
    Assignment, Consumer, Error as BrokerError, Fetched, MemoryBroker, Offsets, PartitionConsumer, Producer, Reader,
    Topic, Trim,
};
use loglake_chunk::{Footer, decode_block};
use loglake_commit::{Chain, Claim, ENTRY_VERSION, Entry, TARGET_SLACK};
use loglake_index::{ChunkIndex, EmbeddedIndex, Watermark};
use loglake_model::{Level, Readiness, RecordId, Service, SystemClock, TenantId, TenantName, TimeRange, line};
use loglake_process::{Config, LostRecords, Parts, Processor, ask_to_flush};
use loglake_store::{MemoryStore, ObjectStore};
use loglake_transport::Trust;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A member that believes that every partition is its own: what a zombie is.
struct Everything {
    inner: Arc<dyn Consumer>,
    told: parking_lot::Mutex<bool>,
    partitions: u32,
    is_lost: Arc<AtomicBool>,
}

/// A partition whose retention runs past the consumer when it is told to.
struct Overtaken {
    inner: Box<dyn PartitionConsumer>,
    partition: u32,
    position: u64,
    is_lost: Arc<AtomicBool>,
}

#[async_trait]
impl PartitionConsumer for Overtaken {
    async fn fetch(&mut self, max_bytes: usize, wait: Duration) -> Result<Fetched, BrokerError> {
        if self.is_lost.load(Ordering::SeqCst) {
            let (earliest, latest) = (self.position + 3, self.position + 9);
            return Err(BrokerError::OffsetOutOfRange {
                partition: self.partition,
                offset: self.position,
                earliest,
                latest,
            });
        }
        let fetched = self.inner.fetch(max_bytes, wait).await?;
        self.position = fetched.position;
        Ok(fetched)
    }
}

#[async_trait]
impl Consumer for Everything {
    async fn next_assignment(&self) -> Result<Assignment, BrokerError> {
        if std::mem::replace(&mut *self.told.lock(), true) {
            std::future::pending::<()>().await;
        }
        Ok(Assignment::Assigned((0..self.partitions).collect()))
    }
    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, BrokerError> {
        let inner = self.inner.open(partition, offset).await?;
        Ok(Box::new(Overtaken { inner, partition, position: offset, is_lost: Arc::clone(&self.is_lost) }))
    }
    async fn commit(&self, partition: u32, next: u64) -> Result<(), BrokerError> {
        self.inner.commit(partition, next).await
    }
    async fn leave(&self) {}
}

/// Writes down what may be forgotten.
#[derive(Default)]
struct Marks(parking_lot::Mutex<BTreeMap<u32, u64>>);

#[async_trait]
impl Trim for Marks {
    async fn trim(&self, partition: u32, below: u64) -> Result<(), BrokerError> {
        self.0.lock().insert(partition, below);
        Ok(())
    }
}

struct World {
    broker: Arc<MemoryBroker>,
    store: Arc<MemoryStore>,
    index: Arc<EmbeddedIndex>,
    /// Makes every fetch say that retention has run past it.
    is_lost: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

struct Running {
    tail: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), loglake_process::Error>>,
    readiness: Readiness,
    registry: prometheus::Registry,
}

const PARTITIONS: u32 = 2;

fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "test")]
fn id(name: &str) -> TenantId {
    TenantId::from_credential(tenant(name))
}

fn key() -> InternalKey {
    InternalKey::new(&ClusterSecret::from_bytes(b"a secret of thirty-two bytes or more").unwrap())
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            broker: MemoryBroker::new("topic", PARTITIONS, Arc::new(SystemClock)),
            store: Arc::new(MemoryStore::new()),
            index: Arc::new(
                EmbeddedIndex::open(&folder.path().join("index"), "default", 0, Arc::new(SystemClock)).unwrap(),
            ),
            is_lost: Arc::default(),
            _folder: folder,
        }
    }

    async fn start(&self, flush_interval: Duration) -> Running {
        self.start_with(flush_interval, None).await
    }

    async fn start_with(&self, flush_interval: Duration, trim: Option<Arc<dyn Trim>>) -> Running {
        let running = self.start_over(flush_interval, trim, Arc::clone(&self.broker) as _, LostRecords::Halt).await;
        until("ready", || running.readiness.waiting().is_empty()).await;
        running
    }

    /// Starts one that hears of offsets from `reader`, and does not wait until it is ready.
    async fn start_over(
        &self,
        flush_interval: Duration,
        trim: Option<Arc<dyn Trim>>,
        reader: Arc<dyn Reader>,
        on_lost_records: LostRecords,
    ) -> Running {
        let consumer = Everything {
            inner: Arc::new(self.broker.member()),
            told: parking_lot::Mutex::new(false),
            partitions: PARTITIONS,
            is_lost: Arc::clone(&self.is_lost),
        };
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
            on_lost_records,
            truncation_grace: Duration::from_millis(600),
            metric_tenants: 0,
        };
        let (readiness, registry) = (Readiness::default(), prometheus::Registry::new());
        let parts = Parts {
            consumer: Arc::new(consumer),
            reader,
            trim,
            store: Arc::clone(&self.store) as _,
            index: Arc::clone(&self.index) as _,
            incarnation: 0,
            clock: Arc::new(SystemClock),
            internal: key(),
            registry: registry.clone(),
            ready: readiness.role("processor"),
        };
        let processor = Processor::bind(config, parts).await.unwrap();
        let tail = processor.tail_addr();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(processor.run(shutdown.clone()));
        Running { tail, shutdown, task, readiness, registry }
    }

    /// Appends `count` records of `tenant` from number `from`, ten a message, over all partitions.
    async fn send(&self, tenant_name: &str, from: u64, count: u64) {
        let service = Service::parse("api").unwrap();
        for first in (from..from + count).step_by(10) {
            let mut batch = BatchBuilder::new(&tenant(tenant_name), 1, Origin::None);
            for number in first..(first + 10).min(from + count) {
                // An hour apart each hundred, not in order within.
                let timestamp_ns = i64::try_from(number / 100 * 3_600_000_000_000 + (number * 7919) % 1000).unwrap();
                let level = Level::from_slot((number % 7) as usize);
                let mut text = Vec::new();
                line::begin(&mut text, timestamp_ns, level, service.as_str());
                line::text_field(&mut text, "message", &format!("{tenant_name} number {number}"));
                text.push(b'}');
                batch.push(&service, timestamp_ns, level, "", &text).unwrap();
            }
            let partition = u32::try_from(first / 10).unwrap() % PARTITIONS;
            self.broker.append(partition, batch.finish().unwrap()).await.unwrap();
        }
    }

    /// All lines of live chunks, by id; fails when one stands twice. Checks the chain's own rules by reading it.
    async fn committed(&self) -> BTreeMap<RecordId, String> {
        let mut lines = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let chain = Chain::new(Arc::clone(&self.store) as _, "default", 0, partition);
            let state = chain.read().await.unwrap();
            for chunk in state.live.values() {
                let bytes = self.store.get(&chunk.key, 1 << 30).await.unwrap();
                let footer = bytes.slice(usize::try_from(chunk.footer_offset).unwrap()..);
                let footer = Footer::parse(&footer, chunk.footer_offset, chunk.length).unwrap();
                let mut last = i64::MIN;
                for row in footer.blocks() {
                    let start = usize::try_from(row.offset).unwrap();
                    let block = decode_block(row, &bytes[start..start + row.length as usize]).unwrap();
                    for line in block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                        let timestamp_ns = line::timestamp_of(line).unwrap();
                        assert!(timestamp_ns >= last && chunk.window.contains(timestamp_ns), "sorted, in its window");
                        last = timestamp_ns;
                        let id = line::id_of(line).unwrap();
                        assert!(state.tail.next > id.offset);
                        let twice = lines.insert(id, String::from_utf8(line.to_vec()).unwrap());
                        assert_eq!(twice, None, "{id} stands twice");
                    }
                }
            }
        }
        lines
    }

    /// Waits until something was flushed.
    async fn flushed(&self) {
        for _ in 0..2000 {
            if !self.store.list("data/", None).await.unwrap().objects.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing was flushed within 20 s");
    }

    async fn tails(&self) -> Vec<u64> {
        let mut tails = Vec::new();
        for partition in 0..PARTITIONS {
            let chain = Chain::new(Arc::clone(&self.store) as _, "default", 0, partition);
            tails.push(chain.read().await.unwrap().tail.next);
        }
        tails
    }
}

async fn until(what: &str, mut is_done: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_done() {
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

    /// As a crash would: nothing is flushed, nobody is told.
    async fn kill(self) {
        self.task.abort();
        let _aborted = self.task.await;
    }

    async fn rows(
        &self,
        tenant_name: &str,
        signed_for: &str,
        want: Want,
    ) -> Result<(Coverage, Vec<String>), tonic::Status> {
        let mut client = TailServiceClient::connect(format!("http://{}", self.tail)).await.unwrap();
        let mut request = tonic::Request::new(TailRequest {
            tenant: tenant_name.to_owned(),
            wants: vec![want],
            filter_json: "{}".to_owned(),
            start_ns: TimeRange::ALL.start_ns(),
            end_ns: TimeRange::ALL.end_ns(),
            limit: 50,
            max_bytes: 1 << 20,
            forward: true,
            ..TailRequest::default()
        });
        let now_ns = loglake_model::Clock::now_ns(&SystemClock);
        request.metadata_mut().insert(internal::HEADER, key().sign(&id(signed_for), now_ns).parse().unwrap());
        let mut stream = client.tail(request).await?.into_inner();
        let (mut coverage, mut lines) = (Coverage::default(), Vec::new());
        while let Some(message) = stream.message().await? {
            match message.kind.unwrap() {
                tail_response::Kind::Coverage(found) => coverage = found,
                tail_response::Kind::Rows(rows) => {
                    lines.extend(rows.lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()));
                }
            }
        }
        Ok((coverage, lines))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_is_committed_once_through_flushes_crashes_and_a_clean_stop() {
    let world = World::new();
    let first = world.start(Duration::from_millis(50)).await;
    world.send("t", 0, 995).await;
    world.flushed().await;
    first.kill().await;
    world.send("t", 995, 505).await;
    let second = world.start(Duration::from_millis(50)).await;
    world.send("t", 1500, 500).await;
    second.kill().await;
    let last = world.start(Duration::from_secs(3600)).await;
    world.send("u", 2000, 100).await;
    last.stop().await;
    let committed = world.committed().await;
    assert_eq!(committed.len(), 2100);
    for number in 0..2100 {
        let text = format!("\"message\":\"{} number {number}\"", if number < 2000 { "t" } else { "u" });
        assert_eq!(committed.values().filter(|line| line.contains(&text)).count(), 1, "{text}");
    }
    for (partition, next) in (0..).zip(world.tails().await) {
        let watermark = world.index.watermark(partition).await.unwrap();
        assert!(matches!(watermark, Some(Watermark { next: seen, .. }) if seen == next), "the index is at the tail");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processors_that_both_own_everything_commit_each_record_once() {
    let world = World::new();
    let one = world.start(Duration::from_millis(20)).await;
    let other = world.start(Duration::from_millis(30)).await;
    for part in 0..20 {
        world.send("t", part * 100, 100).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    one.stop().await;
    other.stop().await;
    let last = world.start(Duration::from_secs(3600)).await;
    last.stop().await;
    assert_eq!(world.committed().await.len(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_serves_what_is_not_flushed_to_its_tenant_alone() {
    let world = World::new();
    let running = world.start(Duration::from_secs(3600)).await;
    world.send("t", 0, 40).await;
    world.send("u", 40, 40).await;
    let want = Want { partition: 0, from: 0, until: 4 };
    let (coverage, lines) = running.rows("t", "t", want).await.unwrap();
    assert!(coverage.held && coverage.floor == 0 && coverage.position == 4, "{coverage:?}");
    assert_eq!(lines.len(), 20, "ten a message, every other message");
    assert!(lines.iter().all(|line| line.contains("t number") && line.contains("\"id\":\"0-0-")));
    assert!(
        lines.windows(2).all(|pair| line::timestamp_of(pair[0].as_bytes()) <= line::timestamp_of(pair[1].as_bytes()))
    );
    let refused = running.rows("t", "u", want).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    // A position that was not reached, and a partition that is not held, are said, not guessed.
    let (ahead, none) = running.rows("t", "t", Want { until: 99, ..want }).await.unwrap();
    assert!(ahead.position == 4 && none.is_empty());
    let (other, none) = running.rows("t", "t", Want { partition: 9, ..want }).await.unwrap();
    assert!(!other.held && none.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_goes_to_quarantine_and_the_partition_moves_on() {
    let world = World::new();
    world.broker.append(0, Bytes::from_static(b"no batch at all")).await.unwrap();
    let running = world.start(Duration::from_secs(3600)).await;
    world.send("t", 0, 40).await;
    running.stop().await;
    assert_eq!(world.committed().await.len(), 40);
    let chain = Chain::new(Arc::clone(&world.store) as _, "default", 0, 0);
    let quarantine = chain.entries_after(0).await.unwrap().unwrap().remove(0).0.quarantine.unwrap();
    assert_eq!(quarantine.offsets, [0]);
    let object = world.store.get(&quarantine.key, 1 << 20).await.unwrap();
    assert_eq!((object.len() as u64, crc32c::crc32c(&object)), (quarantine.length, quarantine.checksum));
    let mut text = String::new();
    #[allow(clippy::disallowed_methods, reason = "test: a small object of our own")]
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(&object[..]), &mut text).unwrap();
    assert!(text.contains("\"payload\":\"bm8gYmF0Y2ggYXQgYWxs\"") && text.contains("\"offset\":0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_is_rebuilt_while_the_processor_runs() {
    let world = World::new();
    let running = world.start(Duration::from_millis(50)).await;
    world.send("t", 0, 200).await;
    world.flushed().await;
    running.stop().await;
    let lost = World {
        index: Arc::new(
            EmbeddedIndex::open(&world._folder.path().join("other"), "default", 0, Arc::new(SystemClock)).unwrap(),
        ),
        ..world
    };
    let again = lost.start(Duration::from_secs(3600)).await;
    for (partition, next) in (0..).zip(lost.tails().await) {
        assert_eq!(lost.index.watermark(partition).await.unwrap().unwrap().next, next);
    }
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_partition_gives_its_space_back_after_a_restart() {
    let world = World::new();
    let running = world.start(Duration::from_millis(50)).await;
    world.send("t", 0, 200).await;
    world.flushed().await;
    running.stop().await;
    // Nothing new comes, so nothing is flushed: the marks are set all the same.
    let marks = Arc::new(Marks::default());
    let again = world.start_with(Duration::from_secs(3600), Some(Arc::clone(&marks) as _)).await;
    let expected: BTreeMap<u32, u64> = (0..).zip(world.tails().await).collect();
    assert_eq!(*marks.0.lock(), expected);
    again.stop().await;
}

fn names(objects: Vec<loglake_store::Object>, part: &str) -> Vec<String> {
    objects.into_iter().map(|object| object.key).filter(|key| key.contains(part)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_are_folded_and_swept_while_records_come() {
    let world = World::new();
    let running = world.start(Duration::from_millis(20)).await;
    for n in 0..40 {
        world.send("acme", n * 20, 20).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let chain = Chain::new(Arc::clone(&world.store) as _, "default", 0, 0);
    for _ in 0..500 {
        let (checkpoints, state) = (chain.checkpoints().await.unwrap(), chain.read().await.unwrap());
        let listed = world.store.list(chain.folder(), None).await.unwrap().objects;
        let newest = checkpoints.last().copied().unwrap_or(0);
        let entries = listed.len() - names(listed.clone(), "-").len();
        if newest >= 3 && state.tail.seq - newest < 3 && entries as u64 == state.tail.seq - newest {
            running.stop().await;
            assert_eq!(world.committed().await.len(), 800);
            // Who comes next begins at the checkpoint.
            let running = world.start(Duration::from_millis(20)).await;
            world.send("acme", 800, 20).await;
            running.stop().await;
            assert_eq!(world.committed().await.len(), 820);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not folded and swept in ten seconds");
}

/// An entry that takes nothing from the broker.
fn job(seq: u64) -> Entry {
    Entry {
        version: ENTRY_VERSION,
        seq,
        start: 0,
        next: 0,
        adds: Vec::new(),
        removes: Vec::new(),
        nonce: format!("job-{seq}"),
        writer: "test".to_owned(),
        leader_epoch: None,
        sessions: Vec::new(),
        quarantine: None,
        gap: None,
        previous_hash: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn left_overs_are_collected_and_nothing_else() {
    for is_shared in [false, true] {
        let world = World::new();
        let chain = Chain::new(Arc::clone(&world.store) as _, "default", 0, 0);
        let folder = "data/tenant=acme/service=api/date=1970-01-01/hour=00";
        let replaced = loglake_index::conformance::chunk("acme", "api", 0, 1, "0-0-1-replaced");
        chain.claim(&Entry { adds: vec![replaced.clone()], ..job(1) }).await.unwrap();
        chain.claim(&Entry { removes: vec![replaced.clone()], ..job(2) }).await.unwrap();
        for seq in 3..=TARGET_SLACK + 10 {
            chain.claim(&job(seq)).await.unwrap();
        }
        let left_over = [
            format!("{folder}/0-0-5-crashed.ndjson.gz"),
            "quarantine/default/0/00000/00000000000000000009-crashed.ndjson.gz".to_owned(),
        ];
        let kept = [
            format!("{folder}/0-0-500-a-slow-writer.ndjson.gz"),
            // Another partition, another incarnation, another program.
            format!("{folder}/0-1-5-n.ndjson.gz"),
            format!("{folder}/1-0-5-n.ndjson.gz"),
            format!("{folder}/notes.txt"),
            "quarantine/other/0/00000/00000000000000000009-n.ndjson.gz".to_owned(),
        ];
        for key in left_over.iter().chain(&kept).chain([&replaced.key]) {
            world.store.put(key, Bytes::from_static(b"x")).await.unwrap();
        }
        if is_shared {
            let mark = "commits/another/incarnations/0.json";
            world.store.put(mark, Bytes::from_static(b"{}")).await.unwrap();
        }
        let running = world.start(Duration::from_millis(20)).await;
        world.send("acme", 0, 100).await;
        let is_there = async |key: &str| world.store.get(key, 10).await.is_ok();
        // The removed chunk goes in the round after its grace, and rounds begin with it.
        for _ in 0..1000 {
            let gone = !is_there(&left_over[0]).await && !is_there(&left_over[1]).await;
            if !is_there(&replaced.key).await && (gone || is_shared) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!is_there(&replaced.key).await, "a removed chunk whose readers are done");
        for key in &left_over {
            assert_eq!(is_there(key).await, is_shared, "{key}");
        }
        for key in &kept {
            assert!(is_there(key).await, "{key}");
        }
        running.stop().await;
        assert_eq!(world.committed().await.len(), 100);
    }
}

impl Running {
    /// The value of the metric `name` whose labels have all of `labels`; `None` when it is not shown.
    fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        let has_all = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|label| metric.get_label().iter().any(|pair| pair.value() == *label))
        };
        let metric = family.get_metric().iter().find(has_all)?;
        Some(metric.get_gauge().get_value() + metric.get_counter().get_value())
    }

    async fn halted(&self, partition: &str, reason: &str) {
        until(reason, || self.metric("loglake_partition_halted", &[partition, reason]) == Some(1.0)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_records_halt_the_partition_until_it_is_decided_to_go_on() {
    let world = World::new();
    let running = world.start(Duration::from_millis(20)).await;
    world.send("acme", 0, 100).await;
    running.stop().await;
    // Retention runs past the stopped processor, in the first partition only.
    world.send("acme", 100, 100).await;
    world.broker.trim(0, 8).await.unwrap();
    let reader: Arc<dyn Reader> = Arc::clone(&world.broker) as _;
    let running = world.start_over(Duration::from_millis(20), None, Arc::clone(&reader), LostRecords::Halt).await;
    running.halted("0", "lost_records").await;
    assert_eq!(running.metric("loglake_partition_halted", &["1"]), None, "the other one goes on");
    assert_eq!(running.metric("loglake_gap_offsets_total", &[]), Some(0.0));
    running.stop().await;
    assert_eq!(world.committed().await.len(), 150);

    let running = world.start_over(Duration::from_millis(20), None, reader, LostRecords::Gap).await;
    until("ready", || running.readiness.waiting().is_empty()).await;
    assert_eq!(running.metric("loglake_gap_offsets_total", &[]), Some(3.0));
    assert_eq!(running.metric("loglake_partition_halted", &["0"]), None);
    running.stop().await;
    assert_eq!(world.committed().await.len(), 170, "all but three messages of ten");
    let state = Chain::new(Arc::clone(&world.store) as _, "default", 0, 0).read().await.unwrap();
    assert_eq!((state.gaps.len(), state.gaps[0].from, state.gaps[0].to), (1, 5, 8));
    assert_eq!(world.index.watermark(0).await.unwrap().unwrap().seq, state.tail.seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_behind_a_partition_is_is_shown_until_it_is_given_up() {
    let world = World::new();
    let running = world.start(Duration::from_secs(60)).await;
    until("ready", || running.readiness.waiting().is_empty()).await;
    let of = |name: &str| running.metric(&format!("loglake_process_{name}"), &["0"]);
    until("nothing waits", || (of("lag_seconds"), of("unflushed_seconds")) == (Some(0.0), Some(0.0))).await;
    assert_eq!((of("position"), of("committed")), (Some(0.0), Some(0.0)), "shown before anything came");
    world.send("acme", 0, 100).await;
    until("held", || of("position") == Some(5.0)).await;
    until("it waits for its flush", || of("unflushed_seconds").is_some_and(|seconds| seconds > 0.2)).await;
    assert_eq!((of("lag_seconds"), of("lag_messages"), of("committed")), (Some(0.0), Some(0.0), Some(0.0)));
    let families = running.registry.gather();
    let delay = families.iter().find(|family| family.name() == "loglake_process_consume_delay_seconds").unwrap();
    assert_eq!(delay.get_metric()[0].get_histogram().get_sample_count(), 10, "messages of both partitions");
    let registry = running.registry.clone();
    running.stop().await;
    let left = registry.gather();
    let of_partitions = left.iter().filter(|family| {
        family.get_metric().iter().any(|metric| metric.get_label().iter().any(|label| label.name() == "partition"))
    });
    assert_eq!(of_partitions.map(|family| family.name()).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_saved_when_retention_runs_past_it() {
    let world = World::new();
    let running = world.start(Duration::from_secs(60)).await;
    world.send("acme", 0, 100).await;
    for partition in ["0", "1"] {
        until("held", || running.metric("loglake_process_position", &[partition]) == Some(5.0)).await;
    }
    world.is_lost.store(true, Ordering::SeqCst);
    for partition in ["0", "1"] {
        until("saved", || running.metric("loglake_process_committed", &[partition]) == Some(5.0)).await;
    }
    running.kill().await;
    assert_eq!(world.committed().await.len(), 100);
}

/// Says that the first partition's log ends earlier than it does.
struct Short {
    inner: Arc<MemoryBroker>,
    latest: parking_lot::Mutex<Option<u64>>,
    topic: parking_lot::Mutex<&'static str>,
    /// The leader epoch of all its messages.
    epoch: parking_lot::Mutex<Option<i32>>,
}

#[async_trait]
impl Reader for Short {
    async fn topic(&self) -> Result<Topic, BrokerError> {
        let id = (*self.topic.lock()).to_owned();
        Ok(Topic { id, ..self.inner.topic().await? })
    }
    async fn offsets(&self, partitions: &[u32]) -> Result<Vec<Offsets>, BrokerError> {
        let mut offsets = self.inner.offsets(partitions).await?;
        for of in offsets.iter_mut().filter(|of| of.partition == 0) {
            of.latest = (*self.latest.lock()).unwrap_or(of.latest);
        }
        Ok(offsets)
    }
    async fn read(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, BrokerError> {
        let mut read = self.inner.read(partition, from, to, max_bytes).await?;
        read.messages.iter_mut().for_each(|message| message.leader_epoch = *self.epoch.lock());
        Ok(read)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_and_has_grown_again_halts_the_partition() {
    let world = World::new();
    world.send("acme", 0, 100).await;
    // What an earlier processor flushed of the first partition, under a leader of epoch 3.
    let chain = Chain::new(Arc::clone(&world.store) as _, "default", 0, 0);
    let entry = Entry {
        version: ENTRY_VERSION,
        seq: 1,
        start: 0,
        next: 2,
        adds: Vec::new(),
        removes: Vec::new(),
        nonce: "n".to_owned(),
        writer: "test".to_owned(),
        leader_epoch: Some(3),
        sessions: Vec::new(),
        quarantine: None,
        gap: None,
        previous_hash: String::new(),
    };
    assert!(matches!(chain.claim(&entry).await.unwrap(), Claim::Won(_)));
    let short = Arc::new(Short {
        inner: Arc::clone(&world.broker),
        latest: parking_lot::Mutex::default(),
        topic: parking_lot::Mutex::new("topic"),
        epoch: parking_lot::Mutex::new(Some(5)),
    });
    let start = || world.start_over(Duration::from_millis(20), None, Arc::clone(&short) as _, LostRecords::Gap);
    let running = start().await;
    running.halted("0", "truncated").await;
    assert_eq!(running.metric("loglake_partition_halted", &["1"]), None, "the other one goes on");
    running.stop().await;
    assert_eq!(
        chain.read().await.unwrap().tail.seq,
        1,
        "nothing was consumed from an offset that means another record"
    );

    // The record is the one that the chain holds.
    *short.epoch.lock() = Some(3);
    let running = start().await;
    until("ready", || running.readiness.waiting().is_empty()).await;
    running.stop().await;
    assert_eq!(chain.read().await.unwrap().tail.next, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_short_halts_the_partition_and_a_leader_that_trails_does_not() {
    let world = World::new();
    let running = world.start(Duration::from_millis(20)).await;
    world.send("acme", 0, 100).await;
    running.stop().await;
    let short = Arc::new(Short {
        inner: Arc::clone(&world.broker),
        latest: parking_lot::Mutex::new(Some(4)),
        topic: parking_lot::Mutex::new("topic"),
        epoch: parking_lot::Mutex::default(),
    });
    let start = || world.start_over(Duration::from_millis(20), None, Arc::clone(&short) as _, LostRecords::Gap);
    let running = start().await;
    running.halted("0", "truncated").await;
    // It comes back by itself once the log is whole, and until then nothing is consumed.
    *short.latest.lock() = None;
    until("ready", || running.readiness.waiting().is_empty()).await;
    assert_eq!(running.metric("loglake_partition_halted", &["0"]), None);
    running.stop().await;

    // One that trails for less than the grace is waited for.
    *short.latest.lock() = Some(4);
    let running = start().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    *short.latest.lock() = None;
    until("ready", || running.readiness.waiting().is_empty()).await;

    // Another topic: at once.
    *short.topic.lock() = "another";
    running.halted("0", "topic_recreated").await;
    running.halted("1", "topic_recreated").await;
    running.stop().await;
    assert_eq!(world.committed().await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_stay_under_four_mebibytes_however_many_streams_come() {
    let world = World::new();
    // Each message alone makes an entry of almost two mebibytes; all of them are fetched at once.
    for n in 0..4 {
        let mut batch = BatchBuilder::new(&tenant("acme"), 1, Origin::None);
        for stream in 0..1_800 {
            let service = Service::parse(&format!("{}-{n}-{stream:04}", "a".repeat(121))).unwrap();
            let mut text = Vec::new();
            line::begin(&mut text, stream, None, service.as_str());
            line::text_field(&mut text, "message", "");
            text.push(b'}');
            batch.push(&service, stream, None, "", &text).unwrap();
        }
        world.broker.append(0, batch.finish().unwrap()).await.unwrap();
    }
    let running = world.start(Duration::from_secs(60)).await;
    running.stop().await;
    assert_eq!(world.committed().await.len(), 4 * 1_800);
    let chain = Chain::new(Arc::clone(&world.store) as _, "default", 0, 0);
    let objects = world.store.list(chain.folder(), None).await.unwrap().objects;
    let entries: Vec<u64> = objects.iter().filter(|of| !of.key.contains("t-")).map(|of| of.length).collect();
    assert!(!entries.is_empty() && entries.iter().all(|length| *length < 4 << 20), "{entries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_everything_flushed_at_once_and_a_tenant_has_not() {
    let world = World::new();
    let running = world.start(Duration::from_secs(3_600)).await;
    let address = format!("http://{}", running.tail);
    let now_ns = loglake_model::Clock::now_ns(&SystemClock);
    let wait = Duration::from_secs(30);
    let idle = ask_to_flush(&address, &Trust::default(), &key(), now_ns, &[], wait).await.unwrap();
    assert!(idle.len() == 2 && idle.iter().all(|one| one.is_done() && one.flushed == 0), "{idle:?}");

    world.send("t", 0, 200).await;
    let flushed = ask_to_flush(&address, &Trust::default(), &key(), now_ns, &[1, 7], wait).await.unwrap();
    assert_eq!(flushed.iter().map(|one| one.partition).collect::<Vec<_>>(), [1, 7]);
    assert!(flushed[0].is_done() && (flushed[0].before, flushed[0].until, flushed[0].flushed) == (0, 10, 10));
    assert!(!flushed[1].is_held && !flushed[1].is_done(), "nobody's partition");
    assert_eq!(world.tails().await, [0, 10], "only the one asked for");
    assert!(
        ask_to_flush(&address, &Trust::default(), &key(), now_ns, &[], wait)
            .await
            .unwrap()
            .iter()
            .all(|one| one.is_done())
    );
    assert_eq!(world.committed().await.len(), 200);

    let stranger = InternalKey::new(&ClusterSecret::from_bytes(b"another secret of thirty-two bytes").unwrap());
    let refused = ask_to_flush(&address, &Trust::default(), &stranger, now_ns, &[], wait).await.unwrap_err();
    assert_eq!(refused.kind(), loglake_model::ErrorKind::Unauthenticated, "{refused}");
    let mut client = AdminServiceClient::connect(address.clone()).await.unwrap();
    let mut request = tonic::Request::new(FlushRequest::default());
    request.metadata_mut().insert(internal::HEADER, key().sign(&id("t"), now_ns).parse().unwrap());
    assert_eq!(client.flush(request).await.unwrap_err().code(), tonic::Code::Unauthenticated);
    running.stop().await;
    assert!(ask_to_flush(&address, &Trust::default(), &key(), now_ns, &[], wait).await.is_err(), "it is gone");
}
