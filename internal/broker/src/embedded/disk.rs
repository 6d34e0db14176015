use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// The segment that is written to. Tests make it fail.
#[derive(Debug)]
pub(super) struct Disk {
    file: Arc<File>,
    #[cfg(test)]
    pub(super) faults: Faults,
}

impl Disk {
    pub(super) fn new(file: Arc<File>, #[cfg(test)] faults: Faults) -> Self {
        Self {
            file,
            #[cfg(test)]
            faults,
        }
    }

    pub(super) fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(error) = self.faults.take(Fault::Write) {
            self.file.write_all_at(&bytes[..bytes.len() / 2], position)?;
            return Err(error);
        }
        self.file.write_all_at(bytes, position)
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
