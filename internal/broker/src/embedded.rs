//! The embedded broker: a durable log on the local disk, for one process.
//!
//! All partitions share one segment file. A thread of its own gathers every append that waits into a **group**, writes it
//! with one call, syncs it, and only then answers: one `fdatasync` serves them all.
//!
//! # Files, format version 1
//! ```text
//! DIR/lock                        held (flock) by the process that has the log open
//! DIR/topic                       what the log is; written once, replaced only to add partitions
//! DIR/00000000000000000001.log    segments, numbered without gaps; the highest one is written to
//! ```
//! All numbers are little-endian and unsigned unless told otherwise. Every checksum is CRC-32C over all bytes of its header
//! before it (and a record's payload).
//! ```text
//! topic (48 bytes)                              segment header (68 bytes + 16 a partition)
//!  0  8  "LLTOPIC\n"                              0  8  "LLSEGMT\n"
//!  8  4  format version                           8  4  format version
//! 12  4  partitions                              12  4  partitions when it was begun (1..=1,024)
//! 16 16  topic id, random                        16  8  segment number, from 1
//! 32  8  made at, ns UTC (signed)                24 16  topic id
//! 40  4  0                                       40  8  mark, random; the top bit of its fourth byte is set
//! 44  4  checksum                                48  8  number of the first group
//!                                                56  8  0
//!                                                64 ..  a partition: 8 its next offset, 8 its last append time (signed)
//!                                                 .  4  checksum
//! group header (32 bytes)                       record (28 bytes + payload)
//!  0  8  the segment's mark                       0  4  payload length in bytes (up to 1 MiB)
//!  8  8  number: one more than the last           4  4  partition
//! 16  4  length of the records, bytes             8  8  offset
//! 20  4  how many records                        16  8  append time, ns UTC (signed)
//! 24  4  0                                       24  4  checksum, payload included
//! 28  4  checksum                                28 ..  payload
//! ```
//! Behind the last group of the segment that is written to zeros may stand, fewer than a block of 4,096 bytes: writes go past the page
//! cache where the file system allows it, and so in whole blocks. They are cut off when the segment or the log is closed.
//!
//! A segment is its header and then groups, back to back. A group's records stand ordered by partition, within one by
//! offset. A group without records is written when the log is closed in order. **Version rule**: a reader refuses a newer
//! format version than its own; any change to the above is a new version.
//!
//! # What opening makes of damage
//! A group is written only after the one before was synced. So a group that fails its checksums was acknowledged if a valid
//! header of a *later* group stands behind it, and may be a **torn tail**, never acknowledged, if none does. The tail is cut;
//! anything else is [`Error::Corrupt`], with file and position. Behind means: in the same file, found by the mark, which nobody
//! outside can know and so nobody can plant in a payload; or in a later segment, whose header says with which group and offsets
//! it goes on. Offsets never restart, also when all that was written is trimmed: the newest segment is always kept, and
//! its header has them.
//!
//! # When the disk fails
//! A write that finds no space is cut back to the last synced group and answered with [`Error::NoSpace`], as is one that would leave
//! less than the reserve free, before it is tried. After any other failed
//! write or sync nobody knows what the disk holds: nothing more is accepted until the log is opened again.

mod config;
mod disk;
mod folder;
mod format;
mod group_buffer;
mod read;
mod recover;
mod space;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_model::Clock;
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::config::Config;
pub use self::space::Space;
use self::state::Shared;
use crate::{
    Appended, Assignment, Consumer, Error, Fetched, Offsets, PartitionConsumer, Producer, Reader, Topic, Trim,
};

/// A log that is not open: its folder is locked, so that nobody else opens it, and nothing in it is touched. Dropping it
/// lets go.
#[derive(Debug)]
pub struct Closed {
    topic: Topic,
    _lock: std::fs::File,
}

impl Closed {
    /// Locks the log in `dir`; `None` while another process has it open.
    ///
    /// # Errors
    /// `Invalid` when there is no log, or one of a newer format; `Corrupt` when its topic file is damaged; `Unavailable` when
    /// the disk refuses.
    pub fn lock(dir: &Path) -> Result<Option<Self>, Error> {
        let topic = recover::topic(dir)?;
        Ok(folder::try_lock(dir)?.map(|lock| Self { topic, _lock: lock }))
    }

    /// The topic's id and partitions.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }
}

/// The embedded broker: a durable log in a folder. Open it once; clones of the `Arc` share it.
#[derive(Debug)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    topic: Topic,
    writer: Mutex<Option<JoinHandle<()>>>,
    is_assigned: AtomicBool,
}

impl EmbeddedLog {
    /// The largest message, in bytes.
    pub const MAX_MESSAGE_BYTES: usize = format::MAX_PAYLOAD_BYTES;

    /// Opens the log in `dir`, making it if there is none. Reads all of it once; blocks meanwhile.
    ///
    /// # Errors
    /// `Invalid` for settings that cannot be used, fewer partitions than the log has, a newer format, or a log that another
    /// process has open; `Corrupt` when it is damaged anywhere but in a torn tail; `Unavailable` when the disk refuses.
    pub fn open(dir: &Path, config: Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>, Error> {
        config.check()?;
        let lock = folder::lock(dir)?;
        let recovered = recover::open(dir, &config, clock.now_ns())?;
        let topic = recovered.topic.topic();
        let (shared, writer) = writer::start(dir, &config, clock, lock, recovered)?;
        Ok(Arc::new(Self { shared, topic, writer: Mutex::new(Some(writer)), is_assigned: AtomicBool::new(false) }))
    }

    /// Writes what was accepted, syncs it, and lets go of the folder. Appends fail from now on; what is there can still be
    /// read. Closing twice does nothing.
    pub async fn close(&self) {
        self.shared.queue.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer
            && tokio::task::spawn_blocking(move || writer.join()).await.is_ok_and(|ended| ended.is_err())
        {
            tracing::error!("log writer panicked");
        }
    }

    /// How many bytes the segment files take.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.shared.state.lock().used_bytes()
    }

    /// The space on the log's disk, measured now.
    ///
    /// # Errors
    /// What the system says when it cannot tell.
    pub fn space(&self) -> std::io::Result<Space> {
        self.shared.reserve.space()
    }

    fn check(&self, partition: u32) -> Result<(), Error> {
        if partition < self.topic.partitions { Ok(()) } else { Err(Error::NoPartition(partition)) }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        // The thread writes what it has, then lets go of the folder.
        self.shared.queue.close();
    }
}

#[async_trait]
impl Producer for EmbeddedLog {
    fn max_message_bytes(&self) -> usize {
        Self::MAX_MESSAGE_BYTES
    }

    async fn append(&self, partition: u32, payload: Bytes) -> Result<Appended, Error> {
        self.check(partition)?;
        if payload.len() > Self::MAX_MESSAGE_BYTES {
            return Err(Error::TooLarge { bytes: payload.len(), max: Self::MAX_MESSAGE_BYTES });
        }
        let answer = self.shared.queue.push(partition, payload).await?;
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("the log's writer ended".to_owned())))
    }
}

#[async_trait]
impl Consumer for EmbeddedLog {
    async fn next_assignment(&self) -> Result<Assignment, Error> {
        if self.is_assigned.swap(true, Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Assignment::Assigned((0..self.topic.partitions).collect()))
    }

    async fn open(&self, partition: u32, offset: u64) -> Result<Box<dyn PartitionConsumer>, Error> {
        self.check(partition)?;
        let latest = self.shared.watch(partition)?;
        Ok(Box::new(OpenPartition { shared: Arc::clone(&self.shared), partition, position: offset, latest }))
    }

    async fn commit(&self, partition: u32, _next: u64) -> Result<(), Error> {
        self.check(partition)
    }

    async fn leave(&self) {
        self.is_assigned.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl Reader for EmbeddedLog {
    async fn topic(&self) -> Result<Topic, Error> {
        Ok(self.topic.clone())
    }

    async fn offsets(&self, partitions: &[u32]) -> Result<Vec<Offsets>, Error> {
        let state = self.shared.state.lock();
        partitions
            .iter()
            .map(|&partition| {
                let (earliest, latest) = state.range(partition).ok_or(Error::NoPartition(partition))?;
                Ok(Offsets { partition, earliest, latest })
            })
            .collect()
    }

    async fn read(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, Error> {
        read::read(&self.shared, partition, from, to, max_bytes).await
    }
}

#[async_trait]
impl Trim for EmbeddedLog {
    async fn trim(&self, partition: u32, below: u64) -> Result<(), Error> {
        self.check(partition)?;
        if !self.shared.state.lock().mark_trimmed(partition, below) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let swept = tokio::task::spawn_blocking(move || shared.sweep()).await;
        swept.unwrap_or_else(|_| Err(Error::Unavailable("the sweep of the log was stopped".to_owned())))
    }
}

/// One partition, open at a position.
struct OpenPartition {
    shared: Arc<Shared>,
    partition: u32,
    position: u64,
    latest: watch::Receiver<u64>,
}

#[async_trait]
impl PartitionConsumer for OpenPartition {
    async fn fetch(&mut self, max_bytes: usize, wait: Duration) -> Result<Fetched, Error> {
        let position = self.position;
        if *self.latest.borrow() == position {
            // A quiet wait is no error, and the sender lives as long as `shared`: either way the read tells what is there.
            let _ = tokio::time::timeout(wait, self.latest.wait_for(|latest| *latest > position)).await;
        }
        let fetched = read::read(&self.shared, self.partition, position, u64::MAX, max_bytes).await?;
        self.position = fetched.position;
        Ok(fetched)
    }
}
