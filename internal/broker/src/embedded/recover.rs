//! Opening: reads every segment, checks every byte, cuts a torn tail, builds the index.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;

use crate::Error;
use crate::embedded::config::Config;
use crate::embedded::folder::{self, corrupt, flawed, refused};
use crate::embedded::format::{
    Flaw, GROUP_HEADER_BYTES, GroupHeader, MAX_SEGMENT_HEADER_BYTES, Mark, RecordHeader, SegmentHeader, Start,
    TOPIC_BYTES, TopicFile, TopicId, mark_from,
};
use crate::embedded::group_buffer::BLOCK_BYTES;
use crate::embedded::state::{Segment, State};

/// How much is read at once when looking for a later group behind a bad one.
const SEARCH_BYTES: usize = 1 << 20;

/// The log as it was found, ready to be written to.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) topic: TopicFile,
    pub(super) state: State,
    /// Where each partition stands.
    pub(super) starts: Vec<Start>,
    /// The number of the next group.
    pub(super) group: u64,
    pub(super) active: Active,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) sequence: u64,
    pub(super) file: Arc<File>,
    pub(super) mark: Mark,
    /// Where its groups begin.
    pub(super) header_bytes: u64,
    /// Where the next group goes.
    pub(super) position: u64,
}

/// Opens the log in `dir`, or makes it. The folder is locked.
pub(super) fn open(dir: &Path, config: &Config, now_ns: i64) -> Result<Recovered, Error> {
    let sequences = folder::segments(dir)?;
    let path = folder::topic_path(dir);
    match read_whole(&path, TOPIC_BYTES) {
        Ok(bytes) => {
            let topic = TopicFile::decode(&bytes).map_err(|flaw| flawed(&path, 0, &flaw))?;
            let topic = with_partitions(dir, topic, config.partitions)?;
            Scan::new(dir, topic, config.tail_bytes).run(&sequences)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            discard_unfinished(dir, &sequences)?;
            let topic = create(dir, config, now_ns, rand::random(), rand::random())?;
            Scan::new(dir, topic, config.tail_bytes).run(&[1])
        }
        Err(error) => Err(refused(format!("cannot read {}", path.display()))(error)),
    }
}

/// The topic of the log in `dir`, whoever has it open: the file is only ever replaced as a whole.
pub(super) fn topic(dir: &Path) -> Result<crate::Topic, Error> {
    let path = folder::topic_path(dir);
    match read_whole(&path, TOPIC_BYTES) {
        Ok(bytes) => Ok(TopicFile::decode(&bytes).map_err(|flaw| flawed(&path, 0, &flaw))?.topic()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Config(format!("there is no log in {}", dir.display())))
        }
        Err(error) => Err(refused(format!("cannot read {}", path.display()))(error)),
    }
}

/// Makes a new log. The first segment comes before the topic file: a topic file without segments means that they were lost.
pub(super) fn create(dir: &Path, config: &Config, now_ns: i64, id: TopicId, random: Mark) -> Result<TopicFile, Error> {
    let topic = TopicFile { id, partitions: config.partitions, made_at_ns: now_ns };
    let starts = vec![Start::default(); topic.partitions as usize];
    let header = SegmentHeader { sequence: 1, topic: id, mark: mark_from(random), first_group: 1, starts };
    for (path, bytes) in [(folder::segment_path(dir, 1), header.encode()), (folder::topic_path(dir), topic.encode())] {
        folder::write_whole(dir, &path, &bytes).map_err(refused(format!("cannot write {}", path.display())))?;
    }
    Ok(topic)
}

/// A folder without a topic file may hold the first segment of a log that was never finished: a header and no group.
fn discard_unfinished(dir: &Path, sequences: &[u64]) -> Result<(), Error> {
    if sequences.is_empty() {
        return Ok(());
    }
    let path = folder::segment_path(dir, 1);
    if sequences == [1] {
        let bytes =
            read_whole(&path, MAX_SEGMENT_HEADER_BYTES).map_err(refused(format!("cannot read {}", path.display())))?;
        if SegmentHeader::decode(&bytes).is_ok_and(|header| header.bytes() == bytes.len()) {
            return fs::remove_file(&path).map_err(refused(format!("cannot remove {}", path.display())));
        }
    }
    Err(corrupt(&folder::topic_path(dir), 0, "the topic file is missing beside segments"))
}

fn read_whole(path: &Path, expected: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(expected);
    File::open(path)?.take(expected as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Adds partitions when more are wanted than there are.
fn with_partitions(dir: &Path, topic: TopicFile, wanted: u32) -> Result<TopicFile, Error> {
    if wanted < topic.partitions {
        return Err(Error::Config(format!(
            "the log in {} has {} partitions; they cannot become {wanted}, only more",
            dir.display(),
            topic.partitions
        )));
    }
    if wanted == topic.partitions {
        return Ok(topic);
    }
    let topic = TopicFile { partitions: wanted, ..topic };
    let path = folder::topic_path(dir);
    folder::write_whole(dir, &path, &topic.encode()).map_err(refused(format!("cannot write {}", path.display())))?;
    tracing::info!(partitions = wanted, "log partitions added");
    Ok(topic)
}

/// Reads the segments in order.
struct Scan<'a> {
    dir: &'a Path,
    topic: TopicFile,
    starts: Vec<Start>,
    group: u64,
    segments: VecDeque<Segment>,
    tail_bytes: usize,
}

/// One segment, being read.
struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    header: SegmentHeader,
}

impl<'a> Scan<'a> {
    fn new(dir: &'a Path, topic: TopicFile, tail_bytes: usize) -> Self {
        let starts = vec![Start::default(); topic.partitions as usize];
        Self { dir, topic, starts, group: 1, segments: VecDeque::new(), tail_bytes }
    }

    fn run(mut self, sequences: &[u64]) -> Result<Recovered, Error> {
        let Some((&newest, older)) = sequences.split_last() else {
            return Err(corrupt(&folder::topic_path(self.dir), 0, "the log has lost its segments"));
        };
        for (&sequence, &next) in older.iter().zip(&sequences[1..]) {
            if sequence.checked_add(1) != Some(next) {
                let missing = folder::segment_path(self.dir, sequence.saturating_add(1));
                return Err(corrupt(&missing, 0, "a segment is missing"));
            }
            let open = self.begin(sequence)?;
            self.read(open, false)?;
        }
        let open = self.begin(newest)?;
        let active = self.read(open, true)?;
        let next = self.starts.iter().map(|start| start.next).collect();
        let state = State::new(self.segments, next, self.tail_bytes);
        Ok(Recovered { topic: self.topic, state, starts: self.starts, group: self.group, active })
    }

    /// Reads a segment's header and checks that it goes on where the one before ended.
    fn begin(&mut self, sequence: u64) -> Result<Open, Error> {
        let path = folder::segment_path(self.dir, sequence);
        let reading = || refused(format!("cannot read {}", path.display()));
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(reading())?;
        let bytes = file.metadata().map_err(reading())?.len();
        let mut head = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(MAX_SEGMENT_HEADER_BYTES)];
        file.read_exact_at(&mut head, 0).map_err(reading())?;
        let header = SegmentHeader::decode(&head).map_err(|flaw| flawed(&path, 0, &flaw))?;
        let wrong = |what: &str| Err(corrupt(&path, 0, what));
        if header.topic != self.topic.id || header.sequence != sequence {
            return wrong("the segment belongs to another log or to another place");
        }
        if header.starts.len() > self.starts.len() {
            return wrong("the segment has more partitions than the topic");
        }
        if bytes > u64::from(u32::MAX) {
            return wrong("the segment is longer than a segment can be");
        }
        if self.segments.is_empty() {
            self.starts[..header.starts.len()].copy_from_slice(&header.starts);
            self.group = header.first_group;
        } else {
            let (known, added) = self.starts.split_at(header.starts.len());
            if known != header.starts || added.iter().any(|start| *start != Start::default()) {
                return wrong("the segment does not go on at the offsets where the one before ends");
            }
            if header.first_group != self.group {
                return wrong("the segment does not go on with the group after the one before");
            }
        }
        Ok(Open { path, file, bytes, header })
    }

    fn read(&mut self, open: Open, is_newest: bool) -> Result<Active, Error> {
        let Open { path, file, bytes, header } = open;
        let header_bytes = header.bytes() as u64;
        let file = Arc::new(file);
        let mut segment = Segment::new(path.clone(), Arc::clone(&file), header_bytes, &header.starts);
        let mut reader =
            io::BufReader::with_capacity(SEARCH_BYTES, Region { file: &file, at: header_bytes, end: bytes });
        while segment.bytes < bytes {
            let position = segment.bytes;
            match self.group(&mut reader, &header, &mut segment) {
                Ok(()) => {}
                Err(Stop::Io(error)) => return Err(refused(format!("cannot read {}", path.display()))(error)),
                Err(Stop::Flaw(flaw)) => {
                    let is_torn = is_newest && matches!(flaw, Flaw::Damaged(_));
                    if !is_torn || self.has_later_group(&file, &path, position, bytes, header.mark)? {
                        return Err(flawed(&path, position, &flaw));
                    }
                    // A process that was killed leaves the zeros that filled up its last block.
                    if !is_filler(&file, position, bytes).map_err(refused(format!("cannot read {}", path.display())))? {
                        tracing::warn!(file = %path.display(), position, cut_bytes = bytes - position, "torn tail cut");
                    }
                    file.set_len(position).map_err(refused(format!("cannot cut {}", path.display())))?;
                    break;
                }
            }
        }
        if is_newest {
            // What was read may be in the page cache only: the last group of a killed process.
            file.sync_all().map_err(refused(format!("cannot sync {}", path.display())))?;
        }
        let position = segment.bytes;
        self.segments.push_back(segment);
        Ok(Active { sequence: header.sequence, file, mark: header.mark, header_bytes, position })
    }

    /// Reads one group and takes it in, whole or not at all.
    fn group(&mut self, reader: &mut impl io::Read, segment: &SegmentHeader, into: &mut Segment) -> Result<(), Stop> {
        let head = take(reader, GROUP_HEADER_BYTES)?;
        let header = GroupHeader::decode(&head, segment.mark)?;
        if header.number != self.group {
            return Err(Flaw::Impossible("a group is missing").into());
        }
        let body = take(reader, header.bytes)?;
        let body_at = into.bytes + GROUP_HEADER_BYTES as u64;
        let mut starts = self.starts.clone();
        let mut places = Vec::new();
        let mut at = 0;
        while at < body.len() {
            let record = RecordHeader::decode(&body[at..])?;
            record.payload(&body, at)?;
            let start = starts
                .get_mut(record.partition as usize)
                .ok_or(Flaw::Impossible("a record's partition is not there"))?;
            if record.offset != start.next {
                return Err(Flaw::Impossible("a record's offset is not the next one").into());
            }
            *start = Start { next: record.offset + 1, last_time_ns: record.append_time_ns };
            let position = |at: usize| {
                u32::try_from(body_at + at as u64).map_err(|_| Flaw::Impossible("a record stands too far in the file"))
            };
            places.push((record.partition, record.offset, position(at)?, position(at + record.total_bytes())?));
            at += record.total_bytes();
        }
        if u32::try_from(places.len()).ok() != Some(header.records) {
            return Err(Flaw::Impossible("a group's number of records is wrong").into());
        }
        for (partition, offset, start, end) in places {
            into.add(partition, offset, start, end);
        }
        into.bytes = body_at + body.len() as u64;
        self.starts = starts;
        self.group += 1;
        Ok(())
    }

    /// Whether the header of a later group stands after `position`: then what stands there was synced, so acknowledged.
    fn has_later_group(&self, file: &File, path: &Path, position: u64, end: u64, mark: Mark) -> Result<bool, Error> {
        let finder = memmem::Finder::new(&mark);
        let mut from = position + 1;
        while from < end {
            let length = usize::try_from(end - from).unwrap_or(usize::MAX).min(SEARCH_BYTES + GROUP_HEADER_BYTES);
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, from).map_err(refused(format!("cannot read {}", path.display())))?;
            let is_later =
                |at: usize| GroupHeader::decode(&bytes[at..], mark).is_ok_and(|header| header.number > self.group);
            if finder.find_iter(&bytes).any(is_later) {
                return Ok(true);
            }
            // Stretches overlap by a header, so that none is missed between two.
            from += SEARCH_BYTES as u64;
        }
        Ok(false)
    }
}

/// Whether only the rest of a block follows, of zeros.
fn is_filler(file: &File, position: u64, end: u64) -> io::Result<bool> {
    let mut rest = vec![0; usize::try_from(end - position).unwrap_or(usize::MAX).min(BLOCK_BYTES)];
    file.read_exact_at(&mut rest, position)?;
    Ok(rest.len() < BLOCK_BYTES && rest.iter().all(|byte| *byte == 0))
}

/// A part of a file, read without moving its cursor.
struct Region<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl io::Read for Region<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Why the reading of groups stopped.
enum Stop {
    Flaw(Flaw),
    Io(io::Error),
}

impl From<Flaw> for Stop {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

/// Takes exactly `length` bytes.
fn take(reader: &mut impl io::Read, length: usize) -> Result<Bytes, Stop> {
    let mut bytes = vec![0; length];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Bytes::from(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Flaw::Damaged("a group is cut short").into()),
        Err(error) => Err(Stop::Io(error)),
    }
}
