//! The files of the log's folder: the lock, the topic file, names of segments.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use loglake_model::failpoint;

use crate::Error;
use crate::embedded::format::Flaw;

const LOCK: &str = "lock";
const TOPIC: &str = "topic";
const UNFINISHED: &str = "tmp";

/// Turns the system's refusal into an error that says what was being done.
pub(super) fn refused(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// Whether there is no space, as opposed to a disk that fails.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Turns a flaw of the bytes of `path` at `position` into an error.
pub(super) fn flawed(path: &Path, position: u64, flaw: &Flaw) -> Error {
    match flaw {
        Flaw::Newer(version) => Error::Config(format!(
            "{} has format version {version}, written by a newer version of this program; this one reads up to {}",
            path.display(),
            super::format::VERSION
        )),
        Flaw::Damaged(what) | Flaw::Impossible(what) => corrupt(path, position, *what),
    }
}

pub(super) fn corrupt(path: &Path, position: u64, what: impl Into<String>) -> Error {
    Error::Corrupt { place: format!("{} byte {position}", path.display()), what: what.into() }
}

/// Makes the folder and takes its lock; the lock ends with the file (or the process).
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    fs::create_dir_all(dir).map_err(refused(format!("cannot make the folder {}", dir.display())))?;
    try_lock(dir)?.ok_or_else(|| {
        Error::Config(format!(
            "the log in {} is open in another process: stop it, or use another data folder",
            dir.display()
        ))
    })
}

/// Takes the folder's lock; `None` while another process has it.
pub(super) fn try_lock(dir: &Path) -> Result<Option<File>, Error> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(refused(format!("cannot open {}", path.display())))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(refused(format!("cannot lock {}", path.display()))(error.into())),
    }
}

/// Makes the names in `dir` durable.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn topic_path(dir: &Path) -> PathBuf {
    dir.join(TOPIC)
}

pub(super) fn segment_path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:020}.log"))
}

/// Writes a whole file so that it is there with all of its bytes or not at all, also after a power cut. Returns it open for
/// reading and writing.
pub(super) fn write_whole(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<File> {
    let unfinished = path.with_extension(UNFINISHED);
    let write = || -> io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(file)
    };
    let file = write().inspect_err(|_| {
        // What is left over is also removed by the next opening.
        let _ = fs::remove_file(&unfinished);
    })?;
    failpoint!("log.file_written");
    fs::rename(&unfinished, path)?;
    sync(dir)?;
    Ok(file)
}

/// The numbers of the segment files, ascending; removes what an interrupted [`write_whole`] left.
pub(super) fn segments(dir: &Path) -> Result<Vec<u64>, Error> {
    let listing = || format!("cannot list {}", dir.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(refused(listing()))? {
        let path = entry.map_err(refused(listing()))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(UNFINISHED) => {
                fs::remove_file(&path).map_err(refused(format!("cannot remove {}", path.display())))?;
            }
            Some("log") => {
                let number = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 20);
                found.extend(number.and_then(|number| number.parse::<u64>().ok()));
            }
            _ => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}
