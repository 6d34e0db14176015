//! Objects as files of a local folder: the file of an object is its key under the root.

mod cached;
mod folders;
mod temp;
mod walk;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_model::failpoint;
use rustix::fs::OFlags;
use rustix::io::Errno;
use tokio::sync::Semaphore;

use self::cached::Cached;
use self::folders::Folders;
use self::temp::{TempFile, TempFolder};
use crate::{Create, Error, Listing, ObjectStore, PAGE, key};

/// How many reads of the disk are under way at a time: enough to keep it busy. Each has a thread.
const READS: usize = 8;

/// How often a write starts again because its folder was removed under it by another process.
const ATTEMPTS: usize = 100;

/// Objects as files under one folder, readable there by any tool. Durable when a call returns: the file is synced before it
/// gets its name, its folders after.
///
/// Files are written under `<root>/.tmp` and linked or renamed into place, so an object is there whole or not at all.
/// Several processes may use the same folder. Hidden files, links and other names that are no keys are not seen.
/// Cloning gives another handle of the same store.
#[derive(Clone, Debug)]
pub struct FolderStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    temp: TempFolder,
    folders: Folders,
    reads: Semaphore,
    cached: Cached,
}

impl Shared {
    fn new(root: PathBuf, temp: TempFolder) -> Arc<Self> {
        let (folders, reads) = (Folders::new(root.clone()), Semaphore::new(READS));
        Arc::new(Self { root, temp, folders, reads, cached: Cached::default() })
    }
}

impl FolderStore {
    /// Opens the store in `root`, making the folder where it is missing, and removes what a crash left half written.
    /// Blocks; call it at start.
    ///
    /// # Errors
    /// `Forbidden`, `Exhausted` or `Unavailable` when the folder cannot be made or written to.
    pub fn open(root: PathBuf) -> Result<Self, Error> {
        let open = || {
            std::fs::create_dir_all(&root)?;
            let temp = TempFolder::open(&root)?;
            folders::sync(&root)?;
            Ok(temp)
        };
        let temp = open().map_err(|error| classify(&format!("open {}", root.display()), "", &error))?;
        Ok(Self { shared: Shared::new(root, temp) })
    }

    /// Opens the store in `root`, which must be there, as it is: what a crash left half written stays. For checks. Blocks.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder; else as [`FolderStore::open`].
    pub fn inspect(root: PathBuf) -> Result<Self, Error> {
        let open = || {
            if !std::fs::metadata(&root)?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            TempFolder::inspect(&root)
        };
        let temp =
            open().map_err(|error| classify(&format!("open {}", root.display()), &root.to_string_lossy(), &error))?;
        Ok(Self { shared: Shared::new(root, temp) })
    }

    /// What [`FolderStore::inspect`] found half written while no other process had the store open: how many files, and their
    /// length together in bytes.
    #[must_use]
    pub fn stale_files(&self) -> (u64, u64) {
        self.shared.temp.stale()
    }

    /// Removes those files.
    ///
    /// # Errors
    /// `Forbidden` or `Unavailable` when one cannot be removed.
    pub async fn remove_stale_files(&self) -> Result<(), Error> {
        let remove = |shared: &Shared| shared.temp.remove_stale().map_err(|error| classify("remove", ".tmp", &error));
        self.blocking("remove stale files", remove).await
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        call: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || call(&shared))
            .await
            .map_err(|error| Error::Unavailable { what: what.to_owned(), reason: error.to_string() })?
    }
}

#[async_trait]
impl ObjectStore for FolderStore {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        key::check(key)?;
        let key = key.to_owned();
        self.blocking("put", move |shared| shared.put(&key, &body)).await
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        key::check(key)?;
        let key = key.to_owned();
        self.blocking("create", move |shared| shared.create(&key, &body)).await
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        key::check(key)?;
        let key = key.to_owned();
        let _read = self.shared.reads.acquire().await.expect("it is never closed");
        self.blocking("get", move |shared| shared.get(&key, max_bytes)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        key::check(key)?;
        if key::check_range(key, &range)? {
            return Ok(Bytes::new());
        }
        if let Some(bytes) = self.shared.cached.read(&self.shared.path(key), &range) {
            // Nothing was waited for: whoever reads a thousand pieces must let others have the thread all the same.
            tokio::task::coop::consume_budget().await;
            return Ok(bytes);
        }
        let key = key.to_owned();
        let _read = self.shared.reads.acquire().await.expect("it is never closed");
        self.blocking("get_range", move |shared| shared.get_range(&key, &range)).await
    }

    fn request_bytes(&self) -> u64 {
        // Opening a file and asking for a piece of it, of what is in memory.
        4 << 10
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        key::check_prefix(prefix)?;
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.blocking("list", move |shared| {
            walk::page(&shared.root, &prefix, after.as_deref(), PAGE).map_err(|error| classify("list", &prefix, &error))
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        key::check(key)?;
        let key = key.to_owned();
        self.blocking("delete", move |shared| shared.delete(&key)).await
    }
}

impl Shared {
    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    fn write_temp(&self, what: &str, key: &str, body: &[u8]) -> Result<TempFile, Error> {
        self.temp.write(body).map_err(|error| classify(what, key, &error))
    }

    /// Runs `link`, which gives the file its name, with the key's folders in place, and again when another process removed
    /// one of them in between.
    fn in_folders<T>(&self, key: &str, mut link: impl FnMut(&Path) -> io::Result<T>) -> io::Result<T> {
        let path = self.path(key);
        let mut attempt = 1;
        loop {
            let outcome = self.folders.hold(key).and_then(|_held| link(&path));
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if attempt == ATTEMPTS {
                        return Err(io::Error::other("its folder is removed again and again"));
                    }
                    self.folders.forget(key);
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn put(&self, key: &str, body: &[u8]) -> Result<(), Error> {
        let temp = self.write_temp("put", key, body)?;
        self.in_folders(key, |path| {
            std::fs::rename(temp.path(), path)?;
            folders::sync_parent(path)
        })
        .map_err(|error| classify("put", key, &error))?;
        temp.was_renamed();
        Ok(())
    }

    fn create(&self, key: &str, body: &[u8]) -> Result<Create, Error> {
        let temp = self.write_temp("create", key, body)?;
        failpoint!("folder.staged");
        // A link never replaces anything: of any number of callers one makes it.
        let linked = self.in_folders(key, |path| {
            let created = match std::fs::hard_link(temp.path(), path) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                Err(error) => return Err(error),
            };
            failpoint!("folder.linked");
            // Also after someone else's: what a caller goes on to read there must not be gone after a power failure.
            match folders::sync_parent(path) {
                Ok(()) if created => Ok(Create::Created),
                Ok(()) => Ok(Create::Exists),
                Err(error) => {
                    tracing::warn!(key, %error, "folder not synced, create is in doubt");
                    Ok(Create::Unknown)
                }
            }
        });
        let outcome = linked.map_err(|error| classify("create", key, &error))?;
        if outcome == Create::Exists && self.path(key).is_dir() {
            return Err(Error::InvalidKey { key: key.to_owned() });
        }
        Ok(outcome)
    }

    /// Opens the object's file, which may be no link and no device, and tells its length.
    fn open(&self, what: &str, key: &str) -> Result<(File, u64), Error> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open = || {
            let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(self.path(key))?;
            let about = file.metadata()?;
            Ok((file, about))
        };
        let (file, about) = open().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory => Error::NotFound { key: key.to_owned() },
            // A link where the object would be.
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Error::NotFound { key: key.to_owned() },
            _ => classify(what, key, &error),
        })?;
        if about.is_file() { Ok((file, about.len())) } else { Err(Error::NotFound { key: key.to_owned() }) }
    }

    fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        let (file, length) = self.open("get", key)?;
        let too_large = || Error::TooLarge { key: key.to_owned(), length, max_bytes };
        if length > max_bytes {
            return Err(too_large());
        }
        let length = usize::try_from(length).map_err(|_| too_large())?;
        read_at(&file, 0, length).map_err(|error| classify("get", key, &error))
    }

    fn get_range(&self, key: &str, range: &Range<u64>) -> Result<Bytes, Error> {
        let short = || Error::Short { key: key.to_owned(), end: range.end };
        let (file, length) = self.open("get_range", key)?;
        if range.end > length {
            return Err(short());
        }
        let wanted = usize::try_from(range.end - range.start).map_err(|_| short())?;
        read_at(&file, range.start, wanted).map_err(|error| classify("get_range", key, &error))
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key);
        match std::fs::remove_file(&path).and_then(|()| folders::sync_parent(&path)) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(classify("delete", key, &error)),
        }
        self.folders.prune(key);
        Ok(())
    }
}

/// Reads `length` bytes from `offset` on, into memory that is not zeroed first.
fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut body = Vec::with_capacity(length);
    while body.len() < length {
        let at = offset.saturating_add(body.len() as u64);
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut body), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The memory may be a little larger than what was asked for.
    body.truncate(length);
    Ok(body.into())
}

fn classify(what: &str, key: &str, error: &io::Error) -> Error {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => Error::NotFound { key: key.to_owned() },
        Kind::StorageFull | Kind::QuotaExceeded => Error::Full(format!("{what} {key:?}: {error}")),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Error::Forbidden(format!("{what} {key:?}: {error}")),
        // The key is a folder of others, or one of its folders is an object.
        Kind::NotADirectory | Kind::IsADirectory | Kind::DirectoryNotEmpty => Error::InvalidKey { key: key.to_owned() },
        _ => Error::Unavailable { what: format!("{what} {key:?}"), reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
