//! The embedded log's recovery of a segment file. The files are written here, from their description in the documentation of
//! `loglake_broker::embedded`, so that two programs agree on it.

use std::path::Path;
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use loglake_broker::embedded::Config;
use loglake_broker::{EmbeddedLog, Reader as _};
use loglake_model::SystemClock;

use crate::edit::Edits;
use crate::memory;

const PARTITIONS: u32 = 2;
const TOPIC_ID: [u8; 16] = [9; 16];
const MARK: [u8; 8] = [1, 2, 3, 0x84, 5, 6, 7, 8];
const GROUP_HEADER_BYTES: usize = 32;

/// A segment to write and then to damage.
#[derive(Arbitrary, Debug)]
struct Plan {
    groups: Vec<Group>,
    edits: Edits,
    /// Cuts the file to this many bytes, modulo its length.
    cut: Option<u32>,
}

#[derive(Arbitrary, Debug)]
struct Group {
    records: Vec<Record>,
    /// Lies in the header, under a right checksum.
    lie: Option<(u8, u32)>,
}

#[derive(Arbitrary, Debug)]
struct Record {
    partition: bool,
    payload: Vec<u8>,
    /// A lie in the record's header, under a right checksum.
    lie: Option<(u8, u32)>,
}

/// What a log holds: the payloads of each partition, from offset 0 on.
type Contents = [Vec<Vec<u8>>; PARTITIONS as usize];

/// Takes an input. 0: the bytes after a good segment header.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, groups)) => drop(open(&[&segment_header()[..], groups].concat())),
        Some((_, rest)) => {
            if let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(rest)) {
                plan.run();
            }
        }
        None => {}
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let record = |partition, payload: &[u8]| Record { partition, payload: payload.to_vec(), lie: None };
    let group = |records| Group { records, lie: None };
    [
        vec![],
        vec![group(vec![record(false, b"first"), record(true, b"second")])],
        vec![group(vec![record(false, b"a")]), group(vec![]), group(vec![record(false, b""), record(false, &[7; 300])])],
    ]
    .into_iter()
    .map(|groups| Plan { groups, edits: Edits::default(), cut: None })
    .map(|plan| [&[0], &plan.write().0[segment_header().len()..]].concat())
    .collect()
}

impl Plan {
    /// The segment's bytes, and where each group ends.
    fn write(&self) -> (Vec<u8>, Vec<usize>) {
        let mut out = segment_header();
        let (mut next, mut ends) = ([0_u64; PARTITIONS as usize], Vec::new());
        for (number, group) in (1_u64..).zip(&self.groups) {
            let mut body = Vec::new();
            for partition in [false, true] {
                for record in group.records.iter().filter(|record| record.partition == partition) {
                    let place = &mut next[usize::from(partition)];
                    record.write(*place, &mut body);
                    *place += 1;
                }
            }
            let mut header = Vec::with_capacity(GROUP_HEADER_BYTES);
            header.extend_from_slice(&MARK);
            header.extend_from_slice(&number.to_le_bytes());
            header.extend_from_slice(&(body.len() as u32).to_le_bytes());
            header.extend_from_slice(&(group.records.len() as u32).to_le_bytes());
            header.extend_from_slice(&[0; 4]);
            lie(&mut header, group.lie);
            seal(&mut header, &[]);
            out.extend_from_slice(&header);
            out.extend_from_slice(&body);
            ends.push(out.len());
        }
        (out, ends)
    }

    /// What the first `groups` groups hold.
    fn contents(&self, groups: usize) -> Contents {
        let mut contents = Contents::default();
        for record in self.groups.iter().take(groups).flat_map(|group| &group.records) {
            contents[usize::from(record.partition)].push(record.payload.clone());
        }
        contents
    }

    fn run(&self) {
        let (mut bytes, ends) = self.write();
        let lies = |group: &Group| group.lie.is_some() || group.records.iter().any(|record| record.lie.is_some());
        let honest = self.groups.iter().position(lies).unwrap_or(self.groups.len());
        let header = segment_header().len();
        self.edits.apply(&mut bytes);
        if let Some(cut) = self.cut {
            let length = header + cut as usize % (bytes.len().saturating_sub(header) + 1);
            bytes.truncate(length);
        }
        let opened = open(&bytes);
        if self.edits.is_empty() && honest == self.groups.len() {
            // Cut anywhere, or not at all: the groups that are whole are there, and nothing else is.
            let whole = ends.iter().filter(|end| **end <= bytes.len()).count();
            assert_eq!(opened, Some(self.contents(whole)));
        } else if self.edits.is_empty()
            && let Some(found) = opened
        {
            // A lie under a right checksum may be taken for a torn tail, or be true after all; what stands before it stays.
            for (found, before) in found.iter().zip(self.contents(honest)) {
                assert!(bytes.len() < ends.last().copied().unwrap_or(0) || found.starts_with(&before));
            }
        }
    }
}

impl Record {
    fn write(&self, offset: u64, out: &mut Vec<u8>) {
        let mut header = Vec::new();
        header.extend_from_slice(&(self.payload.len() as u32).to_le_bytes());
        header.extend_from_slice(&u32::from(self.partition).to_le_bytes());
        header.extend_from_slice(&offset.to_le_bytes());
        header.extend_from_slice(&1_700_000_000_000_000_000_i64.to_le_bytes());
        lie(&mut header, self.lie);
        seal(&mut header, &self.payload);
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.payload);
    }
}

/// Writes a number where it does not belong.
fn lie(header: &mut [u8], lie: Option<(u8, u32)>) {
    if let Some((at, value)) = lie {
        let at = usize::from(at) % (header.len() - 3);
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}

/// Appends the checksum of `header` and `payload` to `header`.
fn seal(header: &mut Vec<u8>, payload: &[u8]) {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(header), payload);
    header.extend_from_slice(&checksum.to_le_bytes());
}

fn segment_header() -> Vec<u8> {
    let mut out = b"LLSEGMT\n".to_vec();
    out.extend_from_slice(&1_u32.to_le_bytes());
    out.extend_from_slice(&PARTITIONS.to_le_bytes());
    out.extend_from_slice(&1_u64.to_le_bytes());
    out.extend_from_slice(&TOPIC_ID);
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&1_u64.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&[0; 16 * PARTITIONS as usize]);
    seal(&mut out, &[]);
    out
}

fn topic() -> Vec<u8> {
    let mut out = b"LLTOPIC\n".to_vec();
    out.extend_from_slice(&1_u32.to_le_bytes());
    out.extend_from_slice(&PARTITIONS.to_le_bytes());
    out.extend_from_slice(&TOPIC_ID);
    out.extend_from_slice(&1_i64.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    seal(&mut out, &[]);
    out
}

/// Opens a log of one segment twice: what the first opening keeps, the second must find. `None` when it is refused.
fn open(segment: &[u8]) -> Option<Contents> {
    // In memory where there is such a place: a sync costs nothing there.
    let shared = Path::new("/dev/shm");
    let dir = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
    let dir = dir.expect("a folder can be made");
    std::fs::write(dir.path().join("topic"), topic()).expect("a file can be written");
    std::fs::write(dir.path().join("00000000000000000001.log"), segment).expect("a file can be written");
    let most = 64 * segment.len() + (12 << 20);
    let first = memory::at_most(most, || contents(dir.path()))?;
    assert_eq!(contents(dir.path()).as_ref(), Some(&first), "recovery is repeatable");
    Some(first)
}

fn contents(dir: &Path) -> Option<Contents> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    let config = Config { partitions: PARTITIONS, ..Config::default() };
    let log = EmbeddedLog::open(dir, config, Arc::new(SystemClock)).ok()?;
    runtime.block_on(async {
        let mut found = Contents::default();
        let partitions: Vec<u32> = (0..PARTITIONS).collect();
        for offsets in log.offsets(&partitions).await.expect("an open log knows its offsets") {
            assert_eq!(offsets.earliest, 0);
            let place = &mut found[offsets.partition as usize];
            while (place.len() as u64) < offsets.latest {
                let from = place.len() as u64;
                let fetched = log.read(offsets.partition, from, offsets.latest, 1 << 20).await;
                let fetched = fetched.expect("what was recovered can be read");
                assert!(fetched.position > from, "reading goes on");
                place.extend(fetched.messages.into_iter().map(|message| message.payload.to_vec()));
            }
        }
        log.close().await;
        Some(found)
    })
}
