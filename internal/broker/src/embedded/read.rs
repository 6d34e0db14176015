use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::embedded::folder::{corrupt, flawed, refused};
use crate::embedded::format::{Flaw, GROUP_HEADER_BYTES, RecordHeader, is_group};
use crate::embedded::state::{Place, Shared};
use crate::{Error, Fetched, Message};

/// Reads `[from, to)` of `partition` as far as it is durable, up to `max_bytes` of payload but at least one message: from
/// memory when it is recent, else from the files, off the async threads.
pub(super) async fn read(
    shared: &Arc<Shared>,
    partition: u32,
    from: u64,
    to: u64,
    max_bytes: usize,
) -> Result<Fetched, Error> {
    let latest = {
        let state = shared.state.lock();
        let (earliest, latest) = state.range(partition).ok_or(Error::NoPartition(partition))?;
        if from < earliest || from > latest {
            return Err(Error::OffsetOutOfRange { partition, offset: from, earliest, latest });
        }
        if from >= to.min(latest) {
            return Ok(Fetched { messages: Vec::new(), position: from, latest });
        }
        if let Some(messages) = state.tail.get(partition, from, to.min(latest), max_bytes) {
            return Ok(answer(messages, from, latest));
        }
        latest
    };
    let shared = Arc::clone(shared);
    let read =
        tokio::task::spawn_blocking(move || from_files(&shared, partition, from..to.min(latest), max_bytes)).await;
    let messages = read.unwrap_or_else(|_| Err(Error::Unavailable("the reading of the log was stopped".to_owned())))?;
    Ok(answer(messages, from, latest))
}

fn answer(messages: Vec<Message>, from: u64, latest: u64) -> Fetched {
    let position = messages.last().map_or(from, |message| message.offset + 1);
    Fetched { messages, position, latest }
}

/// What a read has so far.
struct Gathered {
    messages: Vec<Message>,
    partition: u32,
    /// The offset that comes next.
    next: u64,
    to: u64,
    /// Payload bytes that may still come.
    room: usize,
    is_full: bool,
}

fn from_files(
    shared: &Shared,
    partition: u32,
    range: std::ops::Range<u64>,
    max_bytes: usize,
) -> Result<Vec<Message>, Error> {
    let mut gathered =
        Gathered { messages: Vec::new(), partition, next: range.start, to: range.end, room: max_bytes, is_full: false };
    while gathered.next < gathered.to && !gathered.is_full {
        let Some((file, path, place)) = shared.state.lock().find(partition, gathered.next) else {
            // Trimmed in the meantime.
            if !gathered.messages.is_empty() {
                break;
            }
            let (earliest, latest) = shared.state.lock().range(partition).ok_or(Error::NoPartition(partition))?;
            return Err(Error::OffsetOutOfRange { partition, offset: range.start, earliest, latest });
        };
        let before = gathered.next;
        gather(&mut gathered, &file, &path, place)?;
        if gathered.next == before && !gathered.is_full {
            return Err(corrupt(
                &path,
                place.start.into(),
                format!("offset {before} of partition {partition} is missing"),
            ));
        }
    }
    Ok(gathered.messages)
}

/// Adds what `place` holds of the wanted range.
fn gather(gathered: &mut Gathered, file: &File, path: &Path, place: Place) -> Result<(), Error> {
    let start = u64::from(place.start);
    let mut bytes = vec![0; place.end.saturating_sub(place.start) as usize];
    file.read_exact_at(&mut bytes, start).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => corrupt(path, start, "the file was cut short"),
        _ => refused(format!("cannot read {}", path.display()))(source),
    })?;
    let bytes = Bytes::from(bytes);
    let mut at = 0;
    while at < bytes.len() && gathered.next < gathered.to {
        if is_group(&bytes[at..]) {
            at += GROUP_HEADER_BYTES;
            continue;
        }
        let position = start + at as u64;
        let damaged = |flaw: Flaw| flawed(path, position, &flaw);
        let header = RecordHeader::decode(&bytes[at..]).map_err(damaged)?;
        if header.partition == gathered.partition && header.offset >= gathered.next {
            if header.offset != gathered.next {
                return Err(corrupt(
                    path,
                    position,
                    format!("offset {} stands where {} should", header.offset, gathered.next),
                ));
            }
            if header.bytes > gathered.room && !gathered.messages.is_empty() {
                gathered.is_full = true;
                return Ok(());
            }
            let payload = header.payload(&bytes, at).map_err(damaged)?;
            // A slice would keep all of what was read alive, other partitions' records too, for as long as it is held.
            let is_most = payload.len() * 2 >= bytes.len();
            let payload = if is_most { payload } else { Bytes::copy_from_slice(&payload) };
            gathered.room = gathered.room.saturating_sub(payload.len());
            gathered.next += 1;
            gathered.messages.push(Message {
                offset: header.offset,
                append_time_ns: header.append_time_ns,
                leader_epoch: None,
                payload,
            });
        }
        at += header.total_bytes();
    }
    Ok(())
}
