//! Where a Loglake keeps its data: a folder, or a bucket, a topic and keys of its own on real servers.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::stack::Stack;

/// Where a Loglake keeps its data.
#[derive(Clone, Debug)]
pub enum Place {
    /// The data folder of `loglake dev`.
    Folder(PathBuf),
    /// Real servers, of which a bucket, a topic and keys with this name are its own.
    Servers {
        /// The servers.
        stack: Stack,
        /// The name: lower-case letters, digits and dashes.
        name: String,
    },
}

/// What lies there once everything is flushed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AtRest {
    /// Bytes of all objects.
    pub object_bytes: u64,
    /// All objects: chunks and the chain's.
    pub objects: u64,
    /// How many of them are chunks.
    pub chunks: u64,
}

impl Place {
    /// The environment of a process that works there.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        match self {
            Self::Folder(_) => Vec::new(),
            Self::Servers { stack, name } => stack.env(name),
        }
    }

    /// Counts what is stored.
    ///
    /// # Errors
    /// It cannot be read, or there is no chunk: then nothing was flushed and no figure means anything.
    pub fn at_rest(&self) -> anyhow::Result<AtRest> {
        let at_rest = match self {
            Self::Folder(folder) => walk(&folder.join("objects"))?,
            Self::Servers { stack, name } => walk(&stack.bucket(name))?,
        };
        ensure!(at_rest.chunks > 0, "there is no chunk: nothing was flushed");
        Ok(at_rest)
    }

    /// Bytes of the index: its files, or the memory that its keys take in Redis.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn index_bytes(&self) -> anyhow::Result<u64> {
        match self {
            Self::Folder(folder) => {
                // Its journal is made large in advance; what it takes on the disk counts.
                let files = files(&folder.join("index"))?;
                let blocks = files.iter().map(|(path, _)| std::fs::metadata(path).map(|file| file.blocks()));
                Ok(blocks.sum::<std::io::Result<u64>>().context("reading the index")? * 512)
            }
            Self::Servers { stack, name } => stack.index_bytes(name),
        }
    }

    /// Files that hold the stored chunks, on the machine's own disk.
    ///
    /// # Errors
    /// They cannot be listed. MinIO's files are not the objects' own bytes: only for a folder.
    pub fn chunk_files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let Self::Folder(folder) = self else { anyhow::bail!("chunks can be read in a folder only") };
        let files = files(&folder.join("objects"))?.into_iter().map(|(path, _)| path);
        Ok(files.filter(|path| is_chunk(path)).collect())
    }
}

fn is_chunk(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".ndjson.gz"))
}

/// Counts the objects below a folder. MinIO makes a folder of each object: its own file beside the object's parts.
fn walk(folder: &Path) -> anyhow::Result<AtRest> {
    let mut at_rest = AtRest { object_bytes: 0, objects: 0, chunks: 0 };
    for (path, bytes) in files(folder)? {
        at_rest.object_bytes += bytes;
        let is_minio = path.file_name().is_some_and(|name| name == "xl.meta");
        let is_part = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part."));
        let object = if is_minio { path.parent().unwrap_or(&path) } else { &path };
        at_rest.objects += u64::from(!is_part);
        at_rest.chunks += u64::from(!is_part && is_chunk(object));
    }
    Ok(at_rest)
}

/// All files below a folder, with their lengths.
fn files(folder: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let reading = || format!("reading {}", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let metadata = entry.metadata().with_context(reading)?;
            if metadata.is_dir() { folders.push(entry.path()) } else { found.push((entry.path(), metadata.len())) }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_in_a_folder_and_as_minio_keeps_them() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: usize| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; bytes]).unwrap();
        };
        put("d/objects/data/a.ndjson.gz", 10);
        put("d/objects/chain/1", 1);
        let place = Place::Folder(folder.path().join("d"));
        let at_rest = place.at_rest().unwrap();
        assert_eq!((at_rest.object_bytes, at_rest.objects, at_rest.chunks), (11, 2, 1));
        assert_eq!(place.chunk_files().unwrap().len(), 1);

        put("bucket/data/a.ndjson.gz/xl.meta", 3);
        put("bucket/data/a.ndjson.gz/8f3c/part.1", 9);
        put("bucket/data/b.ndjson.gz/xl.meta", 5);
        put("bucket/chain/1/xl.meta", 2);
        let at_rest = walk(&folder.path().join("bucket")).unwrap();
        assert_eq!((at_rest.object_bytes, at_rest.objects, at_rest.chunks), (19, 3, 2));
        assert!(Place::Folder(folder.path().join("none")).at_rest().is_err());
    }
}
