//! The reserve of free space on the log's disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a measurement is good, less what was written since.
const GOOD_FOR: Duration = Duration::from_millis(500);
/// Nearer than this to the reserve it is measured each time: others write to the disk too.
const NEAR_BYTES: u64 = 64 << 20;
/// The default reserve, and the part of the disk that it takes at most.
const DEFAULT_BYTES: u64 = 1 << 30;
const DEFAULT_PART: u64 = 20;

/// The space on the log's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free bytes.
    pub free_bytes: u64,
    /// Of these, what appends leave alone.
    pub reserve_bytes: u64,
    /// Appends refused because less than the reserve would have been left, since the log was opened.
    pub refused: u64,
}

/// Lets appends through while more than the reserve is free.
#[derive(Debug)]
pub(super) struct Reserve {
    dir: PathBuf,
    configured: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    measured: Option<(Instant, Space)>,
    refused: u64,
    is_low: bool,
    /// What a test says of the disk: free bytes, and all.
    #[cfg(test)]
    pretended: Option<(u64, u64)>,
}

impl Reserve {
    pub(super) fn new(dir: &Path, configured: Option<u64>) -> Self {
        Self { dir: dir.to_owned(), configured, state: Mutex::default() }
    }

    /// Lets `appends` of `bytes` together through, or says why not.
    pub(super) fn admit(&self, bytes: u64, appends: usize) -> Result<(), String> {
        let mut state = self.state.lock();
        let is_good = state.measured.is_some_and(|(at, space)| {
            at.elapsed() < GOOD_FOR && space.free_bytes > space.reserve_bytes.saturating_add(bytes + NEAR_BYTES)
        });
        if !is_good {
            match self.measure(&mut state) {
                Ok(space) => state.measured = Some((Instant::now(), space)),
                Err(error) => {
                    // The write itself will say whether there is space.
                    tracing::debug!(%error, "free space not known");
                    return Ok(());
                }
            }
        }
        let Some((_, space)) = &mut state.measured else { return Ok(()) };
        let (free, reserve) = (space.free_bytes, space.reserve_bytes);
        let is_low = free.saturating_sub(bytes) < reserve;
        if !is_low {
            space.free_bytes = free - bytes;
        }
        if is_low != state.is_low {
            state.is_low = is_low;
            if is_low {
                tracing::warn!(free, reserve, "disk nearly full: appends are refused, flushing and queries go on");
            } else {
                tracing::info!(free, reserve, "space on the disk again: appends are taken");
            }
        }
        if !is_low {
            return Ok(());
        }
        state.refused += appends as u64;
        Err(format!(
            "{free} bytes are free on the disk of {}, and {reserve} of them are kept for flushing: free space, or lower \
             broker.disk_reserve",
            self.dir.display()
        ))
    }

    /// The space as it is now.
    pub(super) fn space(&self) -> std::io::Result<Space> {
        let mut state = self.state.lock();
        let space = self.measure(&mut state)?;
        state.measured = Some((Instant::now(), space));
        Ok(Space { refused: state.refused, ..space })
    }

    fn measure(&self, state: &mut State) -> std::io::Result<Space> {
        #[cfg(test)]
        if let Some((free_bytes, total)) = state.pretended {
            return Ok(Space { free_bytes, reserve_bytes: self.reserve(total), refused: state.refused });
        }
        let disk = rustix::fs::statvfs(&self.dir)?;
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(Space { free_bytes, reserve_bytes: self.reserve(total), refused: state.refused })
    }

    fn reserve(&self, total: u64) -> u64 {
        self.configured.unwrap_or(DEFAULT_BYTES.min(total / DEFAULT_PART))
    }

    /// Says what the disk has, instead of asking it.
    #[cfg(test)]
    pub(super) fn pretend(&self, free_bytes: u64, total: u64) {
        let mut state = self.state.lock();
        state.pretended = Some((free_bytes, total));
        state.measured = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_reserve_fits_the_disk() {
        let reserve = Reserve::new(Path::new("."), None);
        assert_eq!(reserve.reserve(1 << 40), 1 << 30);
        assert_eq!(reserve.reserve(100 << 20), 5 << 20);
        assert_eq!(Reserve::new(Path::new("."), Some(0)).reserve(1 << 40), 0);
    }

    #[test]
    fn the_real_disk_is_measured() {
        let space = Reserve::new(Path::new("."), Some(7)).space().unwrap();
        assert_eq!((space.reserve_bytes, space.refused), (7, 0));
        assert!(space.free_bytes > 0);
    }
}
