use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loglake_model::failpoint;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Error;
use crate::embedded::folder::{self, refused};
use crate::embedded::format::Start;
use crate::embedded::space::Reserve;
use crate::embedded::tail::Tail;
use crate::embedded::writer::Queue;

/// An entry of the index covers at most this much of the file, or one record: what one look reads at least.
const INDEX_SPAN_BYTES: u32 = 128 << 10;

/// What the writer, the readers and the owner of the log share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) state: Mutex<State>,
    pub(super) queue: Queue,
    pub(super) reserve: Reserve,
    /// Tells who waits that a partition's latest offset moved.
    latest: Vec<watch::Sender<u64>>,
    /// Only one sweep at a time.
    sweeping: Mutex<()>,
    #[cfg(test)]
    pub(super) faults: super::disk::Faults,
}

/// What is durable in the log. Never ahead of the disk.
#[derive(Debug)]
pub(super) struct State {
    /// Oldest first; the last is written to, so there is always one.
    segments: VecDeque<Segment>,
    /// The next offset, a partition.
    next: Vec<u64>,
    /// Below these nobody asks any more, a partition.
    trimmed: Vec<u64>,
    pub(super) tail: Tail,
}

/// One file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    /// Its length up to the last durable group.
    pub(super) bytes: u64,
    /// The next offset when it was begun, a partition; partitions added later began at 0.
    first: Vec<u64>,
    /// Where a partition's records stand, ascending.
    index: Vec<Vec<Place>>,
}

/// A stretch of a segment that begins with a record of the partition and ends with one; between them others may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first record's offset.
    pub(super) first: u64,
    /// The position of its header.
    pub(super) start: u32,
    /// The position after the last one.
    pub(super) end: u32,
}

impl Segment {
    pub(super) fn new(path: PathBuf, file: Arc<File>, bytes: u64, starts: &[Start]) -> Self {
        let first = starts.iter().map(|start| start.next).collect();
        Self { path, file, bytes, first, index: Vec::new() }
    }

    fn first(&self, partition: u32) -> u64 {
        self.first.get(partition as usize).copied().unwrap_or(0)
    }

    /// Adds a record that stands at `[start, end)`.
    pub(super) fn add(&mut self, partition: u32, offset: u64, start: u32, end: u32) {
        let at = partition as usize;
        if self.index.len() <= at {
            self.index.resize_with(at + 1, Vec::new);
        }
        let places = &mut self.index[at];
        match places.last_mut() {
            Some(last) if end.saturating_sub(last.start) <= INDEX_SPAN_BYTES => last.end = end,
            _ => places.push(Place { first: offset, start, end }),
        }
    }

    fn place(&self, partition: u32, offset: u64) -> Option<Place> {
        let places = self.index.get(partition as usize)?;
        places.partition_point(|place| place.first <= offset).checked_sub(1).map(|at| places[at])
    }
}

impl State {
    pub(super) fn new(segments: VecDeque<Segment>, next: Vec<u64>, tail_bytes: usize) -> Self {
        Self { segments, trimmed: vec![0; next.len()], tail: Tail::new(next.len(), tail_bytes), next }
    }

    /// The earliest and the latest offset of `partition`; `None` when there is no such partition.
    pub(super) fn range(&self, partition: u32) -> Option<(u64, u64)> {
        let latest = *self.next.get(partition as usize)?;
        Some((self.segments.front().map_or(latest, |segment| segment.first(partition)), latest))
    }

    pub(super) fn set_next(&mut self, partition: u32, next: u64) {
        if let Some(place) = self.next.get_mut(partition as usize) {
            *place = next;
        }
    }

    /// The segment that is written to.
    pub(super) fn newest(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut()
    }

    pub(super) fn push_segment(&mut self, segment: Segment) {
        self.segments.push_back(segment);
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Where `offset` of `partition` stands. `None` when it is not in the log.
    pub(super) fn find(&self, partition: u32, offset: u64) -> Option<(Arc<File>, PathBuf, Place)> {
        let at = self.segments.partition_point(|segment| segment.first(partition) <= offset).checked_sub(1)?;
        let segment = &self.segments[at];
        Some((Arc::clone(&segment.file), segment.path.clone(), segment.place(partition, offset)?))
    }

    /// Moves the trim mark; says whether a file may be free now.
    pub(super) fn mark_trimmed(&mut self, partition: u32, below: u64) -> bool {
        let at = partition as usize;
        let below = below.min(self.next.get(at).copied().unwrap_or(0));
        match self.trimmed.get_mut(at) {
            Some(mark) if *mark < below => *mark = below,
            _ => return false,
        }
        self.free_segment().is_some()
    }

    /// Whether nobody asks for anything in the log any more.
    pub(super) fn is_all_trimmed(&self) -> bool {
        self.trimmed.iter().zip(&self.next).all(|(trimmed, next)| trimmed >= next)
    }

    /// The oldest segment, when every partition's trim mark has passed it and it is not the one written to.
    fn free_segment(&self) -> Option<&Path> {
        let after = self.segments.get(1)?;
        let is_passed =
            (0..).zip(&self.trimmed).all(|(partition, trimmed): (u32, &u64)| *trimmed >= after.first(partition));
        if is_passed { Some(&self.segments.front()?.path) } else { None }
    }
}

impl Shared {
    pub(super) fn new(dir: PathBuf, state: State, queue: Queue, reserve: Reserve) -> Self {
        let latest = state.next.iter().map(|next| watch::Sender::new(*next)).collect();
        Self {
            dir,
            state: Mutex::new(state),
            queue,
            reserve,
            latest,
            sweeping: Mutex::new(()),
            #[cfg(test)]
            faults: super::disk::Faults::default(),
        }
    }

    /// Follows the latest offset of `partition`.
    pub(super) fn watch(&self, partition: u32) -> Result<watch::Receiver<u64>, Error> {
        self.latest.get(partition as usize).map(watch::Sender::subscribe).ok_or(Error::NoPartition(partition))
    }

    /// Wakes who waits for `partition` to reach past its old latest offset.
    pub(super) fn announce(&self, partition: u32, latest: u64) {
        if let Some(sender) = self.latest.get(partition as usize) {
            sender.send_replace(latest);
        }
    }

    /// Removes the segment files that nobody asks for any more, oldest first. Each removal is made durable before the next,
    /// so that a crash leaves no gap.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let _only_one = self.sweeping.lock();
        loop {
            let Some(path) = self.state.lock().free_segment().map(Path::to_owned) else { return Ok(()) };
            let removed = fs::remove_file(&path);
            failpoint!("log.segment_removed");
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(refused(format!("cannot remove {}", path.display()))(error));
                }
                _ => folder::sync(&self.dir).map_err(refused(format!("cannot sync {}", self.dir.display())))?,
            }
            self.state.lock().segments.pop_front();
            tracing::debug!(file = %path.display(), "log segment removed");
        }
    }
}
