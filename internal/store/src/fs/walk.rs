//! Listing in key order: a walk over sorted folders that holds a page in memory, not the bucket.

use std::io;
use std::path::Path;

use crate::{Listing, Object, key};

/// A page of at most `limit` objects.
pub(super) fn page(root: &Path, prefix: &str, after: Option<&str>, limit: usize) -> io::Result<Listing> {
    let (folder, _) = key::split_prefix(prefix);
    let mut walk = Walk { root, prefix, after: after.unwrap_or(""), limit, objects: Vec::new() };
    walk.folder(folder)?;
    let has_more = walk.objects.len() > limit;
    walk.objects.truncate(limit);
    Ok(Listing { objects: walk.objects, has_more })
}

struct Walk<'a> {
    root: &'a Path,
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    /// One more than the limit shows that there is more.
    objects: Vec<Object>,
}

impl Walk<'_> {
    fn is_full(&self) -> bool {
        self.objects.len() > self.limit
    }

    /// Walks `folder`, a key with its closing slash or empty for the root.
    fn folder(&mut self, folder: &str) -> io::Result<()> {
        let mut floor = String::new();
        loop {
            let (keys, is_last) = self.lowest(folder, &floor)?;
            for key in &keys {
                if self.is_full() {
                    return Ok(());
                }
                if key.ends_with('/') {
                    self.folder(key)?;
                } else {
                    self.object(key)?;
                }
            }
            match keys.into_iter().next_back() {
                Some(last) if !is_last && !self.is_full() => floor = last,
                _ => return Ok(()),
            }
        }
    }

    fn object(&mut self, key: &str) -> io::Result<()> {
        match self.root.join(key).symlink_metadata() {
            Ok(about) if about.is_file() => {
                self.objects.push(Object { key: key.to_owned(), length: about.len() });
                Ok(())
            }
            Ok(_) => Ok(()),
            // Deleted since it was seen.
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The lowest keys right in `folder` past `floor` that can matter, ascending, folders with their closing slash; and
    /// whether these are all.
    ///
    /// With the slash in, names sort as the keys below them do: `a-b`, `a.b`, `a/…`, `a0`.
    fn lowest(&self, folder: &str, floor: &str) -> io::Result<(Vec<String>, bool)> {
        let entries = match std::fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => return Ok((Vec::new(), true)),
            Err(error) => return Err(error),
        };
        let most = self.limit + 1;
        let (mut keys, mut is_last) = (Vec::new(), true);
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| key::is_part(name)) else { continue };
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            let key = match (kind.is_dir(), kind.is_file()) {
                (true, _) => format!("{folder}{name}/"),
                (_, true) => format!("{folder}{name}"),
                _ => continue,
            };
            if key.len() > key::MAX_BYTES || key.as_str() <= floor || !self.may_hold(&key) {
                continue;
            }
            keys.push(key);
            if keys.len() >= most * 2 {
                keys.sort_unstable();
                keys.truncate(most);
                is_last = false;
            }
        }
        keys.sort_unstable();
        if keys.len() > most {
            keys.truncate(most);
            is_last = false;
        }
        Ok((keys, is_last))
    }

    /// Whether an object wanted is at `key` or, for a folder, may be below it.
    fn may_hold(&self, key: &str) -> bool {
        let is_folder = key.ends_with('/');
        let by_prefix = key.starts_with(self.prefix) || is_folder && self.prefix.starts_with(key);
        let by_after = key > self.after || is_folder && self.after.starts_with(key);
        by_prefix && by_after
    }
}

/// Whether the thing was removed, or replaced by one of another kind, since it was seen.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
