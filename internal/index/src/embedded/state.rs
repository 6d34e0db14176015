//! What is on disk: one keyspace, its keys
//!
//! ```text
//! "about"                             whose index this is
//! p <partition, u32 BE> "w"           watermark
//! p <partition> "t"                   token of a rebuild
//! p <partition> "s" <session>         state of a session
//! p <partition> "c" <place>           entry of a chunk
//! p <partition> "b" <tenant>          bytes of the objects of a tenant's chunks; not there for 0
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use loglake_model::{ChunkMeta, Service, TenantName, TimeRange};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::sums::Sums;
use crate::{
    Apply, Change, Error, Gap, PartitionChunks, RebuildToken, SessionChange, Snapshot, Watermark, place,
    stored_by_tenant,
};

const ABOUT: &[u8] = b"about";
/// The folder within the index's own; its number is the layout's version.
const FOLDER: &str = "v1";
/// How much of the store is cached, in bytes: the entries of some ten thousand chunks.
const CACHE_BYTES: u64 = 16 << 20;

pub(super) struct State {
    pub(super) db: Database,
    pub(super) keys: Keyspace,
    /// Held by the one that changes something, between its look at the watermark and its write.
    pub(super) writer: Mutex<()>,
}

/// Whose index a folder holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct About {
    cluster: String,
    incarnation: u32,
}

/// A partition's watermark, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    seq: u64,
    next: u64,
    /// The longest window among the chunks, in minutes: how far before a range its chunks can begin.
    longest_minutes: i64,
    /// The partition's gaps.
    #[serde(default)]
    gaps: Vec<Gap>,
    /// Whether the tenants' sums are right. A program that keeps none leaves this out of what it writes.
    #[serde(default)]
    pub(super) has_sums: bool,
}

impl Mark {
    pub(super) fn watermark(&self) -> Watermark {
        Watermark { seq: self.seq, next: self.next }
    }
}

/// What a write changes: each key once, `None` removes it.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn open(dir: &Path, cluster: &str, incarnation: u32) -> Result<Self, Error> {
        let folder = dir.join(FOLDER);
        std::fs::create_dir_all(dir).map_err(|error| unavailable("open", &error))?;
        let (db, keys) = match open_keyspace(&folder) {
            Err(error) if is_damaged(&error) => {
                tracing::warn!(folder = %folder.display(), %error, "index cannot be read, dropped to be rebuilt");
                std::fs::remove_dir_all(&folder).map_err(|error| unavailable("drop", &error))?;
                open_keyspace(&folder)
            }
            outcome => outcome,
        }
        .map_err(|error| unavailable("open", &error))?;
        let state = Self { db, keys, writer: Mutex::new(()) };
        state.claim(&About { cluster: cluster.to_owned(), incarnation })?;
        Ok(state)
    }

    /// Drops what belongs to another cluster or incarnation.
    fn claim(&self, about: &About) -> Result<(), Error> {
        let stored = self.keys.get(ABOUT).map_err(|error| unavailable("open", &error))?;
        let there = stored.as_deref().and_then(|stored| serde_json::from_slice::<About>(stored).ok());
        if there.as_ref() == Some(about) {
            return Ok(());
        }
        if stored.is_some() {
            tracing::warn!(?there, wanted = ?about, "index of another topic dropped, to be rebuilt");
        }
        self.keys.clear().map_err(|error| unavailable("drop", &error))?;
        self.write(Changes::from([(ABOUT.to_vec(), Some(json(ABOUT, about)?))]))
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.db.persist(PersistMode::SyncAll).map_err(|error| unavailable("sync", &error))
    }

    /// Writes all of `changes` or nothing; durable before it is visible.
    pub(super) fn write(&self, changes: Changes) -> Result<(), Error> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.keys, key, value),
                None => batch.remove(&self.keys, key),
            }
        }
        batch.commit().map_err(|error| unavailable("write", &error))
    }

    pub(super) fn watermark(&self, partition: u32) -> Result<Option<Watermark>, Error> {
        Ok(self.mark(&self.db.snapshot(), partition)?.map(|mark| mark.watermark()))
    }

    pub(super) fn mark(&self, view: &fjall::Snapshot, partition: u32) -> Result<Option<Mark>, Error> {
        let key = key(partition, b'w', &[]);
        let stored = view.get(&self.keys, &key).map_err(|error| unavailable("read", &error))?;
        stored.map(|stored| parse(&key, &stored)).transpose()
    }

    pub(super) fn apply(&self, partition: u32, change: &Change) -> Result<Apply, Error> {
        let _writer = self.writer.lock();
        let view = self.db.snapshot();
        let Some(mut mark) = self.mark(&view, partition)? else { return Ok(Apply::Refused(None)) };
        if mark.seq.checked_add(1) != Some(change.seq) {
            return Ok(Apply::Refused(Some(mark.watermark())));
        }
        let (mut changes, mut sums) = (Changes::new(), Sums::default());
        for chunk in &change.removes {
            let key = key(partition, b'c', &place::of(chunk)?);
            let Some(there) = view.get(&self.keys, &key).map_err(|error| unavailable("read", &error))? else {
                tracing::warn!(
                    partition,
                    seq = change.seq,
                    key = chunk.key,
                    "index lacks what the chain removes, dropped"
                );
                self.write(self.all_of(&view, partition)?)?;
                return Ok(Apply::Refused(None));
            };
            if !changes.contains_key(&key) {
                sums.remove(place_of(&key), &there);
            }
            changes.insert(key, None);
        }
        (mark.seq, mark.next) = (change.seq, change.next);
        if let Some(gap) = &change.gap {
            Gap::add(&mut mark.gaps, gap.clone());
        }
        for (place, chunk) in by_place(&change.adds)? {
            let key = key(partition, b'c', &place);
            // A place has one entry, whatever stood there.
            if !changes.contains_key(&key)
                && let Some(there) = view.get(&self.keys, &key).map_err(|error| unavailable("read", &error))?
            {
                sums.remove(&place, &there);
            }
            sums.add(chunk);
        }
        mark.has_sums = mark.has_sums && self.change_sums(&view, partition, &sums, &mut changes)?;
        fill(&mut changes, partition, mark, &change.adds, &change.sessions)?;
        self.write(changes)?;
        Ok(Apply::Applied)
    }

    pub(super) fn begin_rebuild(&self, partition: u32) -> Result<RebuildToken, Error> {
        let _writer = self.writer.lock();
        let key = key(partition, b't', &[]);
        // A token that is there already proves as much: nothing was lost since it was set.
        let token = match self.keys.get(&key).map_err(|error| unavailable("read", &error))? {
            Some(there) => parse(&key, &there)?,
            None => {
                let token = format!("{:032x}", rand::random::<u128>());
                self.write(Changes::from([(key.clone(), Some(json(&key, &token)?))]))?;
                token
            }
        };
        Ok(RebuildToken(token))
    }

    pub(super) fn rebuild(&self, partition: u32, token: &RebuildToken, snapshot: &Snapshot) -> Result<bool, Error> {
        let goes_forwards = |there: Option<Watermark>| there.is_none_or(|there| there.seq < snapshot.watermark.seq);
        self.swap(partition, token, goes_forwards, snapshot)
    }

    pub(super) fn replace(
        &self,
        partition: u32,
        token: &RebuildToken,
        seen: Option<Watermark>,
        snapshot: &Snapshot,
    ) -> Result<bool, Error> {
        self.swap(partition, token, |there| there == seen, snapshot)
    }

    /// Puts `snapshot` in the place of what there is, if `token` is still there and `may` says so of the watermark.
    fn swap(
        &self,
        partition: u32,
        token: &RebuildToken,
        may: impl Fn(Option<Watermark>) -> bool,
        snapshot: &Snapshot,
    ) -> Result<bool, Error> {
        let _writer = self.writer.lock();
        let view = self.db.snapshot();
        let token_key = key(partition, b't', &[]);
        let there = view.get(&self.keys, &token_key).map_err(|error| unavailable("read", &error))?;
        let there: Option<String> = there.map(|there| parse(&token_key, &there)).transpose()?;
        let mark = self.mark(&view, partition)?;
        if there.as_ref() != Some(&token.0) || !may(mark.as_ref().map(Mark::watermark)) {
            return Ok(false);
        }
        let mut changes = self.all_of(&view, partition)?;
        let Watermark { seq, next } = snapshot.watermark;
        let mark = Mark { seq, next, longest_minutes: 0, gaps: snapshot.gaps.clone(), has_sums: true };
        for (tenant, bytes) in stored_by_tenant(by_place(&snapshot.live)?.into_values()) {
            let key = key(partition, b'b', tenant.as_str().as_bytes());
            let bytes = json(&key, &bytes)?;
            changes.insert(key, Some(bytes));
        }
        fill(&mut changes, partition, mark, &snapshot.live, &snapshot.sessions)?;
        self.write(changes)?;
        Ok(true)
    }

    pub(super) fn dump(&self, partition: u32) -> Result<Option<Snapshot>, Error> {
        let view = self.db.snapshot();
        let Some(mark) = self.mark(&view, partition)? else { return Ok(None) };
        let mut live = Vec::new();
        for entry in view.prefix(&self.keys, key(partition, b'c', &[])) {
            let (key, value) = entry.into_inner().map_err(|error| unavailable("read", &error))?;
            live.push(place::decode_any(place_of(&key), &value)?);
        }
        let sessions = self.sessions_of(&view, partition)?;
        Ok(Some(Snapshot { watermark: mark.watermark(), live, sessions, gaps: mark.gaps }))
    }

    /// The removal of all that there is of `partition`.
    fn all_of(&self, view: &fjall::Snapshot, partition: u32) -> Result<Changes, Error> {
        let mut prefix = key(partition, b'w', &[]);
        prefix.pop();
        let mut changes = Changes::new();
        for entry in view.prefix(&self.keys, prefix) {
            changes.insert(entry.key().map_err(|error| unavailable("read", &error))?.to_vec(), None);
        }
        Ok(changes)
    }

    pub(super) fn sessions(&self, partition: u32) -> Result<Option<(Watermark, Vec<SessionChange>)>, Error> {
        let view = self.db.snapshot();
        let Some(mark) = self.mark(&view, partition)? else { return Ok(None) };
        Ok(Some((mark.watermark(), self.sessions_of(&view, partition)?)))
    }

    fn sessions_of(&self, view: &fjall::Snapshot, partition: u32) -> Result<Vec<SessionChange>, Error> {
        let prefix = key(partition, b's', &[]);
        let mut sessions = Vec::new();
        for entry in view.prefix(&self.keys, &prefix) {
            let (key, value) = entry.into_inner().map_err(|error| unavailable("read", &error))?;
            let text =
                |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| corrupt(&key, error.to_string()));
            let session = text(key.strip_prefix(prefix.as_slice()).unwrap_or(&key))?;
            sessions.push(SessionChange { session, state: Some(text(&value)?) });
        }
        Ok(sessions)
    }

    /// `None` when there are more than `room`.
    pub(super) fn chunks(
        &self,
        partition: u32,
        tenant: &TenantName,
        services: Option<&[Service]>,
        range: TimeRange,
        room: usize,
    ) -> Result<Option<PartitionChunks>, Error> {
        let view = self.db.snapshot();
        let Some(mark) = self.mark(&view, partition)? else {
            return Ok(Some(PartitionChunks { partition, watermark: None, chunks: Vec::new(), gaps: Vec::new() }));
        };
        let (from, to) = place::starts(range, mark.longest_minutes);
        let mut chunks = Vec::new();
        // Whether there is room for more.
        let mut scan = |service_key: &[u8]| -> Result<bool, Error> {
            let bounds = [service_key, from.as_bytes()].concat()..[service_key, to.as_bytes()].concat();
            if bounds.start >= bounds.end {
                return Ok(true);
            }
            for entry in view.range(&self.keys, bounds) {
                let (key, value) = entry.into_inner().map_err(|error| unavailable("read", &error))?;
                let chunk = place::decode(place_of(&key), &value, tenant)?;
                if chunk.overlaps(range) {
                    if chunks.len() >= room {
                        return Ok(false);
                    }
                    chunks.push(chunk);
                }
            }
            Ok(true)
        };
        match services {
            Some(services) => {
                // Asked for twice, answered once.
                for service in services.iter().collect::<std::collections::BTreeSet<_>>() {
                    if !scan(&key(partition, b'c', &place::of_service(tenant, service)))? {
                        return Ok(None);
                    }
                }
            }
            None => {
                // From one service to the next: a seek each, however many chunks lie between.
                let tenant_key = key(partition, b'c', &place::of_tenant(tenant));
                let mut from = tenant_key.clone();
                let mut end = tenant_key.clone();
                *end.last_mut().expect("it ends with the tenant's end mark") = place::PAST_END;
                while let Some(entry) = view.range(&self.keys, from.clone()..end.clone()).next() {
                    let found = entry.key().map_err(|error| unavailable("read", &error))?;
                    let service = place::service_part(&found, &tenant_key)
                        .ok_or_else(|| corrupt(&found, "it names no service".to_owned()))?;
                    let mut service_key = [tenant_key.as_slice(), service, &[place::END]].concat();
                    if !scan(&service_key)? {
                        return Ok(None);
                    }
                    *service_key.last_mut().expect("it ends with the service's end mark") = place::PAST_END;
                    from = service_key;
                }
            }
        }
        Ok(Some(PartitionChunks { partition, watermark: Some(mark.watermark()), chunks, gaps: mark.gaps }))
    }
}

/// Adds to `changes` what becomes visible with `mark`.
fn fill(
    changes: &mut Changes,
    partition: u32,
    mut mark: Mark,
    chunks: &[ChunkMeta],
    sessions: &[SessionChange],
) -> Result<(), Error> {
    for chunk in chunks {
        mark.longest_minutes = mark.longest_minutes.max(place::window_minutes(chunk));
        changes.insert(key(partition, b'c', &place::of(chunk)?), Some(place::encode(chunk)?));
    }
    for change in sessions {
        let value = change.state.as_ref().map(|state| state.as_bytes().to_vec());
        changes.insert(key(partition, b's', change.session.as_bytes()), value);
    }
    let mark_key = key(partition, b'w', &[]);
    let stored = json(&mark_key, &mark)?;
    changes.insert(mark_key, Some(stored));
    Ok(())
}

/// Each place once, with the chunk that is there afterwards.
fn by_place(chunks: &[ChunkMeta]) -> Result<BTreeMap<Vec<u8>, &ChunkMeta>, Error> {
    chunks.iter().map(|chunk| Ok((place::of(chunk)?, chunk))).collect()
}

/// Where the place begins in the key of a chunk's entry.
const PLACE_AT: usize = 6;

/// The place in the key of a chunk's entry.
pub(super) fn place_of(key: &[u8]) -> &[u8] {
    key.get(PLACE_AT..).unwrap_or_default()
}

pub(super) fn key(partition: u32, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(PLACE_AT + rest.len());
    key.push(b'p');
    key.extend_from_slice(&partition.to_be_bytes());
    key.push(kind);
    key.extend_from_slice(rest);
    key
}

fn open_keyspace(folder: &Path) -> Result<(Database, Keyspace), fjall::Error> {
    let db = Database::builder(folder).cache_size(CACHE_BYTES).open()?;
    let keys = db.keyspace("index", KeyspaceCreateOptions::default)?;
    Ok((db, keys))
}

/// Whether opening again cannot help.
fn is_damaged(error: &fjall::Error) -> bool {
    !matches!(error, fjall::Error::Io(_) | fjall::Error::Locked)
}

pub(super) fn json<T: Serialize>(key: &[u8], value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| corrupt(key, error.to_string()))
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(key: &[u8], stored: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(stored).map_err(|error| corrupt(key, error.to_string()))
}

pub(super) fn corrupt(key: &[u8], reason: String) -> Error {
    Error::Corrupt { key: key.escape_ascii().to_string(), reason }
}

pub(super) fn unavailable(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Unavailable { what: format!("embedded index, {what}"), reason: error.to_string() }
}

#[cfg(test)]
impl State {
    /// Puts something that is no entry at a place.
    pub(super) fn damage(&self, partition: u32, place: &[u8]) {
        self.write(Changes::from([(key(partition, b'c', place), Some(b"{".to_vec()))])).unwrap();
    }
}
