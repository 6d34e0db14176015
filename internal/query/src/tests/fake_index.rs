use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use loglake_index::{
    Apply, Change, ChunkIndex, ChunkQuery, Error, Gap, Lease, PartitionChunks, RebuildToken, SessionChange, Snapshot,
    Watermark,
};
use loglake_model::{ChunkMeta, TenantId};
use parking_lot::Mutex;

/// An index that says what a test wants.
#[derive(Debug, Default)]
pub(super) struct FakeIndex {
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) partitions: HashMap<u32, (Option<Watermark>, Vec<ChunkMeta>)>,
    pub(super) gaps: HashMap<u32, Vec<Gap>>,
    pub(super) sessions: HashMap<u32, Vec<SessionChange>>,
    pub(super) leases: HashMap<String, String>,
    /// Runs once, at the next question for chunks, before it is answered.
    pub(super) before_chunks: Vec<Step>,
    /// The same, at questions for sessions.
    pub(super) before_sessions: Vec<Step>,
    pub(super) questions: u64,
    pub(super) is_down: bool,
}

/// A change of the state that happens at a question.
pub(super) struct Step(pub(super) Box<dyn FnOnce(&mut State) + Send>);

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step")
    }
}

fn unused<T>() -> Result<T, Error> {
    Err(Error::Unfit("the query role only reads".to_owned()))
}

#[async_trait]
impl ChunkIndex for FakeIndex {
    async fn apply(&self, _: u32, _: &Change) -> Result<Apply, Error> {
        unused()
    }

    async fn watermark(&self, partition: u32) -> Result<Option<Watermark>, Error> {
        Ok(self.state.lock().partitions.get(&partition).and_then(|(watermark, _)| *watermark))
    }

    async fn begin_rebuild(&self, _: u32) -> Result<RebuildToken, Error> {
        unused()
    }

    async fn rebuild(&self, _: u32, _: &RebuildToken, _: &Snapshot) -> Result<bool, Error> {
        unused()
    }

    async fn replace(&self, _: u32, _: &RebuildToken, _: Option<Watermark>, _: &Snapshot) -> Result<bool, Error> {
        unused()
    }

    async fn dump(&self, _: u32) -> Result<Option<Snapshot>, Error> {
        unused()
    }

    async fn chunks(&self, tenant: &TenantId, query: &ChunkQuery<'_>) -> Result<Vec<PartitionChunks>, Error> {
        let mut state = self.state.lock();
        if state.is_down {
            return Err(Error::Unavailable { what: "chunks".to_owned(), reason: "test".to_owned() });
        }
        state.questions += 1;
        // Steps are in the order they are to happen, one a question.
        if !state.before_chunks.is_empty() {
            let Step(step) = state.before_chunks.remove(0);
            step(&mut state);
        }
        let of = |partition: &u32| {
            let (watermark, chunks) = state.partitions.get(partition).cloned().unwrap_or_default();
            let wanted = |chunk: &ChunkMeta| {
                chunk.tenant == *tenant.name()
                    && query.services.is_none_or(|services| services.contains(&chunk.service))
                    && chunk.overlaps(query.range)
            };
            let gaps = state.gaps.get(partition).filter(|_| watermark.is_some()).cloned().unwrap_or_default();
            let chunks = if watermark.is_some() { chunks.into_iter().filter(wanted).collect() } else { Vec::new() };
            PartitionChunks { partition: *partition, watermark, chunks, gaps }
        };
        let answers: Vec<PartitionChunks> = query.partitions.iter().map(of).collect();
        let count: usize = answers.iter().map(|answer| answer.chunks.len()).sum();
        if count > query.most { Err(Error::TooMany { most: query.most }) } else { Ok(answers) }
    }

    async fn sessions(&self, partition: u32) -> Result<Option<(Watermark, Vec<SessionChange>)>, Error> {
        let mut state = self.state.lock();
        if !state.before_sessions.is_empty() {
            let Step(step) = state.before_sessions.remove(0);
            step(&mut state);
        }
        let watermark = state.partitions.get(&partition).and_then(|(watermark, _)| *watermark);
        Ok(watermark.map(|watermark| (watermark, state.sessions.get(&partition).cloned().unwrap_or_default())))
    }

    async fn acquire(&self, _: &str, _: &str, _: &str, _: Duration) -> Result<Lease, Error> {
        unused()
    }

    async fn seize(&self, _: &str, _: &str, _: &str, _: Duration) -> Result<Lease, Error> {
        unused()
    }

    async fn release(&self, _: &str, _: &str) -> Result<(), Error> {
        unused()
    }

    async fn leases(&self, names: &[String]) -> Result<Vec<Option<Lease>>, Error> {
        let state = self.state.lock();
        let of = |name: &String| {
            let value = state.leases.get(name)?.clone();
            Some(Lease { holder: value.clone(), value, generation: 1 })
        };
        Ok(names.iter().map(of).collect())
    }
}
