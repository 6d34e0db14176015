//! Planning and merging: one page of a hundred over ever more chunks, all parts in memory, the index in a folder:
//! `cargo bench -p loglake-query`, `make bench-micro`. "Item" is a chunk of the index.
//!
//! `newest` overlaps all services, so that the merge draws from one chunk a service; `absent` opens no block, so that planning and
//! pruning are all that is left.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use divan::Bencher;
use divan::counter::ItemsCount;
use loglake_auth::Authenticator;
use loglake_auth::internal::InternalKey;
use loglake_auth::keys::ClusterSecret;
use loglake_broker::MemoryBroker;
use loglake_chunk::{ChunkBuilder, ChunkHead, Source, encode_block};
use loglake_index::{ChunkIndex as _, EmbeddedIndex, Snapshot, Watermark};
use loglake_model::{ManualClock, Readiness, RecordId, Service, TenantName, Window, line};
use loglake_query::{Config, Parts, QueryService, Surroundings};
use loglake_store::{MemoryStore, ObjectStore as _};
use tower::ServiceExt as _;

const NOW_NS: i64 = 1_767_225_600_000_000_000;
const INCARNATION: u32 = 1;
const SERVICES: usize = 8;
const LINES: u32 = 200;
const CHUNKS: [usize; 2] = [64, 1_024];

fn main() {
    divan::main();
}

/// A router over `chunks` chunks, an hour of one of [`SERVICES`] services each.
async fn router(folder: &std::path::Path, chunks: usize) -> axum::Router {
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let store = Arc::new(MemoryStore::new());
    let index = EmbeddedIndex::open(folder, "bench", INCARNATION, clock.clone()).expect("an index in a new folder");
    let tenant = TenantName::parse("default").expect("a name");
    let mut live = Vec::new();
    for at in 0..chunks {
        let service = Service::parse(&format!("service-{}", at % SERVICES)).expect("a name");
        let start_ns = NOW_NS - (at / SERVICES + 1) as i64 * Window::HOUR_NS;
        let window = Window::holding(start_ns, Window::HOUR_NS);
        let mut lines = Vec::new();
        for index in 0..LINES {
            let id = RecordId { incarnation: INCARNATION, partition: 0, offset: at as u64, index };
            let mut text = Vec::new();
            line::begin(&mut text, start_ns + i64::from(index) * 1_000_000_000, None, service.as_str());
            line::text_field(&mut text, "message", &format!("request {index} of {at} served"));
            text.push(b'}');
            line::append_with_id(&mut lines, &text, id);
            lines.push(b'\n');
        }
        let head = ChunkHead { tenant: tenant.clone(), service: service.clone(), window };
        let offset = at as u64;
        let source =
            Source::Log { incarnation: INCARNATION, partition: 0, lowest_offset: offset, highest_offset: offset };
        let mut builder = ChunkBuilder::new(head.clone(), source);
        builder.push(encode_block(&lines, window).expect("sorted lines"));
        let chunk = builder.finish().expect("a chunk");
        let key = loglake_commit::chunk_key(&tenant, &service, window, INCARNATION, 0, 1, &format!("n{at}"));
        store.put(&key, chunk.bytes.clone()).await.expect("memory takes it");
        live.push(chunk.meta(key, &head, offset, offset));
    }
    let token = index.begin_rebuild(0).await.expect("a new index");
    let snapshot = Snapshot { watermark: Watermark { seq: 1, next: 0 }, live, sessions: Vec::new(), gaps: Vec::new() };
    index.rebuild(0, &token, &snapshot).await.expect("a new index");
    let readiness = Readiness::default();
    let parts = Parts {
        reader: MemoryBroker::new("topic", 1, clock.clone()),
        store,
        index: Arc::new(index),
        incarnation: INCARNATION,
        clock,
        auth: Arc::new(Authenticator::open()),
        limits: loglake_auth::limits::TenantLimits::none(),
        internal: InternalKey::new(&ClusterSecret::from_bytes(&[7; 32]).expect("a long secret")),
        cursor_key: [9; 32],
        registry: prometheus::Registry::new(),
        ready: readiness.role("query"),
        readiness,
    };
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        timeout: Duration::from_secs(20),
        page_bytes: 16 << 20,
        concurrent: 8,
        plan_bytes: 256 << 20,
        look_ahead_bytes: 8 << 20,
        footer_cache_bytes: 64 << 20,
        cache_memory_bytes: 0,
        cache_dir: None,
        cache_disk_bytes: 0,
        metric_tenants: 0,
        cluster: "bench".to_owned(),
    };
    QueryService::within(config, parts, Surroundings::default()).await.expect("all parts answer")
}

fn ask(bencher: Bencher<'_, '_>, chunks: usize, query: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let router = runtime.block_on(router(folder.path(), chunks));
    let page = || async {
        let request = Request::post("/v1/query").header("content-type", "application/json").body(Body::from(query));
        let answer = router.clone().oneshot(request.expect("a request")).await.expect("it cannot fail");
        assert_eq!(answer.status(), StatusCode::OK);
        axum::body::to_bytes(answer.into_body(), 32 << 20).await.expect("an answer").len()
    };
    // Footers are cached from here on.
    runtime.block_on(page());
    bencher.counter(ItemsCount::new(chunks)).bench(|| runtime.block_on(page()));
}

#[divan::bench(args = CHUNKS)]
fn newest(bencher: Bencher<'_, '_>, chunks: usize) {
    ask(bencher, chunks, r#"{"limit":100}"#);
}

#[divan::bench(args = CHUNKS)]
fn absent(bencher: Bencher<'_, '_>, chunks: usize) {
    ask(bencher, chunks, r#"{"contains":"qzxwvkjqzx","limit":100}"#);
}
