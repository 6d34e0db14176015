//! One partition's chain, entry by entry: what is live at its end, and everything that does not fit. Where reading the chain
//! for work stops at the first fault, this goes on.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use loglake_commit::{Chain, Checkpoint, Entry, Gap, Quarantined, Survey};
use loglake_index::{ChunkIndex, Snapshot};
use loglake_model::{ChunkMeta, TenantName};

use super::{Code, Finding, compare};
use crate::{Error, Lake};

/// Entries fetched at a time.
const FETCHES: usize = 16;
/// Segments fetched at a time.
const SEGMENT_FETCHES: usize = 4;
/// How often a chain that is folded under the reader is read again.
const ATTEMPTS: usize = 20;

/// A chain as it was walked.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// The last entry's number; 0 for none.
    pub(crate) seq: u64,
    /// The offset to consume from.
    pub(crate) next: u64,
    /// What is live, by key.
    pub(crate) live: BTreeMap<String, ChunkMeta>,
    /// What is live no more and may still be in the bucket.
    pub(crate) removed: BTreeSet<String>,
    pub(crate) sessions: BTreeMap<String, String>,
    /// Offsets given up on purpose.
    pub(crate) gaps: Vec<Gap>,
    /// Objects with messages that could not be read.
    pub(crate) quarantine: Vec<Quarantined>,
    /// Entries read.
    pub(crate) entries: u64,
    pub(crate) findings: Vec<Finding>,
    /// The chain has no fault: what is live is certain.
    pub(crate) is_whole: bool,
    /// The hash of the last entry's bytes; `None` when it is not known for certain.
    hash: Option<String>,
    /// Entries before this place are all known.
    is_known: bool,
}

/// What an index says of a partition.
pub(crate) struct Said {
    pub(crate) snapshot: Snapshot,
    /// The tenants' stored bytes at the same watermark; `None` where the index moved on between the two.
    pub(crate) stored: Option<BTreeMap<TenantName, u64>>,
}

/// The index as it was before the chain was read, so that the chain is never behind a right one.
pub(crate) enum IndexView {
    /// There is none to compare.
    None,
    /// What it says; `None` without a watermark.
    Read(Option<Said>),
    /// Why it cannot be read.
    Unreadable(String),
}

/// Reads index and chain of a partition and compares them.
pub(crate) async fn walk(lake: &Lake, incarnation: u32, partition: u32) -> Result<Walked, Error> {
    let chain = lake.chain(incarnation, partition);
    for _ in 0..ATTEMPTS {
        let view = match lake.index_of(incarnation) {
            None => IndexView::None,
            Some(index) => match said(index, partition).await {
                Ok(said) => IndexView::Read(said),
                Err(loglake_index::Error::Corrupt { key, reason }) => IndexView::Unreadable(format!("{key}: {reason}")),
                Err(error) => return Err(error.into()),
            },
        };
        let survey = chain.survey().await?;
        let Some(mut walked) = follow(&chain, &survey, &view).await? else { continue };
        if chain.survey().await?.checkpoints.last() != survey.checkpoints.last() {
            // Folded meanwhile: what was read below the fold may be of any writer.
            continue;
        }
        walked.is_whole = walked.is_certain();
        if !walked.is_whole {
            // A broken chain says nothing for certain, and nothing is mended by it.
            walked.findings.retain(|finding| finding.code != Code::IndexDiffers);
        }
        compare::at_the_end(&view, &mut walked);
        for finding in &mut walked.findings {
            (finding.incarnation, finding.partition) = (Some(incarnation), Some(partition));
        }
        return Ok(walked);
    }
    Err(Error::Unsettled { partition })
}

async fn said(index: &dyn ChunkIndex, partition: u32) -> Result<Option<Said>, loglake_index::Error> {
    let Some(snapshot) = index.dump(partition).await? else { return Ok(None) };
    let stored = index.stored_by_tenant(partition).await?;
    let stored = stored.filter(|(watermark, _)| *watermark == snapshot.watermark).map(|(_, stored)| stored);
    Ok(Some(Said { snapshot, stored }))
}

fn entry_key(chain: &Chain, seq: u64) -> String {
    format!("{}{seq:020}.json", chain.folder())
}

fn is_of_chain(code: Code) -> bool {
    matches!(
        code,
        Code::EntryMissing
            | Code::EntryUnreadable
            | Code::CheckpointUnreadable
            | Code::SegmentMissing
            | Code::SegmentUnreadable
            | Code::WrongPreviousHash
            | Code::OffsetGap
            | Code::OffsetOverlap
            | Code::BadChange
            | Code::Newer
    )
}

/// `None` when something went between LIST and GET: the chain was folded or swept.
async fn follow(chain: &Chain, survey: &Survey, view: &IndexView) -> Result<Option<Walked>, Error> {
    let mut walked = Walked { hash: Some(String::new()), is_known: true, ..Walked::default() };
    for key in &survey.strangers {
        walked.findings.push(Finding::new(
            Code::Stranger,
            key,
            "No object of this name belongs into a chain's folder.",
        ));
    }
    if let Some(seq) = survey.checkpoints.last().copied()
        && !walked.begin(chain, survey, seq).await?
    {
        return Ok(None);
    }
    walked.compare(view);
    // At and below the newest checkpoint entries mean nothing; they go.
    let above = survey.entries.iter().copied().filter(|seq| *seq > walked.seq).collect::<Vec<_>>();
    let fetched = above.into_iter().map(|seq| async move { (seq, chain.entry(seq).await) });
    let mut fetched = stream::iter(fetched).buffered(FETCHES);
    while let Some((seq, entry)) = fetched.next().await {
        let entry = match entry {
            Ok(None) => return Ok(None),
            Ok(Some(entry)) => Ok(entry),
            Err(error) if error.kind().is_retryable() => return Err(error.into()),
            Err(error) => Err(error),
        };
        walked.skip_to(chain, seq);
        walked.seq = seq;
        walked.entries += 1;
        match entry {
            Ok((entry, hash)) => walked.take(chain, entry, hash),
            Err(error) => {
                let key = entry_key(chain, seq);
                walked.unreadable(Code::EntryUnreadable, key, "The entry cannot be read", &error);
            }
        }
        walked.compare(view);
    }
    Ok(Some(walked))
}

impl Walked {
    /// Begins at the chain's newest checkpoint; `false` when it is there no more.
    async fn begin(&mut self, chain: &Chain, survey: &Survey, seq: u64) -> Result<bool, Error> {
        self.seq = seq;
        let key = format!("{}checkpoint-{seq:020}.json", chain.folder());
        let checkpoint = match chain.checkpoint(seq).await {
            Ok(None) => return Ok(false),
            Ok(Some(checkpoint)) => checkpoint,
            Err(error) if error.kind().is_retryable() => return Err(error.into()),
            Err(error) => {
                self.unreadable(Code::CheckpointUnreadable, key, "The checkpoint cannot be read", &error);
                return Ok(true);
            }
        };
        let reads = checkpoint.segments.iter().map(|of| async move { (of, chain.segment(of).await) });
        let mut reads = stream::iter(reads).buffered(SEGMENT_FETCHES);
        while let Some((of, chunks)) = reads.next().await {
            match chunks {
                Ok(Some(chunks)) => {
                    for chunk in chunks {
                        if let Some(twice) = self.live.insert(chunk.key.clone(), chunk) {
                            let what = format!("{:?} stands in two of its segments.", twice.key);
                            self.findings.push(Finding::new(Code::BadChange, &key, what));
                        }
                    }
                }
                Ok(None) if !survey.segments.contains(&of.key) => {
                    let what = format!(
                        "Checkpoint {seq} names it, but it is not in the bucket: {} chunks of {} are not known.",
                        of.chunks, of.day
                    );
                    self.findings.push(Finding::new(Code::SegmentMissing, &of.key, what));
                    self.lose_track();
                }
                Ok(None) => return Ok(false),
                Err(error) if error.kind().is_retryable() => return Err(error.into()),
                Err(error) => {
                    self.unreadable(Code::SegmentUnreadable, of.key.clone(), "The segment cannot be read", &error);
                }
            }
        }
        drop(reads);
        self.at(&key, checkpoint);
        Ok(true)
    }

    fn at(&mut self, key: &str, checkpoint: Checkpoint) {
        let records: u64 = self.live.values().map(|chunk| chunk.records).sum();
        if self.is_known && records != checkpoint.records {
            let what = format!("Its segments hold {records} records; it says {}.", checkpoint.records);
            self.findings.push(Finding::new(Code::BadChange, key, what));
        }
        for removed in checkpoint.removed.keys().filter(|removed| self.live.contains_key(*removed)) {
            let what = format!("{removed:?} is both live and removed.");
            self.findings.push(Finding::new(Code::BadChange, key, what));
        }
        self.next = checkpoint.next;
        self.hash = self.is_known.then_some(checkpoint.hash);
        self.removed = checkpoint.removed.into_keys().collect();
        (self.sessions, self.gaps, self.quarantine) = (checkpoint.sessions, checkpoint.gaps, checkpoint.quarantine);
    }

    fn unreadable(&mut self, code: Code, key: String, what: &str, error: &loglake_commit::Error) {
        let is_newer = matches!(error, loglake_commit::Error::Newer { .. });
        let code = if is_newer { Code::Newer } else { code };
        self.findings.push(Finding::new(code, key, format!("{what}: {error}.")));
        self.lose_track();
    }

    /// Whether everything up to here is known, so that it can be compared with.
    pub(crate) fn is_certain(&self) -> bool {
        self.is_known && self.findings.iter().all(|finding| !is_of_chain(finding.code))
    }

    fn compare(&mut self, view: &IndexView) {
        if let IndexView::Read(Some(said)) = view
            && said.snapshot.watermark.seq == self.seq
            && self.is_certain()
        {
            let differences = compare::differences(said, self);
            self.findings.extend(differences);
        }
    }

    /// What follows cannot be held against what came before.
    fn lose_track(&mut self) {
        (self.hash, self.is_known) = (None, false);
    }

    fn skip_to(&mut self, chain: &Chain, seq: u64) {
        let expected = self.seq + 1;
        if seq == expected {
            return;
        }
        let missing = seq - expected;
        let what = format!(
            "{missing} of the chain's entries, {expected} to {}, are not in the bucket, but entry {seq} is: what they \
             added is not found, and nothing can be flushed on top.",
            seq - 1
        );
        self.findings.push(Finding::new(Code::EntryMissing, entry_key(chain, expected), what));
        self.lose_track();
    }

    fn take(&mut self, chain: &Chain, entry: Entry, hash: String) {
        let key = entry_key(chain, entry.seq);
        let mut find = |code: Code, what: String| self.findings.push(Finding::new(code, &key, what));
        if let Some(before) = &self.hash {
            if *before != entry.previous_hash {
                find(
                    Code::WrongPreviousHash,
                    format!(
                        "It says that its predecessor's hash is {:?}, which is {before:?}: one of the two was altered.",
                        entry.previous_hash
                    ),
                );
            }
            let (start, next) = (entry.start, self.next);
            if start > next {
                let what =
                    format!("It begins at offset {start}, its predecessor ends at {next}: records between are lost.");
                find(Code::OffsetGap, what);
            } else if start < next {
                let what =
                    format!("It begins at offset {start}, its predecessor ends at {next}: records may be twice.");
                find(Code::OffsetOverlap, what);
            }
        }
        if let Some(gap) = &entry.gap
            && !(entry.start <= gap.from && gap.from < gap.to && gap.to <= entry.next)
        {
            find(Code::BadChange, format!("Its gap {}..{} is not what it covers.", gap.from, gap.to));
        }
        let covered = covered(&entry);
        for chunk in &entry.removes {
            if self.live.remove(&chunk.key).is_none() && self.is_known {
                find(Code::BadChange, format!("It removes {:?}, which is not live.", chunk.key));
            }
            self.removed.insert(chunk.key.clone());
        }
        for chunk in &entry.adds {
            let (lowest, highest) = (chunk.lowest_offset, chunk.highest_offset);
            if lowest > highest || !covered.is_some_and(|(from, to)| from <= lowest && highest < to) {
                let what = format!(
                    "It adds {:?} with offsets {lowest} to {highest}, which are not what it covers ({} to {}).",
                    chunk.key, entry.start, entry.next
                );
                find(Code::BadChange, what);
            }
            if self.removed.contains(&chunk.key) {
                find(Code::BadChange, format!("It adds {:?}, which was removed.", chunk.key));
            }
            if self.live.insert(chunk.key.clone(), chunk.clone()).is_some() && self.is_known {
                find(Code::BadChange, format!("It adds {:?}, which is live already.", chunk.key));
            }
        }
        for change in entry.sessions {
            match change.state {
                Some(state) => self.sessions.insert(change.session, state),
                None => self.sessions.remove(&change.session),
            };
        }
        if let Some(gap) = entry.gap {
            Gap::add(&mut self.gaps, gap);
        }
        self.quarantine.extend(entry.quarantine.map(|object| Quarantined::new(entry.seq, &object)));
        (self.next, self.hash) = (entry.next, Some(hash));
    }
}

/// The offsets `[from, to)` that the chunks an entry adds may be of: its own, or those of what it rewrites.
fn covered(entry: &Entry) -> Option<(u64, u64)> {
    let own = (entry.next > entry.start).then_some((entry.start, entry.next));
    let rewritten = entry.removes.iter().map(|chunk| (chunk.lowest_offset, chunk.highest_offset.saturating_add(1)));
    own.into_iter().chain(rewritten).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}
