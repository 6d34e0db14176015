//! A small lake in memory, written as the roles write it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loglake_chunk::{ChunkBuilder, ChunkHead, Source, encode_block};
use loglake_commit::{
    Chain, Claim, ENTRY_VERSION, Entry, Fold, QuarantineRef, apply, chunk_key, incarnation, quarantine_key,
};
use loglake_index::{EmbeddedIndex, SessionChange};
use loglake_model::{ChunkMeta, Level, ManualClock, RecordId, Service, TenantName, Window, line};
use loglake_store::{FolderStore, MemoryStore, ObjectStore};

use crate::{Code, Lake, LiveIndex, Options, Quiet, Report, fsck};

pub(super) const T0: i64 = 1_772_323_200_000_000_000;
pub(super) const PARTITION: u32 = 1;

/// Two partitions of two tenants; the chain of [`PARTITION`] has a few entries.
pub(super) struct Small {
    pub(super) lake: Lake,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) index: Arc<EmbeddedIndex>,
    folder: tempfile::TempDir,
}

pub(super) fn tenant() -> TenantName {
    TenantName::parse("acme").unwrap()
}

pub(super) fn service() -> Service {
    Service::parse("shop \"one\"").unwrap()
}

impl Small {
    /// Three flushes in [`PARTITION`], none in the other.
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::over(Arc::new(MemoryStore::new()), None, folder).await
    }

    /// The same in a folder.
    pub(super) async fn in_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderStore::open(folder.path().join("objects")).unwrap();
        Self::over(Arc::new(objects.clone()), Some(objects), folder).await
    }

    async fn over(store: Arc<dyn ObjectStore>, objects: Option<FolderStore>, folder: tempfile::TempDir) -> Self {
        let clock = Arc::new(ManualClock::at(T0));
        assert_eq!(incarnation(&*store, "default", "topic", 2, &*clock, false).await.unwrap(), 0);
        let index = Arc::new(EmbeddedIndex::open(&folder.path().join("index"), "default", 0, clock).unwrap());
        let live = LiveIndex::new(0, 2, index.clone());
        let lake = Lake {
            store: Arc::clone(&store),
            cluster: "default".to_owned(),
            index: Some(live),
            folder: objects,
            not_checked: Vec::new(),
        };
        let small = Self { lake, store, index, folder };
        for flush in 0..3 {
            small.flush(flush * 10..flush * 10 + 10).await;
        }
        small
    }

    /// Lets go of everything but the folder.
    pub(super) fn close(self) -> tempfile::TempDir {
        self.folder
    }

    pub(super) fn chain(&self) -> Chain {
        self.lake.chain(0, PARTITION)
    }

    /// Flushes messages of two records each as the processor does.
    pub(super) async fn flush(&self, offsets: std::ops::Range<u64>) -> Entry {
        let entry = self.entry(offsets).await;
        self.commit(&entry).await;
        entry
    }

    /// The entry that such a flush would claim, with its chunk in the bucket.
    pub(super) async fn entry(&self, offsets: std::ops::Range<u64>) -> Entry {
        let tail = self.chain().read().await.unwrap().tail;
        let chunk = self.chunk(tail.seq + 1, offsets.clone(), |_| true).await;
        Entry {
            version: ENTRY_VERSION,
            seq: tail.seq + 1,
            start: tail.next,
            next: offsets.end,
            adds: vec![chunk],
            removes: Vec::new(),
            nonce: format!("{:016x}", rand(&offsets)),
            writer: "test".to_owned(),
            leader_epoch: None,
            sessions: vec![SessionChange { session: format!("{:02x}", tail.seq), state: Some("{}".to_owned()) }],
            quarantine: None,
            gap: None,
            previous_hash: tail.hash,
        }
    }

    pub(super) async fn fold(&self) {
        let fold = Fold { nonce: "f", applied: Some(3), now_ns: T0, removed_grace: Duration::ZERO };
        assert!(self.chain().fold(&fold).await.unwrap().is_some());
    }

    pub(super) async fn commit(&self, entry: &Entry) {
        assert!(matches!(self.chain().claim(entry).await.unwrap(), Claim::Won(_)));
        apply(&self.chain(), &*self.index, entry).await.unwrap();
    }

    /// Puts a chunk of the records of `offsets` that `keep` takes.
    pub(super) async fn chunk(
        &self,
        target: u64,
        offsets: std::ops::Range<u64>,
        keep: impl Fn(RecordId) -> bool,
    ) -> ChunkMeta {
        self.chunk_of(target, offsets, keep, &tenant(), &service()).await
    }

    /// The same, whose lines say another service than the chunk when `said` is another.
    pub(super) async fn chunk_of(
        &self,
        target: u64,
        offsets: std::ops::Range<u64>,
        keep: impl Fn(RecordId) -> bool,
        tenant: &TenantName,
        said: &Service,
    ) -> ChunkMeta {
        let mut blocks = Vec::new();
        let (mut lowest, mut highest) = (u64::MAX, 0);
        for half in [offsets.start..offsets.start + 5, offsets.start + 5..offsets.end] {
            let mut lines = Vec::new();
            for offset in half {
                for index in 0..2 {
                    let id = RecordId { incarnation: 0, partition: PARTITION, offset, index };
                    if !keep(id) {
                        continue;
                    }
                    let level = (index == 0).then_some(Level::Warn);
                    let mut raw = Vec::new();
                    line::begin(&mut raw, T0 + offset as i64 * 1_000 + i64::from(index), level, said.as_str());
                    line::text_field(&mut raw, "message", &format!("number {offset}"));
                    raw.push(b'}');
                    line::append_with_id(&mut lines, &raw, id);
                    lines.push(b'\n');
                    (lowest, highest) = (lowest.min(offset), highest.max(offset));
                }
            }
            if !lines.is_empty() {
                blocks.push(lines);
            }
        }
        let head =
            ChunkHead { tenant: tenant.clone(), service: service(), window: Window::holding(T0, Window::HOUR_NS) };
        let source =
            Source::Log { incarnation: 0, partition: PARTITION, lowest_offset: lowest, highest_offset: highest };
        let mut builder = ChunkBuilder::new(head.clone(), source);
        for lines in blocks {
            builder.push(encode_block(&lines, head.window).unwrap());
        }
        let finished = builder.finish().unwrap();
        let nonce = format!("{:016x}", rand(&offsets) ^ u64::from(finished.checksum));
        let key = chunk_key(&head.tenant, &head.service, head.window, 0, PARTITION, target, &nonce);
        self.store.put(&key, finished.bytes.clone()).await.unwrap();
        finished.meta(key, &head, lowest, highest)
    }

    /// An entry of nothing.
    pub(super) fn blank(&self) -> Entry {
        Entry {
            version: ENTRY_VERSION,
            seq: 0,
            start: 0,
            next: 0,
            adds: Vec::new(),
            removes: Vec::new(),
            nonce: "blank".to_owned(),
            writer: "test".to_owned(),
            leader_epoch: None,
            sessions: Vec::new(),
            quarantine: None,
            gap: None,
            previous_hash: String::new(),
        }
    }

    /// A quarantine object of one message, and what an entry says of it.
    pub(super) async fn quarantine(&self, target: u64, offset: u64) -> QuarantineRef {
        let key = quarantine_key("default", 0, PARTITION, target, "aa");
        let body = Bytes::from_static(b"not looked into by a check");
        self.store.put(&key, body.clone()).await.unwrap();
        QuarantineRef { key, length: body.len() as u64, checksum: crc32c::crc32c(&body), offsets: vec![offset] }
    }

    /// The key of live chunk number `at`, by offset.
    pub(super) async fn live(&self, at: usize) -> ChunkMeta {
        let mut live: Vec<ChunkMeta> = self.chain().read().await.unwrap().live.into_values().collect();
        live.sort_by_key(|chunk| chunk.lowest_offset);
        live.swap_remove(at)
    }

    pub(super) fn entry_key(&self, seq: u64) -> String {
        format!("{}{seq:020}.json", self.chain().folder())
    }

    /// Replaces an object, which no role ever does.
    pub(super) async fn alter(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut body = self.store.get(key, 1 << 30).await.unwrap().to_vec();
        change(&mut body);
        self.store.delete(key).await.unwrap();
        self.store.put(key, body.into()).await.unwrap();
    }

    /// Replaces an entry by one that says something else.
    pub(super) async fn alter_entry(&self, seq: u64, change: impl FnOnce(&mut Entry)) {
        let (mut entry, _) = self.chain().entry(seq).await.unwrap().unwrap();
        change(&mut entry);
        let body = entry.encode().unwrap();
        self.alter(&self.entry_key(seq), |bytes| *bytes = body).await;
    }

    pub(super) async fn check(&self, is_deep: bool, repair: bool) -> Report {
        let options = Options { deep: is_deep, repair, second_look: Duration::ZERO };
        fsck(&self.lake, &options, &Quiet).await.unwrap()
    }

    /// What both kinds of check find, which must be the same.
    pub(super) async fn codes(&self) -> Vec<Code> {
        let codes = self.codes_of(false).await;
        assert_eq!(codes, self.codes_of(true).await, "deep finds the same");
        codes
    }

    pub(super) async fn codes_of(&self, is_deep: bool) -> Vec<Code> {
        self.check(is_deep, false).await.findings.iter().map(|finding| finding.code).collect()
    }
}

/// Some number of an argument.
fn rand(of: &std::ops::Range<u64>) -> u64 {
    of.start.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ of.end
}
