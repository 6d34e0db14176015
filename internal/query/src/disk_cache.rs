//! Pieces of objects on a local disk: what memory has no room for need not be asked of the object store again, and a restart does
//! not forget it.
//!
//! A piece is a file of its own, `<folder>/<two digits>/<its name>`; the name is the SHA-256 of tenant, key and range in
//! hexadecimal, so a piece of another tenant is never found. A file holds
//! ```text
//! at  bytes
//!  0   8     magic "llpiece1"
//!  8   4     CRC-32C of all that follows, little-endian
//! 12   4     u32 little-endian: length of what it is
//! 16   -     what it is: tenant, key, start and end of the range, with line feeds between
//!  -   -     the piece
//! ```
//! Nothing is synced: a file that a crash left torn fails its checksum, is removed, and is read from the store again. What is kept
//! longest is decided by the same library as for the caches in memory; it forgets an entry, and the file goes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use loglake_model::{ChunkMeta, TenantId, TenantName};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::metrics::Metrics;

const MAGIC: [u8; 8] = *b"llpiece1";
const HEADER_BYTES: usize = 16;
/// A file takes whole blocks of the disk, and a name in its folder.
const FILE_BYTES: u64 = 4 << 10;
/// Pieces being written at a time; those that come meanwhile are not kept.
const WRITES: usize = 16;
/// Pieces being read at a time.
const READS: usize = 16;
const LOCK: &str = "lock";
const UNFINISHED: &str = "tmp";

/// The name of a piece.
type Name = [u8; 32];

/// The bytes of a file on the disk, about.
#[derive(Clone, Copy)]
struct Size(u64);

#[derive(Clone)]
struct Weigh;

impl Weighter<Name, Size> for Weigh {
    fn weight(&self, _: &Name, size: &Size) -> u64 {
        size.0
    }
}

/// Gathers the names that the index forgets.
#[derive(Clone, Debug)]
struct Forget;

impl Lifecycle<Name, Size> for Forget {
    type RequestState = Vec<Name>;

    fn on_evict(&self, forgotten: &mut Vec<Name>, name: Name, _: Size) {
        forgotten.push(name);
    }
}

/// A cache of pieces of objects in a folder of its own, bounded in bytes.
pub(crate) struct DiskCache {
    files: Arc<Files>,
    metrics: Metrics,
    reads: Semaphore,
    writes: Arc<Semaphore>,
}

struct Files {
    folder: PathBuf,
    index: Cache<Name, Size, Weigh, DefaultHashBuilder, Forget>,
    /// Distinguishes unfinished files.
    next: AtomicU64,
    _lock: File,
}

impl DiskCache {
    /// Opens the cache in `folder`, which is made where it is missing, and takes in what an earlier process left there, up to
    /// `bytes`. Blocks; call it at start.
    ///
    /// # Errors
    /// When the folder cannot be made, listed or written to, or another process uses it.
    pub(crate) fn open(folder: &Path, bytes: u64, metrics: Metrics) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| {
            io::Error::other(format!("another process uses it ({error}); give each query service a folder of its own"))
        })?;
        // A piece is about 100 KiB.
        let items = usize::try_from(bytes / (64 << 10)).unwrap_or(usize::MAX).max(64);
        let index = Cache::with(items, bytes, Weigh, DefaultHashBuilder::default(), Forget);
        let files = Files { folder: folder.to_owned(), index, next: AtomicU64::new(0), _lock: lock };
        files.take_in()?;
        let cache = Self {
            files: Arc::new(files),
            metrics,
            reads: Semaphore::new(READS),
            writes: Arc::new(Semaphore::new(WRITES)),
        };
        cache.tell_bytes();
        Ok(cache)
    }

    /// The bytes `range` of the object of `meta`, which is of `tenant`, if they are kept.
    pub(crate) async fn get(&self, tenant: &TenantId, meta: &ChunkMeta, range: &Range<u64>) -> Option<Bytes> {
        let what = describe(tenant.name(), &meta.key, range);
        let name = name_of(&what);
        let outcome = |outcome: &str| self.metrics.disk_cache.with_label_values(&[outcome]).inc();
        if self.files.index.get(&name).is_none() {
            outcome("miss");
            return None;
        }
        let _read = self.reads.acquire().await.ok()?;
        let files = Arc::clone(&self.files);
        let wanted = range.end.saturating_sub(range.start);
        let read = tokio::task::spawn_blocking(move || files.read(&name, &what, wanted)).await;
        match read {
            Ok(Ok(Some(piece))) => {
                outcome("hit");
                Some(piece)
            }
            Ok(Ok(None)) => {
                tracing::warn!(key = %meta.key, "a piece in the cache's folder is damaged, it is removed");
                outcome("damaged");
                None
            }
            // Somebody tidied up, or the disk fails: the store has it.
            Ok(Err(error)) => {
                tracing::debug!(key = %meta.key, %error, "piece not read from the cache's folder");
                outcome("miss");
                None
            }
            Err(error) => {
                tracing::error!(%error, "reading from the cache's folder failed");
                None
            }
        }
    }

    /// Keeps `piece`, the bytes `range` of the object of `meta`, which were checked and are `tenant`'s; in the background, unless
    /// much is being written already.
    pub(crate) fn keep(self: &Arc<Self>, tenant: &TenantId, meta: &ChunkMeta, range: &Range<u64>, piece: Bytes) {
        let what = describe(tenant.name(), &meta.key, range);
        let name = name_of(&what);
        if self.files.index.get(&name).is_some() {
            return;
        }
        let Ok(write) = Arc::clone(&self.writes).try_acquire_owned() else {
            self.metrics.disk_cache.with_label_values(&["passed_over"]).inc();
            return;
        };
        let cache = Arc::clone(self);
        // Nobody waits for it.
        drop(tokio::task::spawn_blocking(move || {
            // The permit goes last: who has all of them knows that no write holds the folder any more.
            let _write = write;
            let cache = cache;
            match cache.files.write(&name, &what, &piece) {
                Ok(()) => cache.tell_bytes(),
                Err(error) => {
                    tracing::warn!(%error, folder = %cache.files.folder.display(), "piece not kept in the cache's folder");
                    cache.metrics.disk_cache.with_label_values(&["not_written"]).inc();
                }
            }
        }));
    }

    fn tell_bytes(&self) {
        self.metrics.disk_cache_bytes.set(self.files.index.weight().cast_signed());
    }
}

/// What a piece is.
fn describe(tenant: &TenantName, key: &str, range: &Range<u64>) -> String {
    // Neither a tenant's name nor a chunk's key has a line feed.
    format!("{}\n{key}\n{}\n{}", tenant.as_str(), range.start, range.end)
}

fn name_of(what: &str) -> Name {
    Sha256::digest(what.as_bytes()).into()
}

fn hex(name: &Name) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hex(text: &str) -> Option<Name> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut name = Name::default();
    if pairs.len() != name.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in name.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(name)
}

impl Files {
    fn path(&self, name: &Name) -> PathBuf {
        let text = hex(name);
        self.folder.join(&text[..2]).join(text)
    }

    /// Takes in what is there; removes what is unfinished and what there is no room for.
    fn take_in(&self) -> io::Result<()> {
        let folders = fs::read_dir(&self.folder)?.collect::<Result<Vec<_>, _>>()?;
        for folder in folders.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            for entry in fs::read_dir(folder.path())? {
                let entry = entry?;
                match entry.file_name().to_str().and_then(parse_hex) {
                    Some(name) => self.insert(name, entry.metadata()?.len()),
                    None if entry.path().extension().is_some_and(|extension| extension == UNFINISHED) => {
                        fs::remove_file(entry.path())?;
                    }
                    // Not ours.
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn insert(&self, name: Name, file_bytes: u64) {
        let mut forgotten = Vec::new();
        self.index.insert_with_lifecycle(name, Size(file_bytes.next_multiple_of(FILE_BYTES)), &mut forgotten);
        for name in forgotten {
            self.remove_file(&name);
        }
    }

    fn remove_file(&self, name: &Name) {
        if let Err(error) = fs::remove_file(self.path(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, folder = %self.folder.display(), "file of the cache not removed");
        }
    }

    /// `None` when the file is damaged; it is gone then.
    fn read(&self, name: &Name, what: &str, wanted: u64) -> io::Result<Option<Bytes>> {
        let length = HEADER_BYTES as u64 + what.len() as u64 + wanted;
        let read = || {
            let path = self.path(name);
            // As much is believed as it must be; a file of another length is read no further.
            if fs::metadata(&path)?.len() == length { fs::read(&path).map(Some) } else { Ok(None) }
        };
        let bytes = read().inspect_err(|_| {
            self.index.remove(name);
        })?;
        let piece = bytes.map(Bytes::from).and_then(|bytes| unwrap(&bytes, what));
        if piece.is_none() {
            self.index.remove(name);
            self.remove_file(name);
        }
        Ok(piece)
    }

    fn write(&self, name: &Name, what: &str, piece: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("{number}.{UNFINISHED}"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(&header(what, piece))?;
            file.write_all(what.as_bytes())?;
            file.write_all(piece)?;
            fs::rename(&unfinished, &path)
        };
        if let Err(error) = write() {
            // It may not be there at all.
            let _gone = fs::remove_file(&unfinished);
            return Err(error);
        }
        self.insert(*name, (HEADER_BYTES + what.len() + piece.len()) as u64);
        Ok(())
    }
}

fn checksum(what: &str, piece: &[u8]) -> u32 {
    let length = (what.len() as u32).to_le_bytes();
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&length), what.as_bytes()), piece)
}

pub(crate) fn header(what: &str, piece: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&checksum(what, piece).to_le_bytes());
    header[12..].copy_from_slice(&(what.len() as u32).to_le_bytes());
    header
}

/// The piece in the bytes of a file, if it is whole and `what` is asked for.
pub(crate) fn unwrap(bytes: &Bytes, what: &str) -> Option<Bytes> {
    let at = HEADER_BYTES + what.len();
    let piece = bytes.get(at..)?;
    let is_whole = bytes.starts_with(&header(what, piece)) && bytes[HEADER_BYTES..at] == *what.as_bytes();
    is_whole.then(|| bytes.slice(at..))
}

#[cfg(test)]
mod tests;
