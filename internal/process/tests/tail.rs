//! The tail under rebalances, panics, stalls and strangers: what it answers is what the broker has, or it is no answer.
#![allow(clippy::unwrap_used, missing_docs, reason = "test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use loglake_api::internal::v1::tail_service_client::TailServiceClient;
use loglake_api::internal::v1::{CountsRequest, Coverage, ServicesRequest, TailRequest, Want, tail_response};
use loglake_auth::internal::{self, InternalKey};
use loglake_auth::keys::ClusterSecret;
use loglake_batch::{BatchBuilder, Origin};
use loglake_broker::{
    Assignment, Consumer, Error as BrokerError, Fetched, MemoryBroker, PartitionConsumer, Producer as _, Reader as _,
};
use loglake_commit::Chain;
use loglake_index::{ChunkIndex, EmbeddedIndex};
use loglake_model::{Clock as _, Readiness, Service, SystemClock, TenantId, TenantName, TimeRange, line};
use loglake_process::{Config, LostRecords, Parts, Processor};
use loglake_store::MemoryStore;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;

const PARTITIONS: u32 = 4;

fn key(secret: &[u8]) -> InternalKey {
    InternalKey::new(&ClusterSecret::from_bytes(secret).unwrap())
}

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

#[allow(clippy::disallowed_methods, reason = "test")]
fn id(name: &str) -> TenantId {
    TenantId::from_credential(TenantName::parse(name).unwrap())
}

/// A member whose partitions can be made to panic or to stall at their next fetch.
struct Troubled {
    inner: Arc<dyn Consumer>,
    /// All partitions, told once, whatever the group says: a member that does not know that it is none any more.
    claims_all: Option<AtomicBool>,
    panics: Arc<AtomicBool>,
    stalls: Arc<AtomicBool>,
    goes_on: Arc<Notify>,
}

impl Troubled {
    fn of(broker: &Arc<MemoryBroker>) -> Self {
        Self {
            inner: Arc::new(broker.member()),
            claims_all: None,
            panics: Arc::default(),
            stalls: Arc::default(),
            goes_on: Arc::default(),
        }
    }
}

struct TroubledPartition {
    inner: Box<dyn PartitionConsumer>,
    panics: Arc<AtomicBool>,
    stalls: Arc<AtomicBool>,
    goes_on: Arc<Notify>,
}

#[async_trait]
impl PartitionConsumer for TroubledPartition {
    async fn fetch(&mut self, max_bytes: usize, wait: Duration) -> Result<Fetched, BrokerError> {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a test makes this worker panic");
        while self.stalls.load(Ordering::SeqCst) {
            self.goes_on.notified().await;
        }
        self.inner.fetch(max_bytes, wait.min(Duration::from_millis(20))).await
    }
}

#[async_trait]
impl Consumer for Troubled {
    async fn next_assignment(&self) -> Result<Assignment, BrokerError> {
        match &self.claims_all {
            None => self.inner.next_assignment().await,
            Some(told) if told.swap(true, Ordering::SeqCst) => std::future::pending().await,
            Some(_) => Ok(Assignment::Assigned((0..PARTITIONS).collect())),
        }
    }
    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, BrokerError> {
        let inner = self.inner.open(partition, offset).await?;
        let (panics, stalls, goes_on) = (self.panics.clone(), self.stalls.clone(), self.goes_on.clone());
        Ok(Box::new(TroubledPartition { inner, panics, stalls, goes_on }))
    }
    async fn commit(&self, partition: u32, next: u64) -> Result<(), BrokerError> {
        self.inner.commit(partition, next).await
    }
    async fn leave(&self) {
        self.inner.leave().await;
    }
}

struct World {
    broker: Arc<MemoryBroker>,
    store: Arc<MemoryStore>,
    index: Arc<EmbeddedIndex>,
    sent: AtomicU64,
    _folder: tempfile::TempDir,
}

struct Running {
    tail: SocketAddr,
    registry: prometheus::Registry,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), loglake_process::Error>>,
    readiness: Readiness,
}

impl World {
    fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let index = EmbeddedIndex::open(&folder.path().join("index"), "default", 0, Arc::new(SystemClock)).unwrap();
        Arc::new(Self {
            broker: MemoryBroker::new("topic", PARTITIONS, Arc::new(SystemClock)),
            store: Arc::new(MemoryStore::new()),
            index: Arc::new(index),
            sent: AtomicU64::new(0),
            _folder: folder,
        })
    }

    async fn start(&self, consumer: Troubled, flush_interval: Duration) -> Running {
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
            fold_entries: 1_000,
            fold_grace: Duration::from_secs(60),
            collect_interval: Duration::from_secs(60),
            removed_grace: Duration::from_secs(60),
            on_lost_records: LostRecords::Halt,
            truncation_grace: Duration::from_secs(60),
            metric_tenants: 0,
        };
        let readiness = Readiness::default();
        let registry = prometheus::Registry::new();
        let parts = Parts {
            consumer: Arc::new(consumer),
            reader: Arc::clone(&self.broker) as _,
            trim: None,
            store: Arc::clone(&self.store) as _,
            index: Arc::clone(&self.index) as _,
            incarnation: 0,
            clock: Arc::new(SystemClock),
            internal: key(SECRET),
            registry: registry.clone(),
            ready: readiness.role("processor"),
        };
        let processor = Processor::bind(config, parts).await.unwrap();
        let tail = processor.tail_addr();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(processor.run(shutdown.clone()));
        Running { tail, registry, shutdown, task, readiness }
    }

    /// Appends a message of one record to `partition`; the record names its own offset.
    async fn send(&self, partition: u32) -> u64 {
        let service = Service::parse("api").unwrap();
        let offset = self.latest(partition).await;
        let mut text = Vec::new();
        line::begin(&mut text, i64::try_from(offset).unwrap(), None, service.as_str());
        line::text_field(&mut text, "message", &format!("{partition}/{offset}."));
        text.push(b'}');
        let mut batch = BatchBuilder::new(id("t").name(), 1, Origin::None);
        batch.push(&service, i64::try_from(offset).unwrap(), None, "", &text).unwrap();
        let appended = self.broker.append(partition, batch.finish().unwrap()).await.unwrap();
        assert_eq!(appended.offset, offset, "one sends to a partition");
        self.sent.fetch_add(1, Ordering::SeqCst);
        offset
    }

    async fn latest(&self, partition: u32) -> u64 {
        self.broker.offsets(&[partition]).await.unwrap()[0].latest
    }

    /// Everything is in the chains once, and the index is where they end.
    async fn judge(&self) {
        let mut records = 0;
        for partition in 0..PARTITIONS {
            let chain = Chain::new(Arc::clone(&self.store) as _, "default", 0, partition);
            let state = chain.read().await.unwrap();
            assert_eq!(state.tail.next, self.latest(partition).await);
            let here: u64 = state.live.values().map(|chunk| chunk.records).sum();
            assert_eq!(here, state.tail.next, "one record a message, each once");
            records += here;
            let watermark = self.index.watermark(partition).await.unwrap().unwrap();
            assert_eq!((watermark.seq, watermark.next), (state.tail.seq, state.tail.next));
        }
        assert_eq!(records, self.sent.load(Ordering::SeqCst));
    }
}

impl Running {
    async fn ready(&self) {
        until("ready", async || self.readiness.waiting().is_empty()).await;
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    fn count(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_counter().get_value()
    }

    async fn ask(&self, want: Want) -> (Coverage, Vec<String>) {
        ask(self.tail, want, Some(key(SECRET).sign(&id("t"), SystemClock.now_ns()))).await.unwrap()
    }
}

fn request(want: Want) -> TailRequest {
    TailRequest {
        tenant: "t".to_owned(),
        wants: vec![want],
        filter_json: "{}".to_owned(),
        start_ns: TimeRange::ALL.start_ns(),
        end_ns: TimeRange::ALL.end_ns(),
        limit: 100_000,
        max_bytes: 1 << 30,
        forward: true,
        ..TailRequest::default()
    }
}

fn count_request(want: Want) -> CountsRequest {
    CountsRequest {
        tenant: "t".to_owned(),
        wants: vec![want],
        filter_json: "{}".to_owned(),
        start_ns: TimeRange::ALL.start_ns(),
        end_ns: TimeRange::ALL.end_ns(),
        limit: 100,
        ..CountsRequest::default()
    }
}

/// Asks with `header` for proof.
async fn ask(
    tail: SocketAddr,
    want: Want,
    header: Option<String>,
) -> Result<(Coverage, Vec<String>), Box<tonic::Status>> {
    let mut client = TailServiceClient::connect(format!("http://{tail}")).await.unwrap();
    let mut request = tonic::Request::new(request(want));
    if let Some(header) = header {
        request.metadata_mut().insert(internal::HEADER, header.parse().unwrap());
    }
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

/// Checks rows that count as the answer for `[want.from, want.until)`: all of them, each once, nothing before.
fn check(want: Want, lines: &[String]) {
    let mut seen = BTreeSet::new();
    for line in lines {
        let id = line::id_of(line.as_bytes()).unwrap();
        assert!(id.partition == want.partition && id.offset >= want.from, "{line}");
        assert!(line.contains(&format!("\"{}/{}.\"", id.partition, id.offset)), "another record's text: {line}");
        assert!(seen.insert(id.offset), "twice: {line}");
    }
    assert!((want.from..want.until).all(|offset| seen.contains(&offset)), "{want:?}: {seen:?}");
}

async fn until(what: &str, mut is_done: impl AsyncFnMut() -> bool) {
    for _ in 0..3_000 {
        if is_done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_takes_its_tail_with_it_and_is_replaced() {
    let world = World::new();
    let consumer = Troubled::of(&world.broker);
    let panics = consumer.panics.clone();
    let running = world.start(consumer, Duration::from_secs(3600)).await;
    running.ready().await;
    for _ in 0..10 {
        world.send(0).await;
    }
    let want = Want { partition: 0, from: 0, until: 10 };
    let (coverage, lines) = running.ask(want).await;
    assert!(coverage.held && coverage.position == 10);
    check(want, &lines);

    // Whichever partition fetches next panics.
    panics.store(true, Ordering::SeqCst);
    let unheld = async || {
        let mut unheld = 0;
        for partition in 0..PARTITIONS {
            let (coverage, _) = running.ask(Want { partition, from: 0, until: 0 }).await;
            unheld += u32::from(!coverage.held);
        }
        unheld
    };
    until("one tail is served no more", async || unheld().await == 1).await;
    assert!(!running.readiness.waiting().is_empty(), "a partition is not served");
    until("all tails are served again", async || unheld().await == 0).await;
    running.ready().await;
    assert!((running.count("loglake_process_worker_restarts_total") - 1.0).abs() < f64::EPSILON);
    until("it consumed again from the chain's end", async || running.ask(want).await.0.position == 10).await;
    check(want, &running.ask(want).await.1);
    running.stop().await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_owner_answers_rightly_or_not_at_all() {
    let world = World::new();
    let stale = Troubled { claims_all: Some(AtomicBool::new(false)), ..Troubled::of(&world.broker) };
    let (stalls, goes_on) = (stale.stalls.clone(), stale.goes_on.clone());
    let stale = world.start(stale, Duration::from_secs(3600)).await;
    stale.ready().await;
    for _ in 0..10 {
        world.send(0).await;
    }
    let old = Want { partition: 0, from: 0, until: 10 };
    assert_eq!(stale.ask(old).await.0.position, 10);
    stalls.store(true, Ordering::SeqCst);

    // Another one takes the partition, moves its chain on, and more comes in.
    let other = Troubled { claims_all: Some(AtomicBool::new(false)), ..Troubled::of(&world.broker) };
    let other = world.start(other, Duration::from_millis(20)).await;
    until("the chain has moved on", async || world.index.watermark(0).await.unwrap().unwrap().next == 10).await;
    for _ in 0..5 {
        world.send(0).await;
    }
    until("and on", async || world.index.watermark(0).await.unwrap().unwrap().next == 15).await;
    world.send(0).await;

    // What it holds is what the broker has at these offsets, whoever owns them by now: a reader whose index is behind may use it.
    for from in [0, 3, 9, 10] {
        let want = Want { from, ..old };
        let (coverage, lines) = stale.ask(want).await;
        assert!(coverage.held && coverage.floor <= from && coverage.position >= want.until, "{coverage:?}");
        check(want, &lines);
    }
    // What came since it does not have, and says so.
    for (from, until) in [(0, 16), (10, 16), (15, 16)] {
        let (coverage, lines) = stale.ask(Want { partition: 0, from, until }).await;
        assert!(coverage.position < until && lines.is_empty(), "{coverage:?}");
    }
    stalls.store(false, Ordering::SeqCst);
    goes_on.notify_waiters();
    let now = Want { partition: 0, from: 15, until: 16 };
    until("it has caught up", async || stale.ask(now).await.0.position >= 16).await;
    let (coverage, lines) = stale.ask(now).await;
    if coverage.held && coverage.floor <= now.from {
        check(now, &lines);
    }
    // Its own flush loses against the chain, and it starts again from there.
    stale.stop().await;
    other.stop().await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rebalances_under_queries_never_make_a_wrong_answer() {
    let world = World::new();
    let stop = Arc::new(AtomicBool::new(false));
    let one = world.start(Troubled::of(&world.broker), Duration::from_millis(30)).await;
    let two = world.start(Troubled::of(&world.broker), Duration::from_millis(50)).await;
    one.ready().await;
    two.ready().await;
    let mut tasks = Vec::new();
    for partition in 0..PARTITIONS {
        let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                world.send(partition).await;
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }));
    }
    let accepted = Arc::new(AtomicU64::new(0));
    for partition in 0..PARTITIONS {
        let (world, stop, accepted) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&accepted));
        let tails = [one.tail, two.tail];
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let latest = world.latest(partition).await;
                let next = world.index.watermark(partition).await.unwrap().unwrap().next;
                let want = Want { partition, from: next.min(latest), until: latest };
                // Both are asked, owner or not: what they cover decides.
                for tail in tails {
                    let header = key(SECRET).sign(&id("t"), SystemClock.now_ns());
                    let (coverage, lines) = ask(tail, want, Some(header)).await.unwrap();
                    if coverage.held && coverage.floor <= want.from && coverage.position >= want.until {
                        check(want, &lines);
                        accepted.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert!(lines.is_empty());
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }));
    }
    // Members come and go, each time the partitions are divided anew.
    for round in 0..30 {
        let guest = world.broker.member();
        tokio::time::sleep(Duration::from_millis(10 + round % 5 * 10)).await;
        drop(guest);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    until("answers count", async || accepted.load(Ordering::SeqCst) > 50).await;
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    one.stop().await;
    two.stop().await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_partition_is_served_no_more() {
    let world = World::new();
    let running = world.start(Troubled::of(&world.broker), Duration::from_secs(3600)).await;
    running.ready().await;
    let held = async || {
        let mut held = 0;
        for partition in 0..PARTITIONS {
            held += u32::from(running.ask(Want { partition, from: 0, until: 0 }).await.0.held);
        }
        held
    };
    assert_eq!(held().await, PARTITIONS);
    let other = world.broker.member();
    until("half of them are another's", async || held().await == PARTITIONS / 2).await;
    drop(other);
    until("all are its own again", async || held().await == PARTITIONS).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_of_the_records_that_rows_would_be_of() {
    let world = World::new();
    let running = world.start(Troubled::of(&world.broker), Duration::from_secs(3600)).await;
    running.ready().await;
    for _ in 0..10 {
        world.send(0).await;
    }
    // The record at an offset is of that nanosecond.
    let want = Want { partition: 0, from: 2, until: 10 };
    let count = async |request: CountsRequest| {
        let mut client = TailServiceClient::connect(format!("http://{}", running.tail)).await.unwrap();
        let mut request = tonic::Request::new(request);
        let header = key(SECRET).sign(&id("t"), SystemClock.now_ns());
        request.metadata_mut().insert(internal::HEADER, header.parse().unwrap());
        let answer = client.counts(request).await.unwrap().into_inner();
        let counts = answer.counts.into_iter().map(|count| (count.service, count.step_ns, count.levels[0]));
        (answer.coverages[0], counts.collect::<Vec<_>>())
    };
    let of = |service: &str, step_ns, count| (service.to_owned(), step_ns, count);
    let all = count_request(want);
    let (coverage, counts) = count(all.clone()).await;
    assert_eq!((coverage.held, coverage.position, coverage.scanned, coverage.truncated), (true, 10, 8, false));
    assert_eq!(counts, [of("", 0, 8)]);
    let stepped = CountsRequest { step_ns: 3, by_service: true, ..all.clone() };
    let (_, counts) = count(stepped.clone()).await;
    assert_eq!(counts, [of("api", 0, 1), of("api", 3, 3), of("api", 6, 3), of("api", 9, 1)]);
    let (coverage, counts) = count(CountsRequest { limit: 3, ..stepped.clone() }).await;
    assert!(coverage.truncated && counts.is_empty());
    let filter_json = r#"{"contains":["0/7."]}"#.to_owned();
    assert_eq!(count(CountsRequest { filter_json, ..stepped.clone() }).await.1, [of("api", 6, 1)]);
    let filter_json = r#"{"services":["web"]}"#.to_owned();
    assert_eq!(count(CountsRequest { filter_json, ..all.clone() }).await.1, []);
    assert_eq!(count(CountsRequest { start_ns: 4, end_ns: 6, ..all.clone() }).await.1, [of("", 0, 2)]);
    let (coverage, counts) = count(CountsRequest { incarnation: 5, ..all }).await;
    assert!(!coverage.held && counts.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_roles_of_the_same_cluster_are_answered() {
    const MINUTE_NS: i64 = 60_000_000_000;
    let world = World::new();
    let running = world.start(Troubled::of(&world.broker), Duration::from_secs(3600)).await;
    running.ready().await;
    world.send(0).await;
    let want = Want { partition: 0, from: 0, until: 1 };
    let now_ns = SystemClock.now_ns();
    let own = key(SECRET);
    let strange = key(b"another secret of thirty-two bytes or more").sign(&id("t"), now_ns);
    let cut = own.sign(&id("t"), now_ns);
    for (why, header, code) in [
        ("no proof", None, Code::Unauthenticated),
        ("no proof at all", Some(String::new()), Code::Unauthenticated),
        ("another cluster's", Some(strange), Code::Unauthenticated),
        ("cut short", Some(cut[..cut.len() - 2].to_owned()), Code::Unauthenticated),
        ("replayed", Some(own.sign(&id("t"), now_ns - 2 * MINUTE_NS)), Code::Unauthenticated),
        ("of the future", Some(own.sign(&id("t"), now_ns + 2 * MINUTE_NS)), Code::Unauthenticated),
        ("another tenant's", Some(own.sign(&id("u"), now_ns)), Code::PermissionDenied),
    ] {
        let refused = ask(running.tail, want, header.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{why}");
        let mut client = TailServiceClient::connect(format!("http://{}", running.tail)).await.unwrap();
        let mut request = tonic::Request::new(ServicesRequest {
            tenant: "t".to_owned(),
            wants: vec![want],
            start_ns: TimeRange::ALL.start_ns(),
            end_ns: TimeRange::ALL.end_ns(),
            ..ServicesRequest::default()
        });
        if let Some(header) = header {
            request.metadata_mut().insert(internal::HEADER, header.parse().unwrap());
        }
        let mut counts = tonic::Request::new(count_request(want));
        *counts.metadata_mut() = request.metadata().clone();
        assert_eq!(client.services(request).await.unwrap_err().code(), code, "{why}");
        assert_eq!(client.counts(counts).await.unwrap_err().code(), code, "{why}");
    }
    check(want, &running.ask(want).await.1);
    running.stop().await;
}
