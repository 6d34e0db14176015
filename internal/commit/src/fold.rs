//! Folding: the chain up to its tail becomes segments and a checkpoint.
//!
//! The order, and what a crash after each step leaves:
//! 1. Delete removed chunks whose time is over. A crash leaves a list that names objects which are gone; deleting is repeated.
//! 2. PUT the segments that changed. A crash leaves segments that no checkpoint names.
//! 3. Create the checkpoint. From here on readers begin at it. A crash leaves entries that nobody reads.
//! 4. Sweeping (`sweep.rs`) deletes what steps 2 and 3 left behind.
//!
//! Any number may fold at once: a checkpoint is a function of the chain up to its seq, so whose comes first does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_model::{ChunkMeta, ErrorKind, failpoint, fails};
use loglake_store::Create;

use crate::keys::{checkpoint_key, segment_key};
use crate::segment::{self, day_of};
use crate::{
    CHECKPOINT_VERSION, Chain, ChainState, Checkpoint, Error, MAX_CHECKPOINT_BYTES, MAX_SEGMENT_CHUNKS, Removed,
    SegmentRef,
};

/// A fold uses segments again only of a checkpoint at most this many entries back, and a sweep keeps whatever is named by a
/// checkpoint at most this many entries behind the newest: so a folder that stalls with an old view can never create a newest
/// checkpoint that names a segment which was swept. No clock is needed for that.
pub const FOLD_SLACK: u64 = 512;
/// How many objects are deleted at a time.
pub(crate) const DELETES: usize = 8;
/// How often a doubtful create of a checkpoint is tried.
const ATTEMPTS: u32 = 10;
const WAIT: Duration = Duration::from_millis(200);

/// How to fold.
#[derive(Clone, Copy, Debug)]
pub struct Fold<'a> {
    /// Names this attempt's segments: 1..=64 characters of `0-9a-z`, new each time.
    pub nonce: &'a str,
    /// The index's watermark as it was seen before the call, its seq; `None` when it was not.
    pub applied: Option<u64>,
    /// Now, ns UTC.
    pub now_ns: i64,
    /// How long a removed chunk is kept from when the index was seen past its removal: longer than the longest query.
    pub removed_grace: Duration,
}

/// What a fold did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The checkpoint's number.
    pub seq: u64,
    /// Segments written.
    pub segments: usize,
    /// Segments of the checkpoint before that are named again.
    pub reused: usize,
    /// Removed chunks whose objects were deleted.
    pub deleted: usize,
}

impl Chain {
    /// Folds the chain up to its tail; `None` when the newest checkpoint is there already.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` as for [`Chain::read`]; `TooLarge` when the checkpoint outgrows its limit; `Unavailable`,
    /// after which anything of it may have been done: fold again.
    pub async fn fold(&self, fold: &Fold<'_>) -> Result<Option<Folded>, Error> {
        let state = self.read().await?;
        if state.tail.seq == state.base.seq {
            return Ok(None);
        }
        let (removed, due) = sort_removed(&state, fold);
        let deleted = self.delete_all(due).await?;
        let (segments, written) = self.write_segments(&state, fold.nonce).await?;
        let seq = state.tail.seq;
        let folded = Folded { seq, segments: written, reused: segments.len() - written, deleted };
        let checkpoint = Checkpoint {
            version: CHECKPOINT_VERSION,
            seq,
            next: state.tail.next,
            hash: state.tail.hash,
            leader_epoch: state.tail.leader_epoch,
            chunks: state.live.len() as u64,
            records: state.live.values().map(|chunk| chunk.records).sum(),
            segments,
            sessions: state.sessions,
            removed,
            gaps: state.gaps,
            quarantine: state.quarantine,
        };
        self.create_checkpoint(&checkpoint).await?;
        Ok(Some(folded))
    }

    /// Writes the segments of the days that changed. Returns all, and how many of them are new.
    async fn write_segments(&self, state: &ChainState, nonce: &str) -> Result<(Vec<SegmentRef>, usize), Error> {
        let base = &state.base;
        let is_near = state.tail.seq - base.seq <= FOLD_SLACK;
        let mut days = BTreeMap::<String, Vec<&ChunkMeta>>::new();
        for chunk in state.live.values().filter(|chunk| !base.places.contains_key(&chunk.key)) {
            days.entry(day_of(chunk)).or_default().push(chunk);
        }
        // A full segment stays as it is when its day grows.
        let stays = |(place, of): &(usize, &SegmentRef)| {
            let is_full = of.chunks >= MAX_SEGMENT_CHUNKS as u64 / 2;
            is_near && !base.stale.contains(place) && (is_full || !days.contains_key(&of.day))
        };
        let kept: BTreeSet<usize> = base.segments.iter().enumerate().filter(stays).map(|(place, _)| place).collect();
        for (key, place) in &base.places {
            if !kept.contains(place)
                && let Some(chunk) = state.live.get(key)
            {
                days.entry(day_of(chunk)).or_default().push(chunk);
            }
        }
        let mut segments: Vec<SegmentRef> =
            kept.iter().filter_map(|place| base.segments.get(*place)).cloned().collect();
        let mut written = 0_usize;
        for (day, mut chunks) in days {
            chunks.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            for part in chunks.chunks(MAX_SEGMENT_CHUNKS) {
                let part: Vec<ChunkMeta> = part.iter().map(|chunk| (*chunk).clone()).collect();
                let key = segment_key(self.folder(), &day, state.tail.seq, &format!("{nonce}{written}"));
                segments.push(self.write_segment(&day, key, part).await?);
                written += 1;
            }
        }
        segments.sort_by(|a, b| (&a.day, &a.key).cmp(&(&b.day, &b.key)));
        Ok((segments, written))
    }

    async fn write_segment(&self, day: &str, key: String, chunks: Vec<ChunkMeta>) -> Result<SegmentRef, Error> {
        let (of, count) = (day.to_owned(), chunks.len() as u64);
        let bytes = if chunks.len() <= segment::QUICK_CHUNKS {
            segment::encode(&of, &chunks)?
        } else {
            let encoded = tokio::task::spawn_blocking(move || segment::encode(&of, &chunks)).await;
            encoded.map_err(|error| Error::Corrupt { key: key.clone(), what: error.to_string() })??
        };
        let (length, checksum) = (bytes.len() as u64, crc32c::crc32c(&bytes));
        self.store().put(&key, Bytes::from(bytes)).await?;
        failpoint!("fold.segment_put");
        Ok(SegmentRef { day: day.to_owned(), key, length, checksum, chunks: count })
    }

    /// Creates the checkpoint. One that stands there already says the same: it was made from the same entries.
    async fn create_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let key = checkpoint_key(self.folder(), checkpoint.seq);
        let body = Bytes::from(checkpoint.encode()?);
        for attempt in 1..=ATTEMPTS {
            let created = self.store().create(&key, body.clone()).await;
            // As if the answer were lost.
            let created = if fails!("fold.checkpoint_created") { Ok(Create::Unknown) } else { created };
            match created {
                Ok(Create::Created | Create::Exists) => return Ok(()),
                Ok(Create::Unknown) => match self.store().get(&key, MAX_CHECKPOINT_BYTES as u64).await {
                    Ok(_) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::NotFound || error.kind().is_retryable() => {
                        tracing::warn!(key, attempt, %error, "checkpoint in doubt");
                    }
                    Err(error) => return Err(error.into()),
                },
                Err(error) if error.kind().is_retryable() => {
                    tracing::warn!(key, attempt, %error, "checkpoint refused, trying again");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(WAIT * attempt).await;
        }
        Err(Error::Unsettled { partition: self.partition() })
    }

    pub(crate) async fn delete_all(&self, keys: Vec<String>) -> Result<usize, Error> {
        let count = keys.len();
        let deletes = stream::iter(keys).map(|key| async move {
            self.store().delete(&key).await?;
            failpoint!("sweep.object_deleted");
            Ok::<_, Error>(())
        });
        deletes.buffer_unordered(DELETES).try_collect::<()>().await?;
        Ok(count)
    }
}

/// The removed chunks that stay on the list, and the keys of those whose time is over.
fn sort_removed(state: &ChainState, fold: &Fold<'_>) -> (BTreeMap<String, Removed>, Vec<String>) {
    let mut stays = BTreeMap::new();
    let mut due = Vec::new();
    for (key, removed) in &state.removed {
        let is_applied = fold.applied.is_some_and(|applied| applied >= removed.seq);
        if removed.is_due(fold.now_ns, fold.removed_grace) {
            due.push(key.clone());
        } else {
            let applied_ns = removed.applied_ns.or(is_applied.then_some(fold.now_ns));
            stays.insert(key.clone(), Removed { applied_ns, ..*removed });
        }
    }
    (stays, due)
}

impl Removed {
    /// Whether its object may be deleted at `now_ns` when readers may need it for `grace`.
    #[must_use]
    pub fn is_due(&self, now_ns: i64, grace: Duration) -> bool {
        let grace_ns = i64::try_from(grace.as_nanos()).unwrap_or(i64::MAX);
        self.applied_ns.is_some_and(|applied_ns| now_ns.saturating_sub(applied_ns) >= grace_ns)
    }
}
