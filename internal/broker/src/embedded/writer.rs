//! The thread that writes: gathers, writes once, syncs once, then answers all.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use loglake_model::{Clock, failpoint};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::embedded::config::Config;
use crate::embedded::disk::Disk;
use crate::embedded::folder::{self, is_full, refused};
use crate::embedded::format::{
    GROUP_HEADER_BYTES, MAX_GROUP_BYTES, MAX_PAYLOAD_BYTES, RECORD_HEADER_BYTES, SegmentHeader, Start, TopicId,
    finish_group, mark_from, push_record,
};
use crate::embedded::group_buffer::GroupBuffer;
use crate::embedded::recover::{Active, Recovered};
use crate::embedded::space::Reserve;
use crate::embedded::state::{Segment, Shared};
use crate::{Appended, Error, Message};

/// Appends that wait to be written take at most this many bytes together; past it callers wait.
const WAITING_BYTES: usize = 32 << 20;
/// A group is closed once it has this many bytes; one more record may come on top.
const GATHER_BYTES: usize = 4 << 20;

const _: () = assert!(GATHER_BYTES + MAX_PAYLOAD_BYTES + RECORD_HEADER_BYTES <= MAX_GROUP_BYTES);

type Answer = Result<Appended, Error>;

/// An append that waits.
#[derive(Debug)]
struct Pending {
    partition: u32,
    payload: Bytes,
    answer: oneshot::Sender<Answer>,
    /// Its room among what waits; given back once it was answered.
    _room: OwnedSemaphorePermit,
}

impl Pending {
    fn bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.payload.len()
    }
}

/// What waits for the writer.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Waiting {
    appends: VecDeque<Pending>,
    is_closed: bool,
}

impl Queue {
    fn new() -> Self {
        Self { waiting: Mutex::default(), wake: Condvar::new(), room: Arc::new(Semaphore::new(WAITING_BYTES)) }
    }

    /// Waits for room, then hands the append to the writer.
    pub(super) async fn push(&self, partition: u32, payload: Bytes) -> Result<oneshot::Receiver<Answer>, Error> {
        let closed = || Error::Unavailable("the log is closed".to_owned());
        let bytes = u32::try_from(RECORD_HEADER_BYTES + payload.len()).expect("payloads are at most MAX_PAYLOAD_BYTES");
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(closed());
        }
        waiting.appends.push_back(Pending { partition, payload, answer, _room: room });
        drop(waiting);
        self.wake.notify_one();
        Ok(answered)
    }

    /// Accepts nothing more; what waits is still written.
    pub(super) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.room.close();
        self.wake.notify_one();
    }

    /// Waits for appends and takes a group of them; `None` once the queue is closed and empty.
    fn take(&self) -> Option<Vec<Pending>> {
        let mut waiting = self.waiting.lock();
        while waiting.appends.is_empty() {
            if waiting.is_closed {
                return None;
            }
            self.wake.wait(&mut waiting);
        }
        let mut bytes = 0;
        let mut count = 0;
        for append in &waiting.appends {
            if bytes >= GATHER_BYTES {
                break;
            }
            bytes += append.bytes();
            count += 1;
        }
        Some(waiting.appends.drain(..count).collect())
    }
}

/// Starts the writer. The thread holds `lock` until it ends.
pub(super) fn start(
    dir: &Path,
    config: &Config,
    clock: Arc<dyn Clock>,
    lock: File,
    recovered: Recovered,
) -> Result<(Arc<Shared>, JoinHandle<()>), Error> {
    let Recovered { topic, state, starts, group, active } = recovered;
    let shared =
        Arc::new(Shared::new(dir.to_owned(), state, Queue::new(), Reserve::new(dir, config.disk_reserve_bytes)));
    let disk = Disk::new(
        Arc::clone(&active.file),
        &folder::segment_path(dir, active.sequence),
        #[cfg(test)]
        shared.faults.clone(),
    );
    let lead = disk.lead(active.position).map_err(refused("cannot read the log's last block"))?;
    let writer = Writer {
        disk,
        lead,
        shared: Arc::clone(&shared),
        config: config.clone(),
        clock,
        topic: topic.id,
        starts,
        group,
        active,
        buffer: GroupBuffer::default(),
        broken: None,
    };
    let thread = std::thread::Builder::new()
        .name("log-writer".to_owned())
        .spawn(move || {
            writer.run();
            drop(lock);
        })
        .map_err(refused("cannot start the log's writer"))?;
    Ok((shared, thread))
}

struct Writer {
    shared: Arc<Shared>,
    config: Config,
    clock: Arc<dyn Clock>,
    topic: TopicId,
    /// Where each partition stands, durably.
    starts: Vec<Start>,
    /// The number of the next group.
    group: u64,
    active: Active,
    disk: Disk,
    buffer: GroupBuffer,
    /// What the active segment holds from the last multiple of a block up to its end.
    lead: Vec<u8>,
    /// Why nothing more is accepted.
    broken: Option<String>,
}

/// Why a group was not written.
enum Refusal {
    NoSpace(String),
    Full(String),
    Broken(String),
}

impl Refusal {
    fn error(&self) -> Error {
        match self {
            Self::NoSpace(why) => Error::NoSpace(why.clone()),
            Self::Full(why) => Error::Full(why.clone()),
            Self::Broken(why) => {
                Error::Unavailable(format!("{why}; nothing is accepted until the log is opened again"))
            }
        }
    }
}

/// Answers everyone when the writer ends, however it ends.
struct CloseOnExit(Arc<Shared>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        self.0.queue.close();
        // Dropping an answer's sender tells the one who waits.
        self.0.queue.waiting.lock().appends.clear();
    }
}

impl Writer {
    fn run(mut self) {
        let _close = CloseOnExit(Arc::clone(&self.shared));
        while let Some(mut appends) = self.shared.queue.take() {
            match self.write(&mut appends) {
                Ok(written) => {
                    for (append, appended) in appends.into_iter().zip(written) {
                        // Nobody to tell when the caller went away.
                        let _ = append.answer.send(Ok(appended));
                    }
                }
                Err(refusal) => {
                    for append in appends {
                        let _ = append.answer.send(Err(refusal.error()));
                    }
                }
            }
        }
        // A group without records proves, when the log is opened again, that the one before was synced.
        if self.broken.is_none()
            && self.active.position > self.active.header_bytes
            && let Err(Refusal::NoSpace(why) | Refusal::Full(why) | Refusal::Broken(why)) = self.write_group(&mut [])
        {
            tracing::warn!(%why, "log closed without its last mark");
        }
        if self.broken.is_none()
            && let Err(error) = self.disk.cut(self.active.position)
        {
            tracing::warn!(%error, "the zeros behind the log's last group were not cut off; the next opening does it");
        }
    }

    /// Writes a group and makes it visible; the answers are in the order of `appends`, which is sorted by partition.
    fn write(&mut self, appends: &mut [Pending]) -> Result<Vec<Appended>, Refusal> {
        if let Some(why) = &self.broken {
            return Err(Refusal::Broken(why.clone()));
        }
        let bytes = GROUP_HEADER_BYTES + appends.iter().map(Pending::bytes).sum::<usize>();
        let is_begun = self.active.position > self.active.header_bytes;
        let is_rolling = is_begun && self.active.position + bytes as u64 > self.config.segment_bytes;
        self.check_cap(bytes as u64, is_rolling)?;
        self.shared.reserve.admit(bytes as u64, appends.len()).map_err(Refusal::NoSpace)?;
        if is_rolling {
            self.roll()?;
        }
        appends.sort_by_key(|append| append.partition);
        self.write_group(appends)
    }

    /// Refuses a group of `bytes` that would go past the cap.
    fn check_cap(&self, bytes: u64, is_rolling: bool) -> Result<(), Refusal> {
        let state = self.shared.state.lock();
        // Beginning a segment gives all others back when everything in them is trimmed.
        let used = if is_rolling && state.is_all_trimmed() { 0 } else { state.used_bytes() };
        drop(state);
        let header_bytes = if is_rolling { self.active.header_bytes } else { 0 };
        if used.saturating_add(header_bytes).saturating_add(bytes) <= self.config.max_bytes {
            return Ok(());
        }
        Err(Refusal::Full(format!(
            "{used} bytes of the {} allowed are used; what was appended must first be flushed",
            self.config.max_bytes
        )))
    }

    /// Writes a group, which may be empty, and makes it visible.
    fn write_group(&mut self, appends: &mut [Pending]) -> Result<Vec<Appended>, Refusal> {
        let now_ns = self.clock.now_ns();
        let position = self.active.position;
        let mut starts = self.starts.clone();
        let mut written = Vec::with_capacity(appends.len());
        let mut spans = Vec::with_capacity(appends.len());
        let bytes = GROUP_HEADER_BYTES + appends.iter().map(Pending::bytes).sum::<usize>();
        self.buffer.begin(&self.lead, bytes);
        for append in appends.iter() {
            let start = &mut starts[append.partition as usize];
            let append_time_ns = now_ns.max(start.last_time_ns);
            let at = self.buffer.group_bytes();
            push_record(self.buffer.bytes_mut(), append.partition, start.next, append_time_ns, &append.payload);
            written.push(Appended { offset: start.next, append_time_ns });
            spans.push((at, self.buffer.group_bytes()));
            *start = Start { next: start.next + 1, last_time_ns: append_time_ns };
        }
        let records = u32::try_from(appends.len()).expect("a group's bytes bound its records");
        finish_group(self.buffer.group_mut(), self.active.mark, self.group, records);

        let written_out = self.disk.write_group(&mut self.buffer, position);
        if let Err(error) = written_out {
            return Err(self.cut_back("a write of the log failed", &error));
        }
        failpoint!("log.written");
        if let Err(error) = self.disk.sync_data() {
            // The kernel may have dropped the pages and call the next sync a success: cut, and accept nothing on top.
            let refusal = self.cut_back("a sync of the log failed", &error);
            return Err(self.give_up(refusal));
        }
        failpoint!("log.synced");
        self.active.position = position + self.buffer.group_bytes() as u64;
        self.lead.clear();
        self.lead.extend_from_slice(self.buffer.rest());
        self.group += 1;
        self.starts = starts;
        self.publish(appends, &written, &spans, position);
        Ok(written)
    }

    /// Shows what is durable now.
    fn publish(&self, appends: &[Pending], written: &[Appended], spans: &[(usize, usize)], position: u64) {
        let place = |at: usize| u32::try_from(position + at as u64).unwrap_or(u32::MAX);
        let mut state = self.shared.state.lock();
        if let Some(segment) = state.newest() {
            segment.bytes = self.active.position;
            for ((append, appended), (start, end)) in appends.iter().zip(written).zip(spans) {
                segment.add(append.partition, appended.offset, place(*start), place(*end));
            }
        }
        for (append, appended) in appends.iter().zip(written) {
            let message = Message {
                offset: appended.offset,
                append_time_ns: appended.append_time_ns,
                leader_epoch: None,
                payload: append.payload.clone(),
            };
            state.tail.push(append.partition, message);
            state.set_next(append.partition, appended.offset + 1);
        }
        drop(state);
        for (at, (append, appended)) in appends.iter().zip(written).enumerate() {
            if appends.get(at + 1).is_none_or(|next| next.partition != append.partition) {
                self.shared.announce(append.partition, appended.offset + 1);
            }
        }
    }

    /// Closes the active segment (all of it is synced) and begins the next.
    fn roll(&mut self) -> Result<(), Refusal> {
        // Zeros may only stand behind the newest segment.
        if let Err(error) = self.disk.cut(self.active.position) {
            let refusal = Refusal::Broken(format!("cannot end a segment of the log: {error}"));
            return Err(self.give_up(refusal));
        }
        failpoint!("log.ended");
        let sequence = self.active.sequence + 1;
        let header = SegmentHeader {
            sequence,
            topic: self.topic,
            mark: mark_from(rand::random()),
            first_group: self.group,
            starts: self.starts.clone(),
        };
        let path: PathBuf = folder::segment_path(&self.shared.dir, sequence);
        let file = match folder::write_whole(&self.shared.dir, &path, &header.encode()) {
            Ok(file) => Arc::new(file),
            // Nothing has that name yet, or it is a whole segment without groups: both are fine to open.
            Err(error) if is_full(&error) && !path.exists() => {
                return Err(Refusal::NoSpace(format!("no space for the segment {}: {error}", path.display())));
            }
            Err(error) => {
                let refusal = Refusal::Broken(format!("cannot begin the segment {}: {error}", path.display()));
                return Err(self.give_up(refusal));
            }
        };
        failpoint!("log.rolled");
        let header_bytes = header.bytes() as u64;
        self.active =
            Active { sequence, file: Arc::clone(&file), mark: header.mark, header_bytes, position: header_bytes };
        self.disk = Disk::new(
            Arc::clone(&file),
            &path,
            #[cfg(test)]
            self.shared.faults.clone(),
        );
        match self.disk.lead(header_bytes) {
            Ok(lead) => self.lead = lead,
            Err(error) => {
                let refusal = Refusal::Broken(format!("cannot read the segment {}: {error}", path.display()));
                return Err(self.give_up(refusal));
            }
        }
        self.shared.state.lock().push_segment(Segment::new(path, file, header_bytes, &header.starts));
        // What was trimmed while it stood in the active segment is free now.
        if let Err(error) = self.shared.sweep() {
            tracing::warn!(%error, "log segment not removed");
        }
        Ok(())
    }

    /// Cuts the file back to the last durable group after a write that failed; gives up when that fails too, or when it was
    /// not for want of space.
    fn cut_back(&mut self, what: &str, error: &std::io::Error) -> Refusal {
        match self.disk.cut(self.active.position) {
            Ok(()) if is_full(error) => Refusal::NoSpace(format!("no space on the disk: {error}")),
            Ok(()) => self.give_up(Refusal::Broken(format!("{what}: {error}"))),
            Err(worse) => self.give_up(Refusal::Broken(format!("{what}: {error}, and cutting it back: {worse}"))),
        }
    }

    fn give_up(&mut self, refusal: Refusal) -> Refusal {
        let (Refusal::NoSpace(why) | Refusal::Full(why) | Refusal::Broken(why)) = refusal;
        if self.broken.is_none() {
            tracing::error!(%why, "log refuses appends until it is opened again");
        }
        Refusal::Broken(self.broken.get_or_insert(why).clone())
    }
}
