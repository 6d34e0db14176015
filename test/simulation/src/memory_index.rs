//! The index itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use loglake_index::{
    Apply, Change, ChunkIndex, ChunkQuery, Error, Gap, Lease, PartitionChunks, RebuildToken, SessionChange, Snapshot,
    Watermark,
};
use loglake_model::{ChunkMeta, Clock, TenantId};
use parking_lot::Mutex;

use crate::clock::SimulatedClock;
use crate::mutation::Mutation;

const MINUTE_NS: i64 = 60_000_000_000;

/// The index in memory: the shortest reading of the contract. It passes the same suite as the others.
#[derive(Debug)]
pub struct MemoryIndex {
    clock: SimulatedClock,
    mutation: Option<Mutation>,
    state: Mutex<State>,
    /// Those of older incarnations.
    older: Mutex<BTreeMap<u32, Arc<MemoryIndex>>>,
}

/// All that an index holds.
#[derive(Clone, Debug, Default)]
pub struct State {
    partitions: BTreeMap<u32, Partition>,
    leases: BTreeMap<String, (Lease, i64)>,
    /// Grows with every token and new holder of a lease, also over a loss, so that no two are the same.
    tokens: u64,
}

/// What an index holds of a partition.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// `None` while it is lost.
    pub watermark: Option<Watermark>,
    /// The live chunks by key.
    pub live: BTreeMap<String, ChunkMeta>,
    sessions: BTreeMap<String, String>,
    gaps: Vec<Gap>,
    token: Option<String>,
}

impl MemoryIndex {
    /// An empty one.
    #[must_use]
    pub fn new(clock: SimulatedClock, mutation: Option<Mutation>) -> Self {
        Self { clock, mutation, state: Mutex::default(), older: Mutex::default() }
    }

    /// Loses everything, as FLUSHALL does.
    pub fn lose(&self) {
        let mut state = self.state.lock();
        *state = State { tokens: state.tokens, ..State::default() };
    }

    /// All of it, as it is.
    #[must_use]
    pub fn copy(&self) -> State {
        self.state.lock().clone()
    }

    /// Goes back to what it was, as a failover does that loses the last seconds.
    pub fn go_back(&self, to: State) {
        let mut state = self.state.lock();
        *state = State { tokens: state.tokens, ..to };
    }

    /// What it holds of `partition`.
    #[must_use]
    pub fn partition(&self, partition: u32) -> Partition {
        self.state.lock().partitions.get(&partition).cloned().unwrap_or_default()
    }

    /// Puts `snapshot` in the place of what there is, if `token` is still there and `may` says so of the watermark.
    fn swap(
        &self,
        partition: u32,
        token: &RebuildToken,
        snapshot: &Snapshot,
        may: impl Fn(Option<Watermark>) -> bool,
    ) -> Result<bool, Error> {
        check(&snapshot.live)?;
        let mut state = self.state.lock();
        let part = state.partitions.entry(partition).or_default();
        if part.token.as_ref() != Some(&token.0) || !may(part.watermark) {
            return Ok(false);
        }
        *part = Partition::default();
        part.fill(&snapshot.live, &snapshot.sessions);
        part.gaps.clone_from(&snapshot.gaps);
        part.watermark = Some(snapshot.watermark);
        Ok(true)
    }

    fn take(&self, name: &str, holder: &str, value: &str, ttl: Duration, by_force: bool) -> Lease {
        let now_ns = self.clock.now_ns();
        let mut state = self.state.lock();
        let before = state.leases.get(name);
        let live = before.filter(|(_, end_ns)| *end_ns > now_ns);
        let generation = match (live, before) {
            (Some((lease, _)), _) if lease.holder == holder => lease.generation,
            (Some((lease, _)), _) if !by_force => return lease.clone(),
            // Never one that was given before, also before a loss.
            _ => {
                state.tokens += 1;
                state.tokens
            }
        };
        let lease = Lease { holder: holder.to_owned(), value: value.to_owned(), generation };
        let end_ns = now_ns.saturating_add(i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX));
        state.leases.insert(name.to_owned(), (lease.clone(), end_ns));
        lease
    }
}

/// A chunk that contradicts itself would be found by no query.
fn check(chunks: &[ChunkMeta]) -> Result<(), Error> {
    for chunk in chunks {
        let window = chunk.window;
        let is_whole = window.start_ns % MINUTE_NS == 0 && window.length_ns % MINUTE_NS == 0;
        let is_sound = is_whole
            && (1..=24 * 60).contains(&(window.length_ns / MINUTE_NS))
            && chunk.min_ns <= chunk.max_ns
            && window.contains(chunk.min_ns)
            && window.contains(chunk.max_ns)
            && chunk.key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_sound {
            return Err(Error::Corrupt { key: chunk.key.clone(), reason: "it contradicts itself".to_owned() });
        }
    }
    Ok(())
}

impl Partition {
    fn fill(&mut self, chunks: &[ChunkMeta], sessions: &[SessionChange]) {
        self.live.extend(chunks.iter().map(|chunk| (chunk.key.clone(), chunk.clone())));
        for change in sessions {
            match &change.state {
                Some(state) => self.sessions.insert(change.session.clone(), state.clone()),
                None => self.sessions.remove(&change.session),
            };
        }
    }
}

#[async_trait]
impl ChunkIndex for MemoryIndex {
    async fn apply(&self, partition: u32, change: &Change) -> Result<Apply, Error> {
        check(&change.adds)?;
        let mut state = self.state.lock();
        let part = state.partitions.entry(partition).or_default();
        let is_careless = self.mutation == Some(Mutation::IndexAppliesAnything);
        let is_next = part.watermark.is_some_and(|watermark| watermark.seq + 1 == change.seq);
        if !is_next && !is_careless {
            return Ok(Apply::Refused(part.watermark));
        }
        if change.removes.iter().any(|chunk| !part.live.contains_key(&chunk.key)) {
            *part = Partition::default();
            return Ok(Apply::Refused(None));
        }
        for chunk in &change.removes {
            part.live.remove(&chunk.key);
        }
        let lost = usize::from(self.mutation == Some(Mutation::IndexLosesChunks) && change.seq.is_multiple_of(3));
        part.fill(change.adds.get(lost..).unwrap_or_default(), &change.sessions);
        if let Some(gap) = &change.gap {
            Gap::add(&mut part.gaps, gap.clone());
        }
        part.watermark = Some(Watermark { seq: change.seq, next: change.next });
        Ok(Apply::Applied)
    }

    async fn watermark(&self, partition: u32) -> Result<Option<Watermark>, Error> {
        Ok(self.partition(partition).watermark)
    }

    async fn begin_rebuild(&self, partition: u32) -> Result<RebuildToken, Error> {
        let mut state = self.state.lock();
        state.tokens += 1;
        let fresh = format!("token-{}", state.tokens);
        Ok(RebuildToken(state.partitions.entry(partition).or_default().token.get_or_insert(fresh).clone()))
    }

    async fn rebuild(&self, partition: u32, token: &RebuildToken, snapshot: &Snapshot) -> Result<bool, Error> {
        self.swap(partition, token, snapshot, |there| there.is_none_or(|there| there.seq < snapshot.watermark.seq))
    }

    async fn replace(
        &self,
        partition: u32,
        token: &RebuildToken,
        seen: Option<Watermark>,
        snapshot: &Snapshot,
    ) -> Result<bool, Error> {
        self.swap(partition, token, snapshot, |there| there == seen)
    }

    async fn dump(&self, partition: u32) -> Result<Option<Snapshot>, Error> {
        let part = self.partition(partition);
        let mut live: Vec<ChunkMeta> = part.live.into_values().collect();
        let place = |chunk: &ChunkMeta| {
            let (tenant, service) = (chunk.tenant.as_str().to_owned(), chunk.service.as_str().to_owned());
            (tenant, service, chunk.window.start_ns, chunk.key.clone())
        };
        live.sort_by_key(place);
        let sessions = part.sessions.into_iter();
        let sessions = sessions.map(|(session, state)| SessionChange { session, state: Some(state) }).collect();
        Ok(part.watermark.map(|watermark| Snapshot { watermark, live, sessions, gaps: part.gaps }))
    }

    async fn chunks(&self, tenant: &TenantId, query: &ChunkQuery<'_>) -> Result<Vec<PartitionChunks>, Error> {
        let answer = |&partition: &u32| {
            let part = self.partition(partition);
            let is_mixed = self.mutation == Some(Mutation::IndexMixesTenants);
            let chunks = part.live.into_values().filter(|chunk| {
                let is_asked = query.services.is_none_or(|services| services.contains(&chunk.service));
                (chunk.tenant == *tenant.name() || is_mixed) && is_asked && chunk.overlaps(query.range)
            });
            let chunks = if part.watermark.is_some() { chunks.collect() } else { Vec::new() };
            PartitionChunks { partition, watermark: part.watermark, chunks, gaps: part.gaps }
        };
        let answers: Vec<PartitionChunks> = query.partitions.iter().map(answer).collect();
        let count: usize = answers.iter().map(|answer| answer.chunks.len()).sum();
        if count > query.most { Err(Error::TooMany { most: query.most }) } else { Ok(answers) }
    }

    async fn sessions(&self, partition: u32) -> Result<Option<(Watermark, Vec<SessionChange>)>, Error> {
        let mut part = self.partition(partition);
        if self.mutation == Some(Mutation::IndexForgetsSessions) {
            part.sessions.clear();
        }
        let all = part.sessions.into_iter().map(|(session, state)| SessionChange { session, state: Some(state) });
        Ok(part.watermark.map(|watermark| (watermark, all.collect())))
    }

    async fn older(&self, incarnation: u32) -> Result<Arc<dyn ChunkIndex>, Error> {
        let fresh = || Arc::new(Self::new(self.clock, self.mutation));
        Ok(Arc::clone(self.older.lock().entry(incarnation).or_insert_with(fresh)) as _)
    }

    async fn acquire(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        Ok(self.take(name, holder, value, ttl, false))
    }

    async fn seize(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        Ok(self.take(name, holder, value, ttl, true))
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), Error> {
        if let Some((_, end_ns)) = self.state.lock().leases.get_mut(name).filter(|(lease, _)| lease.holder == holder) {
            *end_ns = i64::MIN;
        }
        Ok(())
    }

    async fn leases(&self, names: &[String]) -> Result<Vec<Option<Lease>>, Error> {
        let now_ns = self.clock.now_ns();
        let state = self.state.lock();
        let live = |name: &String| {
            let (lease, end_ns) = state.leases.get(name)?;
            (*end_ns > now_ns).then(|| lease.clone())
        };
        Ok(names.iter().map(live).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Readers of the suite spin, and this index never makes them wait: one thread would be theirs for ever.
    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract() {
        let index = Arc::new(MemoryIndex::new(SimulatedClock::begin(), None));
        loglake_index::conformance::all(Arc::clone(&index) as _).await;
        loglake_index::conformance::survives_loss(&*index, 200, async || index.lose()).await;
    }
}
