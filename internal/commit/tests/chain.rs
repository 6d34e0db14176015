//! The chain over an in-memory bucket and the embedded index: who wins, who loses, who mends.
#![allow(clippy::unwrap_used, missing_docs, reason = "test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use loglake_commit::{
    Chain, Claim, ENTRY_VERSION, Entry, Error, OlderIncarnation, apply, catch_up, incarnation, older_incarnations,
    topic_of,
};
use loglake_index::{ChunkIndex, EmbeddedIndex, Watermark};
use loglake_model::{ChunkMeta, ManualClock, Service, TenantName, Window};
use loglake_store::{Create, Listing, MemoryStore, ObjectStore};

fn chunk(key: &str, lowest_offset: u64, highest_offset: u64) -> ChunkMeta {
    ChunkMeta {
        key: key.to_owned(),
        length: 100,
        footer_offset: 50,
        checksum: 7,
        tenant: TenantName::parse("t").unwrap(),
        service: Service::parse("s").unwrap(),
        window: Window::holding(0, Window::HOUR_NS),
        min_ns: 1,
        max_ns: 2,
        records: 3,
        bytes: 300,
        levels: [3, 0, 0, 0, 0, 0, 0],
        lowest_offset,
        highest_offset,
    }
}

fn entry(seq: u64, start: u64, next: u64, adds: Vec<ChunkMeta>, writer: &str) -> Entry {
    Entry {
        version: ENTRY_VERSION,
        seq,
        start,
        next,
        adds,
        removes: Vec::new(),
        nonce: format!("{writer}-{seq}"),
        writer: writer.to_owned(),
        leader_epoch: None,
        sessions: Vec::new(),
        quarantine: None,
        gap: None,
        previous_hash: String::new(),
    }
}

fn index(dir: &std::path::Path) -> Arc<EmbeddedIndex> {
    Arc::new(EmbeddedIndex::open(dir, "default", 0, Arc::new(ManualClock::at(0))).unwrap())
}

#[tokio::test]
async fn the_second_writer_loses_and_reads_the_winners_tail() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = Chain::new(Arc::clone(&store), "default", 0, 3);
    assert_eq!(chain.read().await.unwrap().tail.seq, 0);
    let first = entry(1, 0, 10, vec![chunk("a", 0, 9)], "one");
    assert!(matches!(chain.claim(&first).await.unwrap(), Claim::Won(_)));
    // The same attempt again, as after a lost reply: still won.
    assert!(matches!(chain.claim(&first).await.unwrap(), Claim::Won(_)));
    assert_eq!(chain.claim(&entry(1, 0, 12, vec![chunk("b", 0, 11)], "two")).await.unwrap(), Claim::Lost);
    let state = chain.read().await.unwrap();
    assert_eq!((state.tail.seq, state.tail.next), (1, 10));
    assert_eq!(state.live.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(state.tail.hash.len(), 64);
}

/// A store whose creates land but whose replies are lost, a few times.
#[derive(Debug)]
struct LosesReplies {
    inner: MemoryStore,
    left: AtomicUsize,
    lands: bool,
}

#[async_trait::async_trait]
impl ObjectStore for LosesReplies {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), loglake_store::Error> {
        self.inner.put(key, body).await
    }
    async fn create(&self, key: &str, body: Bytes) -> Result<Create, loglake_store::Error> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            if self.lands {
                self.inner.create(key, body).await?;
            }
            return Ok(Create::Unknown);
        }
        self.inner.create(key, body).await
    }
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, loglake_store::Error> {
        self.inner.get(key, max_bytes).await
    }
    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes, loglake_store::Error> {
        self.inner.get_range(key, range).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, loglake_store::Error> {
        self.inner.list(prefix, after).await
    }
    async fn delete(&self, key: &str) -> Result<(), loglake_store::Error> {
        self.inner.delete(key).await
    }
}

#[tokio::test]
async fn a_doubtful_answer_is_read_back() {
    for lands in [true, false] {
        let store = LosesReplies { inner: MemoryStore::new(), left: AtomicUsize::new(2), lands };
        let chain = Chain::new(Arc::new(store), "default", 0, 0);
        assert!(matches!(chain.claim(&entry(1, 0, 5, Vec::new(), "one")).await.unwrap(), Claim::Won(_)), "{lands}");
        assert_eq!(chain.read().await.unwrap().tail.next, 5);
    }
}

#[tokio::test]
async fn a_chain_that_breaks_the_protocol_is_named() {
    for (number, broken) in [
        entry(3, 10, 20, Vec::new(), "a hole"),
        entry(2, 11, 20, Vec::new(), "a wrong start"),
        entry(2, 10, 20, vec![chunk("a", 0, 9)], "a chunk twice"),
        Entry { removes: vec![chunk("b", 0, 1)], ..entry(2, 10, 10, Vec::new(), "removes what is not live") },
    ]
    .into_iter()
    .enumerate()
    {
        let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
        let chain = Chain::new(store, "default", 0, 0);
        chain.claim(&entry(1, 0, 10, vec![chunk("a", 0, 9)], "one")).await.unwrap();
        chain.claim(&broken).await.unwrap();
        assert!(matches!(chain.read().await, Err(Error::Corrupt { .. })), "case {number}");
    }
}

#[tokio::test]
async fn what_a_newer_program_folded_is_left_to_it() {
    for (name, body) in [
        ("checkpoint-00000000000000000001.json", r#"{"version":3}"#),
        ("checkpoint-v2-00000000000000000001.json", "{}"),
    ] {
        let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
        let chain = Chain::new(Arc::clone(&store), "default", 0, 0);
        store.put(&format!("commits/default/0/00000/{name}"), Bytes::from_static(body.as_bytes())).await.unwrap();
        assert!(matches!(chain.read().await, Err(Error::Newer { .. })), "{name}");
    }
}

#[tokio::test]
async fn the_index_is_rebuilt_caught_up_and_never_runs_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let chain = Chain::new(Arc::clone(&store), "default", 0, 1);
    let index = index(&folder.path().join("index"));
    assert_eq!(catch_up(&chain, index.as_ref()).await.unwrap(), Watermark { seq: 0, next: 0 });
    let entries: Vec<Entry> = (1..=5)
        .map(|n| entry(n, (n - 1) * 10, n * 10, vec![chunk(&format!("c{n}"), (n - 1) * 10, n * 10 - 1)], "w"))
        .collect();
    for entry in &entries {
        chain.claim(entry).await.unwrap();
    }
    // The writer of the first four died between claim and apply; the fifth's writer mends it.
    apply(&chain, index.as_ref(), &entries[4]).await.unwrap();
    assert_eq!(index.watermark(1).await.unwrap(), Some(Watermark { seq: 5, next: 50 }));
    // Applying an old entry again does nothing.
    apply(&chain, index.as_ref(), &entries[1]).await.unwrap();
    assert_eq!(index.watermark(1).await.unwrap(), Some(Watermark { seq: 5, next: 50 }));

    // A new, empty index is rebuilt from the bucket.
    let other = self::index(&folder.path().join("other"));
    assert_eq!(catch_up(&chain, other.as_ref()).await.unwrap(), Watermark { seq: 5, next: 50 });

    // An index that knows more than the bucket belongs to another one.
    let empty = Chain::new(Arc::new(MemoryStore::new()), "default", 0, 1);
    assert!(matches!(
        catch_up(&empty, index.as_ref()).await,
        Err(Error::IndexAhead { index_seq: 5, chain_seq: 0, .. })
    ));
}

#[tokio::test]
async fn each_life_of_a_topic_gets_its_number_once() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    let clock = ManualClock::at(1_772_323_200_000_000_000);
    let number =
        async |id: &str, accepts_new: bool| incarnation(store.as_ref(), "default", id, 12, &clock, accepts_new).await;
    assert_eq!(number("first", false).await.unwrap(), 0, "the first one needs no leave");
    let refused = number("second", false).await.unwrap_err();
    assert!(matches!(&refused, Error::NewTopic { known, .. } if known == "first"), "{refused}");
    assert!(refused.to_string().contains("broker.accept_new_topic = true"), "{refused}");
    assert_eq!(number("second", true).await.unwrap(), 1);
    assert_eq!(number("second", false).await.unwrap(), 1, "known from then on");
    assert_eq!(number("first", false).await.unwrap(), 0);
    let racing = futures_util::future::join_all((0..8).map(|_| number("third", true))).await;
    assert!(racing.iter().all(|number| *number.as_ref().unwrap() == 2), "{racing:?}");
    assert_eq!(topic_of(store.as_ref(), "default", 1).await.unwrap().as_deref(), Some("second"));
    assert_eq!(topic_of(store.as_ref(), "default", 9).await.unwrap(), None);
}

#[tokio::test]
async fn older_lives_tell_which_partitions_they_had() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
    for (life, partition) in [(0, 0), (0, 3), (0, 11), (2, 1), (3, 0)] {
        let chain = Chain::new(Arc::clone(&store), "default", life, partition);
        for seq in 1..=3 {
            chain.claim(&entry(seq, (seq - 1) * 10, seq * 10, Vec::new(), "one")).await.unwrap();
        }
    }
    let older = older_incarnations(store.as_ref(), "default", 3).await.unwrap();
    let expected: Vec<OlderIncarnation> = [(0, vec![0, 3, 11]), (1, vec![]), (2, vec![1])]
        .map(|(number, partitions)| OlderIncarnation { number, partitions })
        .into();
    assert_eq!(older, expected);
    assert_eq!(older_incarnations(store.as_ref(), "default", 0).await.unwrap(), []);
}
