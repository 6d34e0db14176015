//! Opens what a merge holds closed: chunks into blocks, blocks into rows.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use loglake_chunk::{BlockRow, Probe};
use loglake_model::ChunkMeta;
use loglake_search::Matcher;

use crate::Error;
use crate::blocks::{Members, NoMembers};
use crate::footers::NoFooter;
use crate::missing::LOST;
use crate::order::{Direction, Rank};
use crate::query::Query;
use crate::run::Run;
use crate::shared::Shared as Parts;
use crate::spans::spans;

/// Something closed that may hold rows.
#[derive(Clone, Debug)]
pub(crate) enum Closed {
    Chunk(Arc<ChunkMeta>),
    Block(Arc<ChunkMeta>, BlockRow),
}

/// What came out.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A chunk's blocks that may match, each with the rank that none of its rows goes before.
    Blocks { key: String, blocks: Vec<(Rank, Closed)>, pruned: u64, bytes: u64 },
    /// A block's rows.
    Rows { key: String, run: Run, scanned: u64, bytes: u64 },
    /// The object is gone: a newer plan knows where its records are.
    Vanished,
    /// It cannot be read.
    Damaged { key: String, reason: String },
}

/// What a query opens things with.
pub(crate) struct Opener {
    pub(crate) shared: Arc<Parts>,
    pub(crate) query: Arc<Query>,
    /// The query's matcher without services: a chunk has one, which its footer says.
    pub(crate) matcher: Arc<Matcher>,
    pub(crate) probe: Probe,
    /// What is gone now will not be found by planning again.
    pub(crate) is_last_plan: bool,
}

impl Opener {
    pub(crate) fn new(shared: Arc<Parts>, query: Arc<Query>, is_last_plan: bool) -> Self {
        let texts: Vec<&[u8]> = query.matcher.text_needles().iter().map(Vec::as_slice).collect();
        let probe = Probe::new(&texts, query.matcher.trace_id().map(str::as_bytes));
        let probe = probe.and_any_of(query.matcher.text_clauses());
        let matcher = Arc::new(query.matcher.clone().for_any_service());
        Self { shared, query, matcher, probe, is_last_plan }
    }

    /// The rank that no row between the two moments (both included) goes before, counting only those that are asked for.
    pub(crate) fn bound(&self, min_ns: i64, max_ns: i64) -> Rank {
        let rest = self.query.rest();
        match self.query.direction {
            Direction::Forward => Direction::Forward.first_at(min_ns.max(rest.start_ns())),
            Direction::Backward => Direction::Backward.first_at(max_ns.min(rest.end_ns().saturating_sub(1))),
        }
    }

    /// Bytes that opening it reads, and holds for a while.
    pub(crate) fn cost(closed: &Closed) -> u64 {
        match closed {
            Closed::Chunk(meta) => meta.length.saturating_sub(meta.footer_offset),
            Closed::Block(_, row) => u64::from(row.length) + u64::from(row.raw_length),
        }
    }

    /// Bytes that are searched then.
    pub(crate) fn searched(closed: &Closed) -> u64 {
        match closed {
            Closed::Chunk(_) => 0,
            Closed::Block(_, row) => u64::from(row.raw_length),
        }
    }

    /// A chunk that is not there: removed meanwhile, so that newer entries know better; or lost, when they named it again.
    fn vanished(&self, meta: &ChunkMeta) -> Opened {
        if self.is_last_plan {
            Opened::Damaged { key: meta.key.clone(), reason: LOST.to_owned() }
        } else {
            Opened::Vanished
        }
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub(crate) async fn open_chunk(&self, meta: Arc<ChunkMeta>) -> Result<Opened, Error> {
        let shared = &self.shared;
        let store = shared.store.as_ref();
        let (footer, bytes) = match shared.footers.get(store, &self.query.tenant, &meta, &self.probe).await {
            Ok(found) => found,
            Err(NoFooter::Vanished) => return Ok(self.vanished(&meta)),
            Err(NoFooter::Damaged(reason)) => return Ok(Opened::Damaged { key: meta.key.clone(), reason }),
            Err(NoFooter::Store(error)) => return Err(error.into()),
        };
        let rows = footer.contents().blocks();
        let rest = self.query.rest();
        let may_hold = |row: &&BlockRow| {
            rest.overlaps(row.min_ns, row.max_ns)
                && self.query.filter.levels.is_none_or(|levels| levels.count(&row.levels.map(u64::from)) > 0)
        };
        let block = |row: &BlockRow| (self.bound(row.min_ns, row.max_ns), Closed::Block(Arc::clone(&meta), *row));
        let blocks = footer.blocks_that_may_match(&self.probe).map(|at| &rows[at]);
        let blocks: Vec<(Rank, Closed)> = blocks.filter(may_hold).map(block).collect();
        let pruned = (rows.len() - blocks.len()) as u64;
        Ok(Opened::Blocks { key: meta.key.clone(), blocks, pruned, bytes })
    }

    /// Begins to read blocks of a chunk, neighbours with one request. Each of them waits for its own request alone.
    pub(crate) fn read(self: &Arc<Self>, meta: &Arc<ChunkMeta>, rows: Vec<BlockRow>) -> Vec<(BlockRow, Reading)> {
        let mut readings = Vec::with_capacity(rows.len());
        for span in spans(rows) {
            let (opener, meta, rows) = (Arc::clone(self), Arc::clone(meta), span.rows.clone());
            let read = async move { opener.shared.blocks.get(&opener.query.tenant, &meta, &span).await.map(Arc::new) };
            let read = read.boxed().shared();
            readings.extend(
                rows.into_iter().enumerate().map(|(number, row)| (row, Reading { read: read.clone(), number })),
            );
        }
        readings
    }

    /// Opens a block that is being read, beside others.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub(crate) fn begin_block(
        self: &Arc<Self>,
        meta: Arc<ChunkMeta>,
        row: BlockRow,
        reading: Reading,
    ) -> BoxFuture<'static, Result<Opened, Error>> {
        let opener = Arc::clone(self);
        self.shared.beside(async move { opener.open_block(meta, row, reading).await })
    }

    async fn open_block(&self, meta: Arc<ChunkMeta>, row: BlockRow, reading: Reading) -> Result<Opened, Error> {
        let members = match reading.read.await {
            Ok(members) => members,
            Err(NoMembers::Vanished) => return Ok(self.vanished(&meta)),
            Err(NoMembers::Damaged(reason)) => return Ok(Opened::Damaged { key: meta.key.clone(), reason }),
            Err(NoMembers::Failed(error)) => return Err(error),
        };
        let Some(member) = members.blocks.get(reading.number).cloned() else {
            return Err(Error::Internal("a span has fewer blocks than were asked for".to_owned()));
        };
        // What was read for several is told with the first.
        let (scanned, bytes) = (u64::from(row.records), if reading.number == 0 { members.bytes } else { 0 });
        drop(members);
        let (query, matcher) = (Arc::clone(&self.query), Arc::clone(&self.matcher));
        match self.shared.compute(&self.query.tenant, move || Run::of_block(&query, &matcher, &row, &member)).await? {
            Ok(run) => Ok(Opened::Rows { key: meta.key.clone(), run, scanned, bytes }),
            Err(reason) => Ok(Opened::Damaged { key: meta.key.clone(), reason }),
        }
    }
}

/// A block's part in a request for several.
pub(crate) struct Reading {
    read: Shared<BoxFuture<'static, Result<Arc<Members>, NoMembers>>>,
    number: usize,
}
