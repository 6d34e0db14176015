//! What every chunk index must do. Panics with the claim that does not hold.
//!
//! [`all`] runs everything that needs nothing but the index; [`survives_loss`] also needs a way to lose all of it. Each
//! test takes partitions and lease names of its own, so that one empty index serves all.

#![expect(clippy::unwrap_used, reason = "a test suite: a failure is a panic")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use loglake_model::{ChunkMeta, Level, Service, TenantId, TenantName, TimeRange, Window};

use crate::{Apply, Change, ChunkIndex, ChunkQuery, PartitionChunks, SessionChange, Snapshot, Watermark};

const HOUR_NS: i64 = Window::HOUR_NS;
/// Somewhere in 2023, at the start of an hour.
const T0: i64 = 1_700_000_000_000_000_000 / HOUR_NS * HOUR_NS;

/// Runs all tests over an empty index.
///
/// # Panics
/// When the index breaks a promise.
pub async fn all(index: Arc<dyn ChunkIndex>) {
    nothing_is_applied_on_top_of_nothing(&*index, 100).await;
    entries_apply_in_order(&*index, 101).await;
    adds_and_removes_show_together(&*index, 102).await;
    what_the_chain_removes_must_be_there(&*index, 103).await;
    ranges_are_by_the_records_in_a_chunk(&*index, 104).await;
    tenants_and_services_are_walls(&*index, 105).await;
    answers_come_in_the_order_asked(&*index, 106).await;
    rebuilds_go_only_forwards(&*index, 110).await;
    rebuilders_may_race(Arc::clone(&index), 111).await;
    writers_may_race(Arc::clone(&index), 112).await;
    readers_see_whole_entries(Arc::clone(&index), 113).await;
    sessions_are_kept(&*index, 114).await;
    contradictory_chunks_are_refused(&*index, 115).await;
    many_chunks_are_kept(&*index, 116).await;
    leases_have_one_holder(&*index).await;
    leases_end(&*index).await;
}

/// A tenant as a credential gives it.
fn tenant(name: &str) -> TenantId {
    #[allow(clippy::disallowed_methods, reason = "test")]
    TenantId::from_credential(TenantName::parse(name).unwrap())
}

fn service(name: &str) -> Service {
    Service::parse(name).unwrap()
}

/// A chunk of `tenant` and the service `name` in the hour of `min_ns`; `nonce` makes its key.
///
/// # Panics
/// When a name is none.
#[must_use]
pub fn chunk(tenant: &str, name: &str, min_ns: i64, max_ns: i64, nonce: &str) -> ChunkMeta {
    chunk_in(tenant, name, Window::holding(min_ns, HOUR_NS), min_ns, max_ns, nonce)
}

fn chunk_in(tenant: &str, name: &str, window: Window, min_ns: i64, max_ns: i64, nonce: &str) -> ChunkMeta {
    let (tenant, service) = (TenantName::parse(tenant).unwrap(), service(name));
    let mut levels = [0; Level::COUNTED];
    levels[1] = 7;
    ChunkMeta {
        key: format!("{}/{nonce}.ndjson.gz", window.folder(&tenant, &service)),
        length: 1000,
        footer_offset: 900,
        checksum: 0xdead_beef,
        tenant,
        service,
        window,
        min_ns,
        max_ns,
        records: 7,
        bytes: 5000,
        levels,
        lowest_offset: 3,
        highest_offset: u64::MAX,
    }
}

fn change(seq: u64, next: u64, adds: &[ChunkMeta], removes: &[ChunkMeta]) -> Change {
    Change { seq, next, adds: adds.to_vec(), removes: removes.to_vec(), sessions: Vec::new() }
}

/// Makes `partition` an index of an empty chain.
async fn begin(index: &dyn ChunkIndex, partition: u32) {
    assert!(rebuild(index, partition, 0, &[]).await, "an empty index takes the empty chain");
}

async fn rebuild(index: &dyn ChunkIndex, partition: u32, seq: u64, live: &[ChunkMeta]) -> bool {
    let token = index.begin_rebuild(partition).await.unwrap();
    index.rebuild(partition, &token, &snapshot(seq, live)).await.unwrap()
}

fn snapshot(seq: u64, live: &[ChunkMeta]) -> Snapshot {
    Snapshot { watermark: Watermark { seq, next: seq * 10 }, live: live.to_vec(), sessions: Vec::new() }
}

async fn apply(index: &dyn ChunkIndex, partition: u32, change: Change) {
    assert_eq!(index.apply(partition, &change).await.unwrap(), Apply::Applied, "{change:?}");
}

async fn ask(
    index: &dyn ChunkIndex,
    partition: u32,
    name: &str,
    services: Option<&[&str]>,
    range: TimeRange,
) -> PartitionChunks {
    let services: Option<Vec<Service>> = services.map(|names| names.iter().map(|name| service(name)).collect());
    let query = ChunkQuery { services: services.as_deref(), range, partitions: &[partition] };
    let mut answer = index.chunks(&tenant(name), &query).await.unwrap();
    assert_eq!(answer.len(), 1);
    answer.remove(0)
}

/// All chunks of a tenant in a partition, by key.
async fn live(index: &dyn ChunkIndex, partition: u32, name: &str) -> Vec<ChunkMeta> {
    sorted(ask(index, partition, name, None, TimeRange::ALL).await.chunks)
}

fn sorted(mut chunks: Vec<ChunkMeta>) -> Vec<ChunkMeta> {
    chunks.sort_by(|a, b| a.key.cmp(&b.key));
    chunks
}

/// No watermark: nothing to read, nothing to build on.
///
/// # Panics
/// When the index breaks a promise.
pub async fn nothing_is_applied_on_top_of_nothing(index: &dyn ChunkIndex, partition: u32) {
    for seq in [0, 1, 2] {
        let outcome = index.apply(partition, &change(seq, 10, &[chunk("t", "s", T0, T0, "a")], &[])).await.unwrap();
        assert_eq!(outcome, Apply::Refused(None));
    }
    assert_eq!(index.watermark(partition).await.unwrap(), None);
    assert_eq!(index.sessions(partition).await.unwrap(), None);
    let answer = ask(index, partition, "t", None, TimeRange::ALL).await;
    assert_eq!(answer, PartitionChunks { partition, watermark: None, chunks: Vec::new() });
}

/// Only the successor of the watermark is applied, once.
///
/// # Panics
/// When the index breaks a promise.
pub async fn entries_apply_in_order(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let empty = Watermark { seq: 0, next: 0 };
    assert_eq!(index.watermark(partition).await.unwrap(), Some(empty));
    for seq in [0, 2, 3, u64::MAX] {
        let outcome = index.apply(partition, &change(seq, 10, &[chunk("t", "s", T0, T0, "no")], &[])).await.unwrap();
        assert_eq!(outcome, Apply::Refused(Some(empty)), "entry {seq}");
    }
    // Past what a double holds exactly: offsets are whole numbers of 64 bits.
    let next = (1 << 60) + 1;
    apply(index, partition, change(1, next, &[chunk("t", "s", T0, T0, "a")], &[])).await;
    let first = Watermark { seq: 1, next };
    for seq in [0, 1, 3] {
        let outcome = index.apply(partition, &change(seq, 20, &[chunk("t", "s", T0, T0, "no")], &[])).await.unwrap();
        assert_eq!(outcome, Apply::Refused(Some(first)), "entry {seq}");
    }
    for seq in 2..=12 {
        apply(index, partition, change(seq, next + seq, &[], &[])).await;
    }
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 12, next: next + 12 }));
    assert_eq!(live(index, partition, "t").await, [chunk("t", "s", T0, T0, "a")]);
}

/// A job's entry puts new chunks in the place of old ones in one step.
///
/// # Panics
/// When the index breaks a promise.
pub async fn adds_and_removes_show_together(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let (a, b, other) =
        (chunk("t", "s", T0, T0 + 5, "a"), chunk("t", "s", T0 + 6, T0 + 9, "b"), chunk("t", "other", T0, T0, "o"));
    let joined = chunk("t", "s", T0, T0 + 9, "joined");
    apply(index, partition, change(1, 10, &[a.clone(), other.clone()], &[])).await;
    apply(index, partition, change(2, 20, std::slice::from_ref(&b), &[])).await;
    assert_eq!(live(index, partition, "t").await, sorted(vec![a.clone(), b.clone(), other.clone()]));
    apply(index, partition, change(3, 20, std::slice::from_ref(&joined), &[a, b])).await;
    let answer = ask(index, partition, "t", None, TimeRange::ALL).await;
    assert_eq!(answer.watermark, Some(Watermark { seq: 3, next: 20 }));
    assert_eq!(sorted(answer.chunks), sorted(vec![joined, other]));
}

/// An index that lacks what the chain removes is wrong: it says that it is lost, and takes a rebuild.
///
/// # Panics
/// When the index breaks a promise.
pub async fn what_the_chain_removes_must_be_there(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let (a, b) = (chunk("t", "s", T0, T0, "a"), chunk("t", "s", T0, T0, "b"));
    apply(index, partition, change(1, 10, std::slice::from_ref(&a), &[])).await;
    let outcome = index.apply(partition, &change(2, 10, &[], &[a.clone(), b.clone()])).await.unwrap();
    assert_eq!(outcome, Apply::Refused(None));
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.watermark, None);
    assert!(rebuild(index, partition, 2, std::slice::from_ref(&b)).await);
    assert_eq!(live(index, partition, "t").await, [b]);
}

/// What a chunk's records span decides, not its window; windows of several lengths live side by side.
///
/// # Panics
/// When the index breaks a promise.
pub async fn ranges_are_by_the_records_in_a_chunk(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let day_ns = 24 * HOUR_NS;
    let day = Window::holding(T0, day_ns);
    let minute = Window::holding(T0, HOUR_NS / 60);
    let last_ns = i64::MAX - 1;
    let chunks = [
        chunk("t", "s", T0 + 100, T0 + 200, "hour"),
        chunk("t", "s", T0 + HOUR_NS, T0 + HOUR_NS + 1, "next"),
        chunk_in("t", "s", minute, T0 + 150, T0 + 151, "minute"),
        chunk_in("t", "s", day, day.start_ns, day.start_ns + day_ns - 1, "day"),
        chunk("t", "s", 0, 0, "epoch"),
        chunk("t", "s", last_ns, last_ns, "end"),
    ];
    // The long window comes last: an index may not have planned for it.
    for (at, chunk) in (1..).zip([&chunks[0], &chunks[1], &chunks[2], &chunks[4], &chunks[5], &chunks[3]]) {
        apply(index, partition, change(at, at, std::slice::from_ref(chunk), &[])).await;
    }
    let edges = [
        i64::MIN,
        -1,
        0,
        1,
        day.start_ns - 1,
        day.start_ns,
        day.start_ns + 1,
        T0,
        T0 + 99,
        T0 + 100,
        T0 + 101,
        T0 + 150,
        T0 + 151,
        T0 + 152,
        T0 + 200,
        T0 + 201,
        T0 + HOUR_NS,
        T0 + HOUR_NS + 2,
        day.end_ns() - 1,
        day.end_ns(),
        last_ns,
        i64::MAX,
    ];
    for (start, end) in edges.iter().flat_map(|start| edges.iter().map(move |end| (*start, *end))) {
        let Some(range) = TimeRange::new(start, end) else { continue };
        let expected: Vec<ChunkMeta> = chunks.iter().filter(|chunk| chunk.overlaps(range)).cloned().collect();
        for services in [None, Some(&["s"][..])] {
            let found = ask(index, partition, "t", services, range).await.chunks;
            assert_eq!(sorted(found), sorted(expected.clone()), "{range:?} {services:?}");
        }
    }
}

/// Names that begin with each other, that hold marks of keys and patterns, and that two tenants share.
///
/// # Panics
/// When the index breaks a promise.
pub async fn tenants_and_services_are_walls(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let tenants = ["t", "t1", "t-1", "t_", "T", "1"];
    let services = [
        "s", "s1", "s:1", "s/1", "s 1", "*", "s*", "[s]", "s|t", "t", "}", "{s}", "..", "%01", "ü", "\u{2028}", "\"",
        "\\",
    ];
    let mut all = Vec::new();
    for name in tenants {
        for service in services {
            all.push(chunk(name, service, T0, T0 + 10, "x"));
        }
    }
    apply(index, partition, change(1, 10, &all, &[])).await;
    for name in tenants {
        let own: Vec<ChunkMeta> = all.iter().filter(|chunk| chunk.tenant.as_str() == name).cloned().collect();
        assert_eq!(live(index, partition, name).await, sorted(own.clone()), "all of {name}");
        for service in services {
            let found = ask(index, partition, name, Some(&[service]), TimeRange::ALL).await.chunks;
            assert_eq!(found, [chunk(name, service, T0, T0 + 10, "x")], "{service} of {name}");
        }
        let found = ask(index, partition, name, Some(&["s", "t", "none", "s"]), TimeRange::ALL).await.chunks;
        assert_eq!(sorted(found), sorted(vec![chunk(name, "s", T0, T0 + 10, "x"), chunk(name, "t", T0, T0 + 10, "x")]));
        assert!(ask(index, partition, name, Some(&[]), TimeRange::ALL).await.chunks.is_empty());
        assert!(ask(index, partition, name, Some(&["", "s2"][1..]), TimeRange::ALL).await.chunks.is_empty());
    }
    assert!(live(index, partition, "other").await.is_empty());
}

/// Several partitions, one of them lost, one asked for twice.
///
/// # Panics
/// When the index breaks a promise.
pub async fn answers_come_in_the_order_asked(index: &dyn ChunkIndex, first: u32) {
    let (second, lost) = (first + 1, first + 2);
    begin(index, first).await;
    begin(index, second).await;
    apply(index, first, change(1, 11, &[chunk("t", "s", T0, T0, "first")], &[])).await;
    apply(index, second, change(1, 12, &[chunk("t", "s", T0, T0, "second")], &[])).await;
    let partitions = [second, lost, first, second];
    let query = ChunkQuery { services: None, range: TimeRange::ALL, partitions: &partitions };
    let answers = index.chunks(&tenant("t"), &query).await.unwrap();
    let nexts: Vec<Option<u64>> = answers.iter().map(|answer| answer.watermark.map(|mark| mark.next)).collect();
    assert_eq!(nexts, [Some(12), None, Some(11), Some(12)]);
    assert_eq!(answers.iter().map(|answer| answer.partition).collect::<Vec<_>>(), partitions);
    assert_eq!(answers.iter().map(|answer| answer.chunks.len()).collect::<Vec<_>>(), [1, 0, 1, 1]);
    let query = ChunkQuery { partitions: &[], ..query };
    assert!(index.chunks(&tenant("t"), &query).await.unwrap().is_empty());
}

/// A rebuild replaces everything, needs its token, and never goes back.
///
/// # Panics
/// When the index breaks a promise.
pub async fn rebuilds_go_only_forwards(index: &dyn ChunkIndex, partition: u32) {
    let (old, new) = (chunk("t", "old", T0, T0, "old"), chunk("t", "new", T0, T0, "new"));
    let made_up = crate::RebuildToken("00000000000000000000000000000000".to_owned());
    assert!(!index.rebuild(partition, &made_up, &snapshot(5, &[])).await.unwrap(), "a token that was never set");
    assert!(rebuild(index, partition, 5, std::slice::from_ref(&old)).await);
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 5, next: 50 }));
    assert!(!index.rebuild(partition, &made_up, &snapshot(9, &[])).await.unwrap());

    let token = index.begin_rebuild(partition).await.unwrap();
    assert!(!index.rebuild(partition, &token, &snapshot(5, &[])).await.unwrap(), "not to where it is");
    assert!(!index.rebuild(partition, &token, &snapshot(4, &[])).await.unwrap(), "not back");
    // Entries applied meanwhile count.
    apply(index, partition, change(6, 60, &[], &[])).await;
    assert!(!index.rebuild(partition, &token, &snapshot(6, &[])).await.unwrap());
    assert_eq!(live(index, partition, "t").await, [old]);
    assert!(index.rebuild(partition, &token, &snapshot(100, std::slice::from_ref(&new))).await.unwrap());
    assert_eq!(live(index, partition, "t").await, [new], "what was there before is gone");
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 100, next: 1000 }));
    assert!(!index.rebuild(partition, &token, &snapshot(200, &[])).await.unwrap(), "a token is good for one rebuild");
    apply(index, partition, change(101, 1010, &[], &[])).await;
}

/// Many rebuild at once: the index ends at one of their views, with exactly its chunks.
///
/// # Panics
/// When the index breaks a promise.
pub async fn rebuilders_may_race(index: Arc<dyn ChunkIndex>, partition: u32) {
    let view = |seq: u64| -> Vec<ChunkMeta> {
        (0..20).map(|n| chunk("t", "s", T0 + n, T0 + n, &format!("{seq}-{n}"))).collect()
    };
    let tasks = (1..=8_u64).map(|seq| {
        let index = Arc::clone(&index);
        tokio::spawn(async move { rebuild(&*index, partition, seq, &view(seq)).await })
    });
    let done = join_all(tasks).await.into_iter().filter(|outcome| *outcome.as_ref().unwrap()).count();
    assert!(done >= 1, "somebody succeeds");
    let answer = ask(&*index, partition, "t", None, TimeRange::ALL).await;
    let seq = answer.watermark.unwrap().seq;
    assert_eq!(sorted(answer.chunks), sorted(view(seq)));
}

/// Several apply the same entries: each is applied once.
///
/// # Panics
/// When the index breaks a promise.
pub async fn writers_may_race(index: Arc<dyn ChunkIndex>, partition: u32) {
    begin(&*index, partition).await;
    let entries = 40_u64;
    let tasks = (0..4).map(|_| {
        let index = Arc::clone(&index);
        tokio::spawn(async move {
            let mut applied = 0;
            for seq in 1..=entries {
                let change = change(seq, seq, &[chunk("t", "s", T0, T0, &format!("{seq:03}"))], &[]);
                loop {
                    match index.apply(partition, &change).await.unwrap() {
                        Apply::Applied => applied += 1,
                        Apply::Refused(Some(mark)) if mark.seq >= seq => {}
                        Apply::Refused(Some(_)) => continue,
                        Apply::Refused(None) => panic!("the watermark went away"),
                    }
                    break;
                }
            }
            applied
        })
    });
    let applied: u64 = join_all(tasks).await.into_iter().map(|count| count.unwrap()).sum();
    assert_eq!(applied, entries);
    assert_eq!(live(&*index, partition, "t").await.len() as u64, entries);
}

/// Entry n has n chunks in it and takes the predecessor's out: no reader sees any other number.
///
/// # Panics
/// When the index breaks a promise.
pub async fn readers_see_whole_entries(index: Arc<dyn ChunkIndex>, partition: u32) {
    begin(&*index, partition).await;
    let of = |seq: u64| -> Vec<ChunkMeta> {
        (0..seq).map(|n| chunk("t", &format!("s{n}"), T0, T0, &format!("{seq}"))).collect()
    };
    let writer = {
        let index = Arc::clone(&index);
        tokio::spawn(async move {
            for seq in 1..=30 {
                apply(&*index, partition, change(seq, seq, &of(seq), &of(seq - 1))).await;
            }
        })
    };
    let mut seen = 0;
    while seen < 30 {
        let answer = ask(&*index, partition, "t", None, TimeRange::ALL).await;
        let seq = answer.watermark.unwrap().seq;
        assert!(seq >= seen, "the watermark went back from {seen} to {seq}");
        assert_eq!(sorted(answer.chunks), sorted(of(seq)));
        seen = seq;
    }
    writer.await.unwrap();
}

/// States of sessions come, change and go with their entries, and by a rebuild.
///
/// # Panics
/// When the index breaks a promise.
pub async fn sessions_are_kept(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let set = |session: &str, state: &str| SessionChange { session: session.to_owned(), state: Some(state.to_owned()) };
    let drop = |session: &str| SessionChange { session: session.to_owned(), state: None };
    let with = |seq: u64, sessions: Vec<SessionChange>| Change { sessions, ..change(seq, seq * 10, &[], &[]) };
    let read = async || {
        let (mark, mut sessions) = index.sessions(partition).await.unwrap().unwrap();
        sessions.sort_by(|a, b| a.session.cmp(&b.session));
        (mark.seq, sessions)
    };
    assert_eq!(read().await, (0, vec![]));
    apply(index, partition, with(1, vec![set("aa", r#"{"low":1}"#), set("bb", "ü\n")])).await;
    assert_eq!(read().await, (1, vec![set("aa", r#"{"low":1}"#), set("bb", "ü\n")]));
    apply(index, partition, with(2, vec![set("aa", "2"), drop("bb"), drop("never"), set("cc", "")])).await;
    assert_eq!(read().await, (2, vec![set("aa", "2"), set("cc", "")]));
    let token = index.begin_rebuild(partition).await.unwrap();
    let snapshot = Snapshot { sessions: vec![set("dd", "4")], ..snapshot(9, &[]) };
    assert!(index.rebuild(partition, &token, &snapshot).await.unwrap());
    assert_eq!(read().await, (9, vec![set("dd", "4")]));
}

/// A chunk that no query by time would find is an error, and leaves nothing.
///
/// # Panics
/// When the index breaks a promise.
pub async fn contradictory_chunks_are_refused(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let good = chunk("t", "s", T0, T0 + 5, "good");
    let bad = ChunkMeta { max_ns: T0 + 2 * HOUR_NS, ..chunk("t", "s", T0, T0 + 5, "bad") };
    let error = index.apply(partition, &change(1, 10, &[good, bad.clone()], &[])).await.unwrap_err();
    assert_eq!(error.kind(), loglake_model::ErrorKind::Corrupt, "{error}");
    let token = index.begin_rebuild(partition).await.unwrap();
    assert!(index.rebuild(partition, &token, &snapshot(3, &[bad])).await.is_err());
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 0, next: 0 }));
    assert!(live(index, partition, "t").await.is_empty());
}

/// An entry and a snapshot of thousands of chunks.
///
/// # Panics
/// When the index breaks a promise.
pub async fn many_chunks_are_kept(index: &dyn ChunkIndex, partition: u32) {
    let hours = 300;
    let all: Vec<ChunkMeta> = (0..hours)
        .flat_map(|hour| {
            let at = T0 + hour * HOUR_NS;
            (0..10).map(move |n| {
                chunk(if n < 9 { "t" } else { "u" }, &format!("s{n}"), at, at + 9, &format!("{hour}-{n}"))
            })
        })
        .collect();
    let of = |name: &str| sorted(all.iter().filter(|chunk| chunk.tenant.as_str() == name).cloned().collect());
    assert!(rebuild(index, partition, 1, &all).await);
    assert_eq!(live(index, partition, "t").await, of("t"));
    assert_eq!(live(index, partition, "u").await, of("u"));
    let range = TimeRange::new(T0 + 5 * HOUR_NS + 3, T0 + 7 * HOUR_NS).unwrap();
    assert_eq!(ask(index, partition, "t", None, range).await.chunks.len(), 2 * 9);
    assert_eq!(ask(index, partition, "t", Some(&["s3"]), range).await.chunks.len(), 2);
    apply(index, partition, change(2, 20, &[], &all[1..])).await;
    assert_eq!(live(index, partition, "t").await, [all[0].clone()]);
    apply(index, partition, change(3, 30, &all[1..], &all[..1])).await;
    assert_eq!(live(index, partition, "u").await, of("u"));
}

/// One holder at a time; renewals keep the generation, new holders raise it; release is the holder's.
///
/// # Panics
/// When the index breaks a promise.
pub async fn leases_have_one_holder(index: &dyn ChunkIndex) {
    let ttl = Duration::from_secs(60);
    let name = "conformance:{one}:*";
    let read = async || index.leases(&[name.to_owned()]).await.unwrap().remove(0);
    assert_eq!(read().await, None);
    let first = index.acquire(name, "a", "http://a", ttl).await.unwrap();
    assert_eq!((first.holder.as_str(), first.value.as_str()), ("a", "http://a"));
    assert_eq!(index.acquire(name, "b", "http://b", ttl).await.unwrap(), first, "it is taken");
    let renewed = index.acquire(name, "a", "http://a2", ttl).await.unwrap();
    assert_eq!((renewed.generation, renewed.value.as_str()), (first.generation, "http://a2"));
    assert_eq!(read().await, Some(renewed.clone()));

    index.release(name, "b").await.unwrap();
    assert_eq!(read().await, Some(renewed.clone()), "it is not b's to give back");
    let seized = index.seize(name, "b", "http://b", ttl).await.unwrap();
    assert_eq!((seized.holder.as_str(), seized.value.as_str()), ("b", "http://b"));
    assert!(seized.generation > renewed.generation);
    assert_eq!(index.seize(name, "b", "http://b", ttl).await.unwrap(), seized, "its own again");
    assert_eq!(index.acquire(name, "a", "", ttl).await.unwrap(), seized);

    index.release(name, "b").await.unwrap();
    assert_eq!(read().await, None);
    index.release(name, "b").await.unwrap();
    let third = index.acquire(name, "a", "", ttl).await.unwrap();
    assert!(third.holder == "a" && third.generation > seized.generation);

    let names: Vec<String> = ["conformance:none", name, "conformance:{one}", name].map(str::to_owned).to_vec();
    assert_eq!(index.leases(&names).await.unwrap(), [None, Some(third.clone()), None, Some(third)]);
    assert!(index.leases(&[]).await.unwrap().is_empty());
}

/// A lease that is not renewed ends; one that is does not.
///
/// # Panics
/// When the index breaks a promise.
pub async fn leases_end(index: &dyn ChunkIndex) {
    let ttl = Duration::from_millis(600);
    let (kept, left) = ("conformance:kept", "conformance:left");
    let first = index.acquire(kept, "a", "", ttl).await.unwrap();
    let lost = index.acquire(left, "a", "", ttl).await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(ttl / 4).await;
        assert_eq!(index.acquire(kept, "a", "", ttl).await.unwrap().generation, first.generation);
    }
    assert_eq!(index.acquire(kept, "b", "", ttl).await.unwrap().holder, "a");
    assert_eq!(index.leases(&[left.to_owned()]).await.unwrap(), [None]);
    let taken = index.acquire(left, "b", "", ttl).await.unwrap();
    assert!(taken.holder == "b" && taken.generation > lost.generation);
}

/// Losing everything at any moment leads to no watermark and a rebuild, never to a wrong answer. `lose` empties the index.
///
/// # Panics
/// When the index breaks a promise.
pub async fn survives_loss(index: &dyn ChunkIndex, partition: u32, lose: impl AsyncFn()) {
    let (a, b) = (chunk("t", "s", T0, T0, "a"), chunk("t", "s", T0, T0, "b"));
    assert!(rebuild(index, partition, 1, std::slice::from_ref(&a)).await);
    let lease = index.acquire("conformance:lost", "a", "", Duration::from_secs(60)).await.unwrap();
    lose().await;
    assert_eq!(index.watermark(partition).await.unwrap(), None);
    assert_eq!(index.sessions(partition).await.unwrap(), None);
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.watermark, None);
    // The successor of what it had: it knows nothing of it any more.
    assert_eq!(index.apply(partition, &change(2, 20, &[], &[a])).await.unwrap(), Apply::Refused(None));

    // Lost between the token and the view: what was read may be older than what others have seen since.
    let token = index.begin_rebuild(partition).await.unwrap();
    lose().await;
    assert!(!index.rebuild(partition, &token, &snapshot(2, &[])).await.unwrap());
    assert_eq!(index.watermark(partition).await.unwrap(), None);
    // Also when someone else has begun anew meanwhile, and when they are done.
    assert_ne!(index.begin_rebuild(partition).await.unwrap(), token);
    assert!(!index.rebuild(partition, &token, &snapshot(2, &[])).await.unwrap());
    assert!(rebuild(index, partition, 3, std::slice::from_ref(&b)).await);
    assert!(!index.rebuild(partition, &token, &snapshot(9, &[])).await.unwrap());
    assert_eq!(live(index, partition, "t").await, [b]);

    let again = index.acquire("conformance:lost", "b", "", Duration::from_secs(60)).await.unwrap();
    assert!(again.holder == "b" && again.generation > lease.generation, "generations grow over a loss");
}
