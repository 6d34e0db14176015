use crate::Error;
use crate::embedded::format::MAX_PARTITIONS;

/// Settings of the embedded log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many partitions, 1..=1,024. More than the log has: they are added. Fewer: refused.
    pub partitions: u32,
    /// A segment file is closed, and the next begun, before it grows past this: 4 KiB..=1 GiB, default 64 MiB. Space is given
    /// back a file at a time, so a smaller one gives it back earlier.
    pub segment_bytes: u64,
    /// How much disk all segment files together may take: at least two segments, default 8 GiB. Past it appends are refused
    /// until something is trimmed.
    pub max_bytes: u64,
    /// Free space on the log's disk, in bytes, that appends leave alone: it is there so that flushing, which frees space, can go on.
    /// `None`, the default: 1 GiB, at most a twentieth of the disk.
    pub disk_reserve_bytes: Option<u64>,
    /// How many bytes of recent messages stay in memory, default 48 MiB, so that who follows the log reads no file. Writes go
    /// past the page cache: whoever falls behind further reads the disk.
    pub tail_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            partitions: 4,
            segment_bytes: 64 << 20,
            max_bytes: 8 << 30,
            disk_reserve_bytes: None,
            tail_bytes: 48 << 20,
        }
    }
}

impl Config {
    /// The smallest and the largest segment, in bytes.
    const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 4 << 10..=1 << 30;

    pub(super) fn check(&self) -> Result<(), Error> {
        if !(1..=MAX_PARTITIONS).contains(&self.partitions) {
            return Err(Error::Config(format!(
                "the embedded log has 1..={MAX_PARTITIONS} partitions, not {}",
                self.partitions
            )));
        }
        if !Self::SEGMENT_BYTES.contains(&self.segment_bytes) {
            return Err(Error::Config(format!(
                "a segment of the embedded log has {} to {} bytes, not {}",
                Self::SEGMENT_BYTES.start(),
                Self::SEGMENT_BYTES.end(),
                self.segment_bytes
            )));
        }
        if self.max_bytes / 2 < self.segment_bytes {
            return Err(Error::Config(format!(
                "the embedded log needs room for two segments of {} bytes, its cap is {} bytes",
                self.segment_bytes, self.max_bytes
            )));
        }
        Ok(())
    }
}
