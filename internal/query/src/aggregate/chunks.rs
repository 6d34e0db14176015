use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use loglake_auth::limits::Limit;
use loglake_chunk::{Probe, decode_block_with};
use loglake_model::{ChunkMeta, Level, line};
use loglake_search::{Counter, Tally};

use super::directory::{self, Sixtieths};
use super::{Counting, MAX_CELLS, too_many};
use crate::Error;
use crate::blocks::NoMembers;
use crate::budget::Budget;
use crate::footers::NoFooter;
use crate::missing::{LOST, Missing};
use crate::shared::Shared;
use crate::spans::{MAX_SPAN_BYTES, Span, spans};
use crate::stats::Stats;

/// Footers read side by side.
const FOOTERS: usize = 32;
/// The most spans of blocks read side by side.
const MAX_SPANS: usize = 32;

/// A count over chunks under way.
pub(super) struct Chunks<'a> {
    shared: &'a Arc<Shared>,
    counting: &'a Arc<Counting>,
    probe: Probe,
    /// What is gone now will not be found by planning again.
    is_last_plan: bool,
    budget: Budget,
    tally: Tally,
    read: HashSet<String>,
    pub(super) missing: Vec<Missing>,
    pub(super) stats: Stats,
}

/// How it ended.
pub(super) enum Ended {
    Counted {
        tally: Tally,
        missing: Vec<Missing>,
        stats: Stats,
    },
    /// A chunk is gone: a newer plan knows where its records are.
    Vanished,
}

/// Blocks to count in.
struct Work {
    chunk: Arc<ChunkMeta>,
    span: Span,
    /// Where the directory has counted the rest.
    open: Option<Sixtieths>,
}

/// What a chunk's index entry and footer gave.
struct Looked {
    chunk: Arc<ChunkMeta>,
    tally: Tally,
    works: Vec<Work>,
    blocks_pruned: u64,
    /// Of the footer, where it was read.
    bytes: u64,
}

/// Why there is no count.
enum NoCount {
    Vanished(Arc<ChunkMeta>),
    Damaged(Arc<ChunkMeta>, String),
    Failed(Error),
}

impl<'a> Chunks<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        counting: &'a Arc<Counting>,
        is_last_plan: bool,
        budget: Budget,
    ) -> Self {
        let texts: Vec<&[u8]> = counting.matcher.text_needles().iter().map(Vec::as_slice).collect();
        let probe = Probe::new(&texts, counting.matcher.trace_id().map(str::as_bytes));
        let probe = probe.and_any_of(counting.matcher.text_clauses());
        let (tally, read, missing, stats) = Default::default();
        Self { shared, counting, probe, is_last_plan, budget, tally, read, missing, stats }
    }

    /// Adds counts.
    ///
    /// # Errors
    /// `Invalid` when there are too many.
    pub(super) fn add(&mut self, tally: &Tally) -> Result<(), Error> {
        self.tally.merge(tally);
        if self.tally.len() > MAX_CELLS { Err(too_many()) } else { Ok(()) }
    }

    /// Counts in `chunks`.
    ///
    /// # Errors
    /// `TooCostly` when too much would have to be searched; `Unavailable` when the store does not answer; `Invalid` when there are too many counts.
    pub(super) async fn count(mut self, chunks: Vec<ChunkMeta>) -> Result<Ended, Error> {
        let (shared, counting, probe) = (self.shared, self.counting, self.probe.clone());
        let mut left = Vec::new();
        for chunk in chunks {
            let has_level = counting.of_levels(&chunk.levels).iter().any(|count| *count > 0);
            if !has_level || !counting.takes(&chunk.service) || !chunk.overlaps(counting.range) {
                self.prune();
            } else if counting.is_whole(chunk.min_ns, chunk.max_ns) {
                let mut tally = Tally::default();
                let (name, start_ns) = (counting.name(&chunk.service), counting.steps.start_of(chunk.min_ns));
                tally.add(name, start_ns, &counting.of_levels(&chunk.levels));
                self.add(&tally)?;
            } else {
                left.push(Arc::new(chunk));
            }
        }
        let mut looks = stream::iter(left).map(|chunk| look(shared, counting, &probe, chunk)).buffer_unordered(FOOTERS);
        let mut works = Vec::new();
        while let Some(looked) = looks.next().await {
            match looked {
                Ok(looked) => {
                    self.stats.bytes_read += looked.bytes;
                    if looked.bytes > 0 {
                        self.read.insert(looked.chunk.key.clone());
                    }
                    if looked.works.is_empty() && looked.tally.is_empty() {
                        self.prune();
                    } else {
                        self.stats.blocks_pruned += looked.blocks_pruned;
                        shared.metrics.blocks.with_label_values(&["pruned"]).inc_by(looked.blocks_pruned);
                        shared.metrics.chunks.with_label_values(&["read"]).inc();
                    }
                    self.add(&looked.tally)?;
                    works.extend(looked.works);
                }
                Err(without) => {
                    if self.has_vanished(without)? {
                        return Ok(Ended::Vanished);
                    }
                }
            }
        }
        drop(looks);
        let blocks = works.iter().flat_map(|work| &work.span.rows);
        let searched_bytes: u64 = blocks.map(|row| u64::from(row.raw_length)).sum();
        if self.budget.is_passed_by(searched_bytes) {
            shared.metrics.limited(&counting.tenant, Limit::QueryBytes);
        }
        self.budget.check(searched_bytes)?;
        // As many as one look-ahead of bytes.
        let width = (shared.config.look_ahead_bytes as u64 / MAX_SPAN_BYTES).clamp(1, MAX_SPANS as u64) as usize;
        let mut counts = stream::iter(works).map(|work| scan(shared, counting, work)).buffer_unordered(width);
        while let Some(counted) = counts.next().await {
            match counted {
                Ok((work, tally, bytes)) => {
                    self.stats.bytes_read += bytes;
                    self.stats.events_scanned += work.span.records();
                    shared.metrics.blocks.with_label_values(&["read"]).inc_by(work.span.rows.len() as u64);
                    self.read.insert(work.chunk.key.clone());
                    self.add(&tally)?;
                }
                Err(without) => {
                    if self.has_vanished(without)? {
                        return Ok(Ended::Vanished);
                    }
                }
            }
        }
        drop(counts);
        self.stats.objects_read = self.read.len() as u64;
        Ok(Ended::Counted { tally: self.tally, missing: self.missing, stats: self.stats })
    }

    fn prune(&mut self) {
        self.stats.chunks_pruned += 1;
        self.shared.metrics.chunks.with_label_values(&["pruned"]).inc();
    }

    /// Names what is damaged; tells whether to plan again.
    fn has_vanished(&mut self, without: NoCount) -> Result<bool, Error> {
        let (chunk, reason) = match without {
            NoCount::Failed(error) => return Err(error),
            NoCount::Vanished(_) if !self.is_last_plan => return Ok(true),
            NoCount::Vanished(chunk) => (chunk, LOST.to_owned()),
            NoCount::Damaged(chunk, reason) => (chunk, reason),
        };
        tracing::error!(key = %chunk.key, %reason, "chunk is damaged");
        let is_new =
            !self.missing.iter().any(|missing| matches!(missing, Missing::Object { key, .. } if *key == chunk.key));
        if is_new {
            self.missing.push(Missing::Object { key: chunk.key.clone(), reason });
        }
        Ok(false)
    }
}

impl Counting {
    /// Whether all records between the two moments (both included) are counted in one step, and no other condition reads
    /// them.
    fn is_whole(&self, min_ns: i64, max_ns: i64) -> bool {
        let is_inside = self.range.contains(min_ns) && self.range.contains(max_ns);
        is_inside && self.steps.is_one(min_ns, max_ns) && !self.matcher.looks_inside()
    }
}

/// Looks into a chunk's footer.
async fn look(
    shared: &Arc<Shared>,
    counting: &Arc<Counting>,
    probe: &Probe,
    chunk: Arc<ChunkMeta>,
) -> Result<Looked, NoCount> {
    let (store, tenant) = (shared.store.as_ref(), &counting.tenant);
    let without = |error| match error {
        NoFooter::Vanished => NoCount::Vanished(Arc::clone(&chunk)),
        NoFooter::Damaged(reason) => NoCount::Damaged(Arc::clone(&chunk), reason),
        NoFooter::Store(error) => NoCount::Failed(error.into()),
    };
    let mut tally = Tally::default();
    let (known, bytes, wanted, open) = if counting.matcher.looks_inside() {
        let (known, bytes) = shared.footers.get(store, tenant, &chunk, probe).await.map_err(without)?;
        let wanted: Vec<usize> = known.blocks_that_may_match(probe).collect();
        (known, bytes, wanted, None)
    } else {
        let (known, bytes) = shared.footers.contents(store, tenant, &chunk).await.map_err(without)?;
        let found = directory::count(known.contents(), counting.range, counting.steps);
        let name = counting.name(&chunk.service);
        for (start_ns, counts) in &found.counts {
            tally.add(name, *start_ns, &counting.of_levels(counts));
        }
        (known, bytes, found.blocks, Some(found.open))
    };
    let rows = known.contents().blocks();
    let has_level = |at: &usize| counting.of_levels(&rows[*at].levels.map(u64::from)).iter().any(|count| *count > 0);
    let may_hold = |at: &usize| counting.range.overlaps(rows[*at].min_ns, rows[*at].max_ns) && has_level(at);
    let wanted: Vec<_> = wanted.into_iter().filter(may_hold).map(|at| rows[at]).collect();
    let blocks_pruned = (rows.len() - wanted.len()) as u64;
    let works = spans(wanted).into_iter().map(|span| Work { chunk: Arc::clone(&chunk), span, open }).collect();
    Ok(Looked { chunk, tally, works, blocks_pruned, bytes })
}

/// Reads blocks and counts in them. Also how many bytes were read.
async fn scan(shared: &Arc<Shared>, counting: &Arc<Counting>, work: Work) -> Result<(Work, Tally, u64), NoCount> {
    let members = match shared.blocks.get(&counting.tenant, &work.chunk, &work.span).await {
        Ok(members) => members,
        Err(NoMembers::Vanished) => return Err(NoCount::Vanished(work.chunk)),
        Err(NoMembers::Damaged(reason)) => return Err(NoCount::Damaged(work.chunk, reason)),
        Err(NoMembers::Failed(error)) => return Err(NoCount::Failed(error)),
    };
    let (tenant, counting, bytes) = (counting.tenant.clone(), Arc::clone(counting), members.bytes);
    let counted = shared.compute(&tenant, move || {
        let tally = count(&counting, &work, &members.blocks);
        (work, tally)
    });
    match counted.await {
        Ok((work, Ok(tally))) => Ok((work, tally, bytes)),
        Ok((work, Err(reason))) => Err(NoCount::Damaged(work.chunk, reason)),
        Err(error) => Err(NoCount::Failed(error)),
    }
}

fn count(counting: &Counting, work: &Work, members: &[Bytes]) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for (row, member) in work.span.rows.iter().zip(members) {
        let mut counter = Counter::new(&mut tally, counting.name(&work.chunk.service), counting.steps);
        let count = |lines: &[u8]| {
            counting.matcher.scan(lines, counting.range, |at_ns, line| {
                if work.open.is_none_or(|open| open.holds(at_ns)) {
                    counter.add(at_ns, Level::slot(line::level_of(line)));
                }
            });
        };
        decode_block_with(row, member, count).map_err(|error| error.to_string())?;
    }
    Ok(tally)
}
