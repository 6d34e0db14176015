//! The folders of keys: made durably before a file goes in, removed when the last one went.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

/// How many folders are remembered to be durable; past it all are forgotten, which costs a sync each.
const REMEMBERED: usize = 10_000;

/// Knows which folders are there for certain, so that a write does not sync all of them again.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    /// Writers share it while they need their folders; who removes empty ones has it alone.
    gate: RwLock<()>,
    /// Folders of keys, with their closing slash, whose entry in their parent is synced.
    durable: Mutex<HashSet<String>>,
}

/// The promise that no one in this process removes a folder.
pub(super) struct Held<'a> {
    _gate: RwLockReadGuard<'a, ()>,
}

impl Folders {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, gate: RwLock::new(()), durable: Mutex::default() }
    }

    /// Makes the folders of `key` durably and keeps them until the answer is dropped.
    pub(super) fn hold(&self, key: &str) -> io::Result<Held<'_>> {
        let held = Held { _gate: self.gate.read() };
        for folder in ancestors(key) {
            if self.durable.lock().contains(folder) {
                continue;
            }
            let path = self.root.join(folder);
            match std::fs::create_dir(&path) {
                Ok(()) => {}
                // Perhaps someone else's of this moment, not synced yet.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            sync_parent(&path)?;
            let mut durable = self.durable.lock();
            if durable.len() >= REMEMBERED {
                durable.clear();
            }
            durable.insert(folder.to_owned());
        }
        Ok(held)
    }

    /// Forgets that the folders of `key` are there: another process removed one.
    pub(super) fn forget(&self, key: &str) {
        let mut durable = self.durable.lock();
        for folder in ancestors(key) {
            durable.remove(folder);
        }
    }

    /// Removes the folders of `key` that are empty now, innermost first. An empty folder harms no one, so nothing is
    /// reported.
    pub(super) fn prune(&self, key: &str) {
        let folders: Vec<&str> = ancestors(key).collect();
        for folder in folders.into_iter().rev() {
            let path = self.root.join(folder);
            // A look first: the gate stops all writers.
            if std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
                return;
            }
            let _gate = self.gate.write();
            self.durable.lock().remove(folder);
            if std::fs::remove_dir(&path).is_err() {
                return;
            }
        }
    }
}

/// The folders of `key`, outermost first, with their closing slash.
fn ancestors(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').map(|(at, _)| &key[..=at])
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes the name of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync)
}
