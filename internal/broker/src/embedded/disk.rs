use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use crate::embedded::group_buffer::{BLOCK_BYTES, GroupBuffer};

/// The segment that is written to, past the page cache where the file system lets us: what is written is hardly ever read again, and
/// copying it into pages and out of them costs more than all else that a log does. Tests make it fail.
#[derive(Debug)]
pub(super) struct Disk {
    file: Arc<File>,
    /// The same file, opened for writes past the page cache.
    direct: Option<File>,
    #[cfg(test)]
    pub(super) faults: Faults,
}

impl Disk {
    pub(super) fn new(file: Arc<File>, path: &Path, #[cfg(test)] faults: Faults) -> Self {
        Self {
            file,
            direct: direct(path),
            #[cfg(test)]
            faults,
        }
    }

    /// The bytes from the last multiple of a block up to `position`: what a group that begins there has before it in its block.
    pub(super) fn lead(&self, position: u64) -> io::Result<Vec<u8>> {
        let start = position / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
        // Less than a block.
        let mut lead = vec![0; (position - start) as usize];
        self.file.read_exact_at(&mut lead, start)?;
        Ok(lead)
    }

    /// Writes the group in `buffer` at `position`. Past the page cache its last block is filled up with zeros, which the next group
    /// takes the place of; its first one is written again with what it held, as the page cache would do.
    pub(super) fn write_group(&mut self, buffer: &mut GroupBuffer, position: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(error) = self.faults.take(Fault::Write) {
            let group = buffer.group();
            self.file.write_all_at(&group[..group.len() / 2], position)?;
            return Err(error);
        }
        if let Some(file) = &self.direct {
            let start = position / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
            match buffer.with_blocks(|blocks| file.write_all_at(blocks, start)) {
                // A file system that takes the flag and not the write.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    tracing::info!(%error, "the log is written through the page cache");
                    self.direct = None;
                }
                written => return written,
            }
        }
        self.file.write_all_at(buffer.group(), position)
    }

    pub(super) fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(error) = self.faults.take(Fault::Sync) {
            return Err(error);
        }
        self.file.sync_data()
    }

    /// Cuts the file back to `bytes`, durably.
    pub(super) fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.file.sync_all()
    }
}

/// Opens `path` for writes past the page cache; `None` where that is not to be had.
fn direct(path: &Path) -> Option<File> {
    #[cfg(target_os = "linux")]
    {
        // The flag is a small positive number on every machine.
        let flag = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        match OpenOptions::new().write(true).custom_flags(flag).open(path) {
            Ok(file) => return Some(file),
            Err(error) => tracing::debug!(%error, "the log is written through the page cache"),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::format::{GROUP_HEADER_BYTES, RECORD_HEADER_BYTES, push_record};

    #[test]
    fn past_the_page_cache_and_through_it_the_same_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, is_direct: bool| {
            let path = dir.path().join(name);
            std::fs::write(&path, b"a header").unwrap();
            let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let mut disk = Disk::new(Arc::new(file), &path, Faults::default());
            if !is_direct {
                disk.direct = None;
            }
            let (mut buffer, mut position) = (GroupBuffer::default(), 8);
            for payload in [10, 4_000, 70_000, 0, 4_096 - 60, 1] {
                let lead = disk.lead(position).unwrap();
                buffer.begin(&lead, GROUP_HEADER_BYTES + RECORD_HEADER_BYTES + payload);
                push_record(buffer.bytes_mut(), 1, 2, 3, &vec![payload as u8; payload]);
                disk.write_group(&mut buffer, position).unwrap();
                disk.sync_data().unwrap();
                position += buffer.group_bytes() as u64;
                assert_eq!(buffer.rest(), disk.lead(position).unwrap());
            }
            disk.cut(position).unwrap();
            std::fs::read(path).unwrap()
        };
        assert_eq!(write("direct", true), write("cached", false));
    }
}

#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Write,
    Sync,
}

/// Failures to come, shared with the test that asked for them.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<parking_lot::Mutex<Vec<(Fault, io::ErrorKind)>>>);

#[cfg(test)]
impl Faults {
    pub(super) fn add(&self, fault: Fault, kind: io::ErrorKind) {
        self.0.lock().push((fault, kind));
    }

    fn take(&self, fault: Fault) -> Option<io::Error> {
        let mut faults = self.0.lock();
        let at = faults.iter().position(|(next, _)| *next == fault)?;
        Some(io::Error::from(faults.remove(at).1))
    }
}
