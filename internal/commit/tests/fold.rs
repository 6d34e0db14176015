//! Folding, sweeping and reading at the same time: what was read is always what the chain was.
#![allow(clippy::unwrap_used, missing_docs, reason = "test")]

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loglake_commit::{
    Chain, ChainState, Claim, ENTRY_VERSION, Entry, FOLD_SLACK, Fold, Gap, Named, QuarantineRef, TARGET_SLACK, apply,
    catch_up, chunk_key, chunk_origin,
};
use loglake_index::{ChunkIndex, EmbeddedIndex, SessionChange, Watermark};
use loglake_model::{ChunkMeta, ManualClock, Service, TenantName, Window};
use loglake_store::{Create, Error, Listing, MemoryStore, ObjectStore, list_all};
use parking_lot::Mutex;

const DAY_NS: i64 = 24 * Window::HOUR_NS;
const GRACE: Duration = Duration::from_secs(60);

/// A chunk of `day` that aims at `target`.
fn chunk(day: i64, target: u64, nonce: &str) -> ChunkMeta {
    let (tenant, service) = (TenantName::parse("t").unwrap(), Service::parse("s").unwrap());
    let window = Window::holding(1_772_323_200_000_000_000 + day * DAY_NS, Window::HOUR_NS);
    ChunkMeta {
        key: chunk_key(&tenant, &service, window, 0, 0, target, nonce),
        length: 100,
        footer_offset: 50,
        checksum: 7,
        tenant,
        service,
        window,
        min_ns: window.start_ns,
        max_ns: window.start_ns + 1,
        records: 10,
        bytes: 300,
        levels: [10, 0, 0, 0, 0, 0, 0],
        lowest_offset: target * 10,
        highest_offset: target * 10 + 9,
    }
}

fn entry(seq: u64, adds: Vec<ChunkMeta>) -> Entry {
    Entry {
        version: ENTRY_VERSION,
        seq,
        start: (seq - 1) * 10,
        next: seq * 10,
        adds,
        removes: Vec::new(),
        nonce: format!("n{seq}"),
        writer: "test".to_owned(),
        leader_epoch: Some(1),
        sessions: Vec::new(),
        quarantine: None,
        gap: None,
        previous_hash: String::new(),
    }
}

fn fold(nonce: &str) -> Fold<'_> {
    Fold { nonce, applied: None, now_ns: 0, removed_grace: GRACE }
}

async fn win(chain: &Chain, entry: &Entry) {
    assert!(matches!(chain.claim(entry).await.unwrap(), Claim::Won(_)), "entry {}", entry.seq);
}

/// Claims entries `range`, one chunk each, spread over three days.
async fn extend(chain: &Chain, range: std::ops::RangeInclusive<u64>) {
    for seq in range {
        win(chain, &entry(seq, vec![chunk(seq.cast_signed() % 3, seq, &format!("c{seq}"))])).await;
    }
}

/// All of a state that does not depend on where the reading began.
fn content(state: &ChainState) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        state.tail.clone(),
        state.live.clone(),
        state.sessions.clone(),
        state.removed.keys().cloned().collect::<Vec<_>>(),
        state.gaps.clone(),
        state.quarantine.clone(),
    )
}

fn chain_on(store: &Arc<dyn ObjectStore>) -> Chain {
    Chain::new(Arc::clone(store), "default", 0, 0)
}

async fn names(store: &dyn ObjectStore, part: &str) -> Vec<String> {
    let keys = list_all(store, "commits/default/0/00000/").await.unwrap().into_iter().map(|object| object.key);
    keys.filter(|key| key.contains(part)).collect()
}

#[tokio::test]
async fn a_folded_chain_reads_as_its_entries_did() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = chain_on(&store);
    let plain: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let unfolded = chain_on(&plain);
    for seq in 1..=40_u64 {
        let mut next = entry(seq, vec![chunk(seq.cast_signed() % 5, seq, "a"), chunk(0, seq, "b")]);
        if seq % 4 == 0 {
            next.removes = vec![chunk(0, seq - 2, "b")];
        }
        let state = (seq % 3 != 0).then(|| format!("{{\"at\":{seq}}}"));
        next.sessions = vec![SessionChange { session: format!("{}", seq % 7), state }];
        if seq % 10 == 5 {
            next.gap = Some(Gap { from: next.start, to: next.next, at_ns: 5, reason: "lost".to_owned() });
            let offsets = vec![next.start, next.start + 1];
            next.quarantine = Some(QuarantineRef { key: format!("q{seq}"), length: 3, checksum: 4, offsets });
        }
        win(&chain, &next).await;
        win(&unfolded, &next).await;
        if seq % 7 == 0 {
            let folded = chain.fold(&fold(&format!("f{seq}"))).await.unwrap().unwrap();
            assert_eq!(folded.seq, seq);
            assert_eq!(chain.fold(&fold("again")).await.unwrap(), None, "there is nothing new");
        }
        if seq % 14 == 0 {
            let swept = chain.sweep(u64::MAX).await.unwrap();
            assert_eq!((swept.checkpoint, swept.entries), (seq, 14));
            assert_eq!(chain.sweep(u64::MAX).await.unwrap().entries, 0);
        }
        let (read, expected) = (chain.read().await.unwrap(), unfolded.read().await.unwrap());
        assert_eq!(content(&read), content(&expected), "after entry {seq}");
        assert_eq!(read.checkpoint_seq(), seq / 7 * 7);
    }
    assert_eq!(names(store.as_ref(), "checkpoint-").await.len(), 5, "kept for folders with an old view");
}

#[tokio::test]
async fn days_that_do_not_change_are_not_written_again() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = chain_on(&store);
    extend(&chain, 1..=9).await;
    let first = chain.fold(&fold("a")).await.unwrap().unwrap();
    assert_eq!((first.segments, first.reused), (3, 0));
    win(&chain, &entry(10, vec![chunk(1, 10, "x")])).await;
    let second = chain.fold(&fold("b")).await.unwrap().unwrap();
    assert_eq!((second.segments, second.reused), (1, 2));
    let removes = vec![chunk(0, 3, "c3"), chunk(0, 6, "c6"), chunk(0, 9, "c9")];
    win(&chain, &Entry { removes, ..entry(11, Vec::new()) }).await;
    let third = chain.fold(&fold("c")).await.unwrap().unwrap();
    assert_eq!((third.segments, third.reused), (0, 2), "a day without chunks has no segment");
    assert_eq!(chain.read().await.unwrap().live.len(), 7);
    assert_eq!(chain.sweep(u64::MAX).await.unwrap().segments, 0, "checkpoints nearby name them still");

    // Far enough on, what only the old ones name goes.
    extend(&chain, 12..=11 + FOLD_SLACK + 1).await;
    let last = chain.fold(&fold("d")).await.unwrap().unwrap();
    assert_eq!(last.reused, 0, "nothing is used again of a checkpoint so far back");
    let before = content(&chain.read().await.unwrap());
    let swept = chain.sweep(u64::MAX).await.unwrap();
    assert_eq!((swept.checkpoints, swept.segments, swept.entries), (3, 4, 513));
    assert_eq!(content(&chain.read().await.unwrap()), before);
}

#[tokio::test]
async fn a_zombie_that_creates_a_folded_key_again_has_lost() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = chain_on(&store);
    extend(&chain, 1..=5).await;
    chain.fold(&fold("a")).await.unwrap().unwrap();
    chain.sweep(u64::MAX).await.unwrap();
    let before = content(&chain.read().await.unwrap());
    // The key is free, so the create succeeds; the checkpoint says that it means nothing.
    let zombie = Entry { nonce: "zombie".to_owned(), ..entry(3, vec![chunk(0, 3, "zombie")]) };
    assert_eq!(chain.claim(&zombie).await.unwrap(), Claim::Lost);
    assert_eq!(content(&chain.read().await.unwrap()), before);
    assert_eq!(chain.entries_after(2).await.unwrap(), None, "folded past it, whatever stands there");
    assert_eq!(chain.entries_after(5).await.unwrap(), Some(Vec::new()));
    assert_eq!(chain.sweep(u64::MAX).await.unwrap().entries, 1, "what it left goes");
    extend(&chain, 6..=6).await;
    assert_eq!(chain.read().await.unwrap().tail.seq, 6);
}

type Action = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does something once, right before a call whose name and key match.
struct Hooked {
    inner: Arc<MemoryStore>,
    hook: Mutex<Option<(String, Action)>>,
}

impl Hooked {
    async fn call(&self, call: String) {
        let action = {
            let mut hook = self.hook.lock();
            let is_due = hook.as_ref().is_some_and(|(at, _)| call.contains(at.as_str()));
            if is_due { hook.take() } else { None }
        };
        if let Some((_, action)) = action {
            action.await;
        }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Hooked {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        self.call(format!("put {key}")).await;
        self.inner.put(key, body).await
    }
    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        self.call(format!("create {key}")).await;
        self.inner.create(key, body).await
    }
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        self.call(format!("get {key}")).await;
        self.inner.get(key, max_bytes).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.inner.get_range(key, range).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        self.call(format!("list {prefix}")).await;
        self.inner.list(prefix, after).await
    }
    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.inner.delete(key).await
    }
}

/// A chain of ten entries, folded at 4, that is read while `action` happens at `at`: the whole truth must come back.
async fn torn(at: &str, action: impl FnOnce(Chain) -> Action) {
    let inner = Arc::new(MemoryStore::new());
    let store: Arc<dyn ObjectStore> = inner.clone();
    let chain = chain_on(&store);
    extend(&chain, 1..=4).await;
    chain.fold(&fold("first")).await.unwrap();
    extend(&chain, 5..=10).await;
    let hooked = Arc::new(Hooked { inner, hook: Mutex::new(Some((at.to_owned(), action(chain.clone())))) });
    let reader: Arc<dyn ObjectStore> = hooked.clone();
    let read = chain_on(&reader).read().await.unwrap();
    assert!(hooked.hook.lock().is_none(), "{at}: it happened");
    assert_eq!(content(&read), content(&chain.read().await.unwrap()), "{at}");
}

#[tokio::test]
async fn a_read_that_a_fold_tears_starts_again() {
    let fold_and_zombie = |chain: Chain| -> Action {
        Box::pin(async move {
            chain.fold(&fold("second")).await.unwrap();
            chain.sweep(u64::MAX).await.unwrap();
            // Its key is free now. The LIST that was made before still has the number.
            let zombie = Entry { nonce: "zombie".to_owned(), ..entry(7, vec![chunk(0, 7, "zombie")]) };
            assert_eq!(chain.claim(&zombie).await.unwrap(), Claim::Lost);
        })
    };
    for at in [
        "get commits/default/0/00000/checkpoint-00000000000000000004.json",
        "get commits/default/0/00000/segment-2026-03-01",
        "list commits/default/0/00000/",
        "get commits/default/0/00000/00000000000000000005.json",
        "get commits/default/0/00000/00000000000000000007.json",
        "get commits/default/0/00000/00000000000000000010.json",
    ] {
        torn(at, fold_and_zombie).await;
    }
    // All of it happens, then the chain goes on: the entries listed begin past the ones that were read.
    let and_on = |chain: Chain| -> Action {
        Box::pin(async move {
            chain.fold(&fold("second")).await.unwrap();
            chain.sweep(u64::MAX).await.unwrap();
            extend(&chain, 11..=13).await;
        })
    };
    torn("list commits/default/0/00000/", and_on).await;
    torn("get commits/default/0/00000/checkpoint-00000000000000000004.json", and_on).await;
}

#[tokio::test]
async fn a_folder_that_stalled_breaks_nothing() {
    // It has read the chain at 10, over checkpoint 4, and stalls right before its checkpoint is there. Others go on.
    for others in [11, 100, 4 + FOLD_SLACK, 4 + FOLD_SLACK + 1, 3 * FOLD_SLACK] {
        let inner = Arc::new(MemoryStore::new());
        let store: Arc<dyn ObjectStore> = inner.clone();
        let chain = chain_on(&store);
        extend(&chain, 1..=4).await;
        chain.fold(&fold("first")).await.unwrap();
        extend(&chain, 5..=10).await;
        let other = chain.clone();
        let go_on: Action = Box::pin(async move {
            let mut at = 10;
            while at < others {
                let next = (at + 64).min(others);
                extend(&other, at + 1..=next).await;
                // What the stalled one uses again is not named any more.
                let removed = other.read().await.unwrap().live.values().next().cloned();
                let removes = removed.into_iter().collect();
                win(&other, &Entry { start: next * 10, next: (next + 1) * 10, removes, ..entry(next + 1, Vec::new()) })
                    .await;
                other.fold(&fold(&format!("o{at}x"))).await.unwrap().unwrap();
                other.sweep(u64::MAX).await.unwrap();
                at = next + 1;
            }
        });
        let at = "create commits/default/0/00000/checkpoint-00000000000000000010.json";
        let hooked: Arc<dyn ObjectStore> = Arc::new(Hooked { inner, hook: Mutex::new(Some((at.to_owned(), go_on))) });
        chain_on(&hooked).fold(&fold("stalled")).await.unwrap().unwrap();
        let state = chain.read().await.unwrap();
        assert!(state.tail.seq > others, "{others}");
        chain.sweep(u64::MAX).await.unwrap();
        assert_eq!(content(&chain.read().await.unwrap()), content(&state), "{others}");
        assert!(!names(store.as_ref(), "checkpoint-").await.is_empty());
    }
}

#[tokio::test]
async fn a_sweep_keeps_what_a_folder_with_an_older_view_names_again() {
    let inner = Arc::new(MemoryStore::new());
    let store: Arc<dyn ObjectStore> = inner.clone();
    let chain = chain_on(&store);
    extend(&chain, 1..=4).await;
    chain.fold(&fold("first")).await.unwrap();
    // One folder reads the chain at 8, where a day of checkpoint 4 is no more as it was, and stalls before its checkpoint.
    extend(&chain, 5..=8).await;
    let (stalled, go) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let wait: Action = Box::pin({
        let (stalled, go) = (Arc::clone(&stalled), Arc::clone(&go));
        async move {
            stalled.notify_one();
            go.notified().await;
        }
    });
    let at = "create commits/default/0/00000/checkpoint-00000000000000000008.json";
    let hooked: Arc<dyn ObjectStore> =
        Arc::new(Hooked { inner: Arc::clone(&inner), hook: Mutex::new(Some((at.to_owned(), wait))) });
    let early = tokio::spawn(async move {
        chain_on(&hooked).fold(&fold("early")).await.unwrap().unwrap();
        chain_on(&hooked).sweep(u64::MAX).await.unwrap()
    });
    stalled.notified().await;
    // Another has read it at 10, also over checkpoint 4, and creates its own after the first one has swept.
    extend(&chain, 9..=10).await;
    let first_then: Action = Box::pin(async move {
        go.notify_one();
        assert_eq!(early.await.unwrap().checkpoint, 8);
    });
    let at = "create commits/default/0/00000/checkpoint-00000000000000000010.json";
    let hooked: Arc<dyn ObjectStore> = Arc::new(Hooked { inner, hook: Mutex::new(Some((at.to_owned(), first_then))) });
    let before = content(&chain.read().await.unwrap());
    chain_on(&hooked).fold(&fold("late")).await.unwrap().unwrap();
    let state = chain.read().await.unwrap();
    assert_eq!((state.checkpoint_seq(), content(&state) == before), (10, true));
}

#[tokio::test]
async fn a_folder_that_dies_anywhere_leaves_a_chain_that_reads_and_folds() {
    // Every call of a fold and a sweep is its last one, in turn.
    for last in 0..60 {
        let inner = Arc::new(MemoryStore::new());
        let store: Arc<dyn ObjectStore> = inner.clone();
        let chain = chain_on(&store);
        extend(&chain, 1..=4).await;
        chain.fold(&fold("first")).await.unwrap();
        extend(&chain, 5..=8).await;
        let before = content(&chain.read().await.unwrap());
        let dying: Arc<dyn ObjectStore> = Arc::new(Dying { inner, left: Mutex::new(last) });
        let dying = chain_on(&dying);
        let _died = async {
            dying.fold(&fold("dying")).await.map(drop)?;
            dying.sweep(u64::MAX).await.map(drop)
        }
        .await;
        assert_eq!(content(&chain.read().await.unwrap()), before, "after {last} calls");
        extend(&chain, 9..=9).await;
        chain.fold(&fold("next")).await.unwrap().unwrap();
        chain.sweep(u64::MAX).await.unwrap();
        let state = chain.read().await.unwrap();
        assert_eq!((state.tail.seq, state.live.len(), state.checkpoint_seq()), (9, 9, 9));
    }
}

/// Fails for good after some calls that change something.
struct Dying {
    inner: Arc<MemoryStore>,
    left: Mutex<u32>,
}

impl Dying {
    fn live(&self) -> Result<(), Error> {
        let mut left = self.left.lock();
        *left = left.checked_sub(1).ok_or_else(|| Error::Forbidden("dead".to_owned()))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl ObjectStore for Dying {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        self.live()?;
        self.inner.put(key, body).await
    }
    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        self.live()?;
        self.inner.create(key, body).await
    }
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        self.inner.get(key, max_bytes).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.inner.get_range(key, range).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        self.inner.list(prefix, after).await
    }
    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.live()?;
        self.inner.delete(key).await
    }
}

#[tokio::test]
async fn folders_may_race() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = chain_on(&store);
    extend(&chain, 1..=20).await;
    let before = content(&chain.read().await.unwrap());
    let folders = (0..6).map(|n| {
        let chain = chain.clone();
        tokio::spawn(async move {
            chain.fold(&fold(&format!("n{n}x"))).await.unwrap();
            chain.sweep(u64::MAX).await.unwrap();
        })
    });
    for done in futures_util::future::join_all(folders).await {
        done.unwrap();
    }
    assert_eq!(content(&chain.read().await.unwrap()), before);
    assert_eq!(names(store.as_ref(), "checkpoint-").await.len(), 1);
    chain.sweep(u64::MAX).await.unwrap();
    assert_eq!(names(store.as_ref(), "segment-").await.len(), 3, "those of the losers go");
}

#[tokio::test]
async fn an_index_behind_the_fold_is_replaced_forwards() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = chain_on(&store);
    let index = EmbeddedIndex::open(folder.path(), "default", 0, Arc::new(ManualClock::at(0))).unwrap();
    catch_up(&chain, &index).await.unwrap();
    extend(&chain, 1..=3).await;
    catch_up(&chain, &index).await.unwrap();
    let removes = vec![chunk(1, 1, "c1")];
    win(&chain, &Entry { removes, ..entry(4, Vec::new()) }).await;
    extend(&chain, 5..=9).await;
    chain.fold(&fold("a")).await.unwrap();
    chain.sweep(u64::MAX).await.unwrap();
    extend(&chain, 10..=11).await;
    // The writer of the eleventh finds the index at 3, far below what is left of the chain.
    let last = chain.entries_after(10).await.unwrap().unwrap().remove(0).0;
    apply(&chain, &index, &last).await.unwrap();
    assert_eq!(index.watermark(0).await.unwrap(), Some(Watermark { seq: 11, next: 110 }));
    assert_eq!(catch_up(&chain, &index).await.unwrap().seq, 11);
    // At the checkpoint itself nothing is lacking.
    chain.fold(&fold("b")).await.unwrap();
    chain.sweep(u64::MAX).await.unwrap();
    assert_eq!(catch_up(&chain, &index).await.unwrap().seq, 11);
}

#[tokio::test]
async fn removed_chunks_go_once_readers_of_the_old_index_are_done() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = chain_on(&store);
    let gone = chunk(0, 1, "gone");
    store.put(&gone.key, Bytes::from_static(b"x")).await.unwrap();
    win(&chain, &entry(1, vec![gone.clone()])).await;
    win(&chain, &Entry { removes: vec![gone.clone()], ..entry(2, vec![chunk(0, 2, "b")]) }).await;
    let at = |seconds: i64, applied| Fold { applied, now_ns: seconds * 1_000_000_000, ..fold("n") };
    let is_there = async || store.get(&gone.key, 10).await.is_ok();
    let step = async |seq: u64, fold: Fold<'_>| {
        win(&chain, &entry(seq, Vec::new())).await;
        chain.fold(&Fold { nonce: &format!("n{seq}x"), ..fold }).await.unwrap().unwrap();
        chain.read().await.unwrap().removed.get(&gone.key).copied()
    };
    // Not counted from the commit: the index may name it for long.
    assert_eq!(step(3, at(0, Some(1))).await.unwrap().applied_ns, None);
    assert_eq!(step(4, at(1_000, None)).await.unwrap().applied_ns, None);
    assert!(is_there().await);
    assert_eq!(step(5, at(2_000, Some(2))).await.unwrap().applied_ns, Some(2_000_000_000_000));
    assert_eq!(step(6, at(2_059, Some(5))).await.unwrap().applied_ns, Some(2_000_000_000_000));
    assert!(is_there().await);
    assert_eq!(step(7, at(2_060, Some(6))).await, None);
    assert!(!is_there().await);
}

#[tokio::test]
async fn only_what_nobody_can_claim_any_more_is_a_left_over() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = chain_on(&store);
    let removed = chunk(0, 1, "removed");
    let quarantine = QuarantineRef { key: "quarantine/q".to_owned(), length: 1, checksum: 1, offsets: vec![1] };
    win(&chain, &Entry { quarantine: Some(quarantine), ..entry(1, vec![removed.clone(), chunk(0, 1, "live")]) }).await;
    win(&chain, &Entry { removes: vec![removed.clone()], ..entry(2, Vec::new()) }).await;
    extend(&chain, 3..=5).await;
    chain.fold(&fold("a")).await.unwrap();
    let mut state = chain.read().await.unwrap();
    let is_left_over = |state: &ChainState, key: &str| {
        Named::of(state).is_left_over(key, chunk_origin(key).unwrap_or(chunk_origin(&removed.key).unwrap()))
    };
    let stray = chunk(0, 1, "stray").key;
    assert!(!is_left_over(&state, &stray), "a slow writer may still claim it");
    state.tail.seq = 1 + TARGET_SLACK;
    assert!(!is_left_over(&state, &stray), "under this very number");
    state.tail.seq += 1;
    assert!(is_left_over(&state, &stray));
    for named in [&removed.key, &chunk(0, 1, "live").key, "quarantine/q"] {
        assert!(!is_left_over(&state, named), "{named}");
    }
}
