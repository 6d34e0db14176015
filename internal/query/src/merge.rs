//! Best first: whatever may hold the next row is opened, and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use loglake_chunk::BlockRow;
use loglake_model::ChunkMeta;
use tokio::time::timeout_at;

use crate::Error;
use crate::budget::Budget;
use crate::expand::{Closed, Opened, Opener};
use crate::missing::Missing;
use crate::order::{Position, Rank};
use crate::page::Page;
use crate::plan::Plan;
use crate::room::Large;
use crate::run::Run;
use crate::stats::Stats;

/// How many blocks, and how many footers, are opened side by side at first; twice as many each time that nothing came of it. As
/// many footers as ever at once where there is a text or a trace to look for: then most are read to find nothing.
const FIRST_WIDTH: usize = 4;
const MAX_WIDTH: usize = 32;

/// What stands in the queue, at the rank that none of its rows goes before.
enum Item {
    Closed(Closed),
    /// Being opened.
    Opening,
    Run(Run),
    /// A tail left out rows past here: the page must not go on.
    Barrier,
}

/// The order of the queue: by rank; closed things before rows of their rank, as they may hold it too; barriers behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rank: Rank,
    class: Class,
    number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Closed,
    Rows,
    Barrier,
}

/// What was opened, where it stood in the queue, and what that was reckoned to cost.
type Opening = (Key, Cost, Result<Opened, Error>);

/// Blocks of one chunk that are opened together.
type Neighbours = (Arc<ChunkMeta>, Vec<(BlockRow, Key, Cost)>);

/// What is under way for one closed thing.
#[derive(Clone, Copy, Debug)]
struct Cost {
    bytes: u64,
    is_block: bool,
}

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// There is nothing more.
    Exhausted,
    /// There may be more past this place.
    At(Position),
    /// Time ran out before the first place was passed.
    NoProgress,
    /// The same, but what ran out is what may be searched: the next block would make it so many bytes.
    TooCostly(u64),
    /// A chunk had vanished: plan again.
    Vanished,
}

/// A page, and what is to be said of it.
pub(crate) struct Merged {
    pub(crate) page: Page,
    pub(crate) end: End,
    pub(crate) missing: Vec<Missing>,
    pub(crate) stats: Stats,
    /// Whether it ended because no more may be searched.
    pub(crate) is_spent: bool,
}

/// A merge under way.
pub(crate) struct Merge {
    opener: Arc<Opener>,
    queue: BTreeMap<Key, Item>,
    next_number: usize,
    opening: FuturesUnordered<BoxFuture<'static, Opening>>,
    opening_bytes: u64,
    /// Of what is being opened, how many are blocks.
    opening_blocks: usize,
    width: usize,
    budget: Budget,
    /// Bytes, decompressed, of the blocks that were opened or are being.
    searched_bytes: u64,
    /// Objects that something was read of, and those that are reported as damaged.
    read: HashSet<String>,
    damaged: HashSet<String>,
    merged: Merged,
    /// What the chunks take.
    _room: Option<Large>,
}

impl Merge {
    /// A merge of what `plan` names.
    pub(crate) fn new(opener: Opener, plan: Plan, budget: Budget) -> Self {
        let merged = Merged {
            page: Page::default(),
            end: End::Exhausted,
            missing: plan.missing,
            stats: Stats::default(),
            is_spent: false,
        };
        let mut merge = Self {
            opener: Arc::new(opener),
            queue: BTreeMap::new(),
            next_number: 0,
            opening: FuturesUnordered::new(),
            opening_bytes: 0,
            opening_blocks: 0,
            width: FIRST_WIDTH,
            budget,
            searched_bytes: 0,
            read: HashSet::new(),
            damaged: HashSet::new(),
            merged,
            _room: plan.room,
        };
        merge.merged.stats.bytes_read += plan.replayed_bytes;
        let opener = Arc::clone(&merge.opener);
        for chunk in plan.chunks {
            let has_level = opener.query.filter.levels.is_none_or(|levels| levels.count(&chunk.levels) > 0);
            let services = &opener.query.filter.services;
            let has_service = services.is_empty() || services.contains(&chunk.service);
            if has_level && has_service && chunk.overlaps(opener.query.rest()) {
                let bound = opener.bound(chunk.min_ns, chunk.max_ns);
                merge.insert(bound, Class::Closed, Item::Closed(Closed::Chunk(Arc::new(chunk))));
            } else {
                merge.prune_chunk();
            }
        }
        for tail in plan.tails {
            merge.merged.stats.events_scanned += tail.scanned;
            let run = Run::of_tail(tail.rows);
            if tail.is_truncated
                && let Some(rank) = run.last_rank(&opener.query)
            {
                merge.insert(rank, Class::Barrier, Item::Barrier);
            }
            merge.insert_run(run);
        }
        merge
    }

    fn insert(&mut self, rank: Rank, class: Class, item: Item) {
        let number = self.next_number;
        self.next_number += 1;
        self.queue.insert(Key { rank, class, number }, item);
    }

    fn insert_run(&mut self, run: Run) {
        if let Some(rank) = run.rank(&self.opener.query) {
            self.insert(rank, Class::Rows, Item::Run(run));
        }
    }

    fn prune_chunk(&mut self) {
        self.merged.stats.chunks_pruned += 1;
        self.opener.shared.metrics.chunks.with_label_values(&["pruned"]).inc();
    }

    /// Fills the page.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub(crate) async fn run(mut self) -> Result<Merged, Error> {
        let deadline = self.budget.deadline;
        let first = self.queue.first_key_value().map(|(key, _)| key.rank);
        self.merged.end = loop {
            let Some(mut top) = self.queue.first_entry() else { break End::Exhausted };
            match top.get_mut() {
                Item::Run(_) => {
                    let (_, item) = top.remove_entry();
                    if let Item::Run(run) = item
                        && let Some(end) = self.emit(run)
                    {
                        break end;
                    }
                }
                Item::Barrier => {
                    // Its own rows stand before it.
                    let rank = top.key().rank;
                    break self.stopped(rank);
                }
                Item::Closed(_) | Item::Opening => {
                    let rank = top.key().rank;
                    self.look_ahead();
                    let has_moved = self.merged.page.rows > 0 || Some(rank) > first;
                    if let Some(bytes) = self.too_much() {
                        self.merged.is_spent = true;
                        let end = self.stopped(rank);
                        // The same will be searched for the page after it: one that ends where it began is followed by no other.
                        break if has_moved && self.is_past(end) { end } else { End::TooCostly(bytes) };
                    }
                    let Ok(opened) = timeout_at(deadline, self.opening.next()).await else {
                        break if has_moved { self.stopped(rank) } else { End::NoProgress };
                    };
                    let Some((key, cost, opened)) = opened else {
                        return Err(Error::Internal("nothing is being opened".to_owned()));
                    };
                    self.opening_bytes -= cost.bytes;
                    self.opening_blocks -= usize::from(cost.is_block);
                    self.queue.remove(&key);
                    if !self.take(opened?) {
                        break End::Vanished;
                    }
                }
            }
        };
        self.merged.stats.objects_read = self.read.len() as u64;
        Ok(self.merged)
    }

    /// How many bytes would have been searched after the block that is next, where that is more than may be.
    fn too_much(&self) -> Option<u64> {
        match self.queue.first_key_value() {
            Some((_, Item::Closed(Closed::Block(_, row)))) => {
                Some(self.searched_bytes + u64::from(row.raw_length)).filter(|bytes| self.budget.is_passed_by(*bytes))
            }
            _ => None,
        }
    }

    /// Whether a page that ends so got further than the one before it.
    fn is_past(&self, end: End) -> bool {
        let query = &self.opener.query;
        match (end, query.after) {
            (End::At(last), Some(after)) => query.direction.rank(last) > query.direction.rank(after),
            _ => true,
        }
    }

    /// The page ends before `rank`, though there may be more.
    fn stopped(&self, rank: Rank) -> End {
        let bound = self.opener.query.direction.just_before(rank);
        match self.merged.page.last {
            // A row's own place is the better one where the bound lies before it.
            Some(last) if self.opener.query.direction.rank(last) >= self.opener.query.direction.rank(bound) => {
                End::At(last)
            }
            _ => End::At(bound),
        }
    }

    /// Answers rows of `run` as long as they are next; `Some` when the page is full.
    fn emit(&mut self, mut run: Run) -> Option<End> {
        let opener = Arc::clone(&self.opener);
        let (query, page_bytes) = (&opener.query, opener.shared.config.page_bytes);
        let rival = self.queue.first_key_value().map(|(key, _)| *key);
        while let Some((position, line)) = run.head() {
            let is_next = rival.is_none_or(|rival| {
                let rank = query.direction.rank(position);
                // Two rows of one place are never stored; if they are all the same, one goes first, or each would wait for ever.
                (rank, Class::Rows) <= (rival.rank, rival.class)
            });
            if !is_next {
                break;
            }
            if !self.merged.page.push(query, page_bytes, position, line) {
                // There is this row at least.
                return self.merged.page.last.map(End::At);
            }
            run.advance();
        }
        let is_over = run.len() == 0 && self.queue.is_empty();
        let is_full = self.merged.page.rows >= query.limit;
        self.insert_run(run);
        match self.merged.page.last {
            // What is closed may be empty, but a cursor too many does no harm.
            Some(last) if is_full && !is_over => Some(End::At(last)),
            _ => None,
        }
    }

    /// Begins to open the closed things that come next, as many as fit, but none behind a row that is at hand.
    fn look_ahead(&mut self) {
        let most_bytes = self.opener.shared.config.look_ahead_bytes as u64;
        let footers_width = if self.opener.probe.is_empty() { self.width } else { MAX_WIDTH };
        let mut footers = self.opening.len() - self.opening_blocks;
        let mut chosen = Vec::new();
        for (key, item) in &self.queue {
            match item {
                Item::Closed(closed) => {
                    let is_block = matches!(closed, Closed::Block(..));
                    let (count, width) =
                        if is_block { (&mut self.opening_blocks, self.width) } else { (&mut footers, footers_width) };
                    let bytes = Opener::cost(closed);
                    let searched_bytes = self.searched_bytes + Opener::searched(closed);
                    let is_first = self.opening.is_empty() && chosen.is_empty();
                    if *count >= width || (!is_first && self.opening_bytes + bytes > most_bytes) {
                        break;
                    }
                    if is_block && self.budget.is_passed_by(searched_bytes) {
                        break;
                    }
                    self.searched_bytes = searched_bytes;
                    *count += 1;
                    self.opening_bytes += bytes;
                    chosen.push((*key, Cost { bytes, is_block }));
                }
                Item::Opening => {}
                Item::Run(_) | Item::Barrier => break,
            }
        }
        // By chunk, so that neighbours are read together.
        let mut blocks = Vec::<Neighbours>::new();
        for (key, cost) in chosen {
            let Some(item) = self.queue.get_mut(&key) else { continue };
            match std::mem::replace(item, Item::Opening) {
                Item::Closed(Closed::Chunk(meta)) => {
                    let opener = Arc::clone(&self.opener);
                    self.opening.push(Box::pin(async move { (key, cost, opener.open_chunk(meta).await) }));
                }
                Item::Closed(Closed::Block(meta, row)) => {
                    match blocks.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &meta)) {
                        Some((_, rows)) => rows.push((row, key, cost)),
                        None => blocks.push((meta, vec![(row, key, cost)])),
                    }
                }
                // Only what is closed was chosen.
                other => *item = other,
            }
        }
        for (meta, mut rows) in blocks {
            self.opener.shared.metrics.blocks.with_label_values(&["read"]).inc_by(rows.len() as u64);
            rows.sort_unstable_by_key(|(row, ..)| row.offset);
            let readings = self.opener.read(&meta, rows.iter().map(|(row, ..)| *row).collect());
            for ((_, key, cost), (row, reading)) in rows.into_iter().zip(readings) {
                let opened = self.opener.begin_block(Arc::clone(&meta), row, reading);
                self.opening.push(Box::pin(async move { (key, cost, opened.await) }));
            }
        }
    }

    /// Puts what was opened in its place; `false` when it is not there any more.
    fn take(&mut self, opened: Opened) -> bool {
        let metrics = self.opener.shared.metrics.clone();
        let stats = &mut self.merged.stats;
        match opened {
            Opened::Vanished => return false,
            Opened::Damaged { key, reason } => {
                tracing::error!(%key, %reason, "chunk is damaged");
                if self.damaged.insert(key.clone()) {
                    self.merged.missing.push(Missing::Object { key, reason });
                }
            }
            Opened::Blocks { key, blocks, pruned, bytes } => {
                stats.bytes_read += bytes;
                if bytes > 0 {
                    self.read.insert(key);
                }
                if blocks.is_empty() {
                    self.prune_chunk();
                    self.widen();
                } else {
                    stats.blocks_pruned += pruned;
                    metrics.blocks.with_label_values(&["pruned"]).inc_by(pruned);
                    metrics.chunks.with_label_values(&["read"]).inc();
                }
                for (rank, block) in blocks {
                    self.insert(rank, Class::Closed, Item::Closed(block));
                }
            }
            Opened::Rows { key, run, scanned, bytes } => {
                stats.bytes_read += bytes;
                stats.events_scanned += scanned;
                self.read.insert(key);
                if run.len() == 0 {
                    self.widen();
                }
                self.insert_run(run);
            }
        }
        true
    }

    fn widen(&mut self) {
        self.width = (self.width * 2).min(MAX_WIDTH);
    }
}
