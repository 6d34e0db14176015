//! Files that have no key yet.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::folders;

/// `<root>/.tmp`, where objects are written before they get their name: no key begins with a dot.
#[derive(Debug)]
pub(super) struct TempFolder {
    path: PathBuf,
    /// Locked for as long as the store is open, shared among all processes that have it open.
    _lock: File,
    /// What a crash left half written, found when nobody had the store open: file and length. Only [`TempFolder::inspect`] looks.
    stale: Vec<(PathBuf, u64)>,
    /// Tells the files of this store from those of others.
    nonce: u64,
    count: AtomicU64,
}

impl TempFolder {
    /// Makes the folder, and empties it where no other process is using it.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let path = root.join(".tmp");
        std::fs::create_dir_all(&path)?;
        let lock = File::options().create(true).truncate(false).read(true).write(true).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => sweep(&path)?,
            Err(TryLockError::WouldBlock) => {
                tracing::debug!(folder = %path.display(), "temporary files kept, another process has the store open");
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(folder = %path.display(), %error, "temporary files kept, the file system has no locks");
                return Ok(Self::with(path, lock, Vec::new()));
            }
        }
        lock.lock_shared()?;
        Ok(Self::with(path, lock, Vec::new()))
    }

    /// Opens the folder and removes nothing. What is half written is known as stale only where no other process is using the
    /// folder.
    pub(super) fn inspect(root: &Path) -> io::Result<Self> {
        let path = root.join(".tmp");
        std::fs::create_dir_all(&path)?;
        let lock = File::options().create(true).truncate(false).read(true).write(true).open(path.join("lock"))?;
        let stale = match lock.try_lock() {
            Ok(()) => left_over(&path)?,
            Err(TryLockError::WouldBlock) => Vec::new(),
            Err(TryLockError::Error(_)) => return Ok(Self::with(path, lock, Vec::new())),
        };
        lock.lock_shared()?;
        Ok(Self::with(path, lock, stale))
    }

    fn with(path: PathBuf, lock: File, stale: Vec<(PathBuf, u64)>) -> Self {
        Self { path, _lock: lock, stale, nonce: rand::random(), count: AtomicU64::new(0) }
    }

    /// How many files are stale, and their length together in bytes.
    pub(super) fn stale(&self) -> (u64, u64) {
        (self.stale.len() as u64, self.stale.iter().map(|(_, length)| length).sum())
    }

    /// Removes the stale files. Their names carry a nonce: nobody writes to one of them again.
    pub(super) fn remove_stale(&self) -> io::Result<()> {
        for (file, _) in &self.stale {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        folders::sync(&self.path)
    }

    /// Writes a new file and syncs it.
    pub(super) fn write(&self, body: &[u8]) -> io::Result<TempFile> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("{:016x}-{count}", self.nonce));
        let mut file = File::create_new(&path)?;
        let temp = TempFile { path: Some(path) };
        file.write_all(body)?;
        file.sync_all()?;
        Ok(temp)
    }
}

/// Removes what a crash left.
fn sweep(path: &Path) -> io::Result<()> {
    let left = left_over(path)?;
    for (file, _) in &left {
        std::fs::remove_file(file)?;
    }
    if !left.is_empty() {
        tracing::info!(folder = %path.display(), files = left.len(), "removed what an earlier process left half written");
    }
    folders::sync(path)
}

/// The files in the folder, each with its length.
fn left_over(path: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() != "lock" && entry.file_type()?.is_file() {
            files.push((entry.path(), entry.metadata()?.len()));
        }
    }
    Ok(files)
}

/// A file without a key. Removed when dropped.
#[derive(Debug)]
pub(super) struct TempFile {
    path: Option<PathBuf>,
}

impl TempFile {
    pub(super) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Says that it stands elsewhere now.
    pub(super) fn was_renamed(mut self) {
        self.path = None;
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "temporary file not removed");
        }
    }
}
