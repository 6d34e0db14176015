//! Reads of what the machine has in memory, made on the thread that asks: handing them to another one costs more than they do.
//!
//! `openat2` with `RESOLVE_CACHED` (Linux 5.12) and `preadv2` with `RWF_NOWAIT` (4.14) fail where they would wait for a disk.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

/// The longest read that is made so, in bytes: copying more would hold up whoever else waits for the thread.
#[cfg(target_os = "linux")]
const MOST_BYTES: u64 = 256 << 10;

/// Whether such reads are possible here.
#[derive(Debug, Default)]
pub(super) struct Cached {
    is_impossible: AtomicBool,
}

impl Cached {
    /// The bytes `range` of the file at `path`, which is no link, if all of them are in memory. `None` says no more than that they
    /// are to be read otherwise.
    pub(super) fn read(&self, path: &Path, range: &Range<u64>) -> Option<Bytes> {
        if self.is_impossible.load(Ordering::Relaxed) {
            return None;
        }
        self.try_read(path, range)
    }

    #[cfg(target_os = "linux")]
    fn try_read(&self, path: &Path, range: &Range<u64>) -> Option<Bytes> {
        use std::io::IoSliceMut;

        use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
        use rustix::io::{Errno, ReadWriteFlags};

        let length = range.end.checked_sub(range.start).filter(|length| *length <= MOST_BYTES)?;
        let length = usize::try_from(length).ok()?;
        let never_again = |error: Errno, signs: &[Errno]| {
            if signs.contains(&error) {
                self.is_impossible.store(true, Ordering::Relaxed);
            }
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED);
        // An old kernel, or a sandbox that forbids it.
        let file = file.map_err(|error| never_again(error, &[Errno::NOSYS, Errno::INVAL, Errno::PERM])).ok()?;
        let about = rustix::fs::fstat(&file).ok()?;
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
            return None;
        }
        let mut bytes = vec![0; length];
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        let read = rustix::io::preadv2(&file, parts, range.start, ReadWriteFlags::NOWAIT);
        // A file system without it.
        let read = read.map_err(|error| never_again(error, &[Errno::NOSYS, Errno::OPNOTSUPP])).ok()?;
        // A part of it may be in memory: the rest is waited for elsewhere.
        (read == length).then(|| bytes.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn try_read(&self, _: &Path, _: &Range<u64>) -> Option<Bytes> {
        self.is_impossible.store(true, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_read_as_it_is_and_nothing_else_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, b"0123456789").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let cached = Cached::default();
        // It was written a moment ago: it is in memory. But a file system may never tell, and a kernel not while it is busy.
        let read = (0..100).find_map(|_| {
            let read = cached.read(&file, &(2..7));
            if read.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            read
        });
        match read {
            Some(read) => assert_eq!(read, b"23456".as_slice()),
            None => println!("files of this folder are never known to be in memory"),
        }
        let reversed = Range { start: 7, end: 2 };
        for (path, range) in [(&file, 8..11), (&file, 20..21), (&file, reversed), (&link, 2..7)] {
            assert_eq!(cached.read(path, &range), None, "{} {range:?}", path.display());
        }
        for path in [folder.path(), &folder.path().join("absent")] {
            assert_eq!(cached.read(path, &(0..1)), None, "{}", path.display());
        }
    }
}
