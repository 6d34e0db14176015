//! The index in Redis, for all processes of a cluster: one server, a Redis Cluster, or a master behind sentinels.
//!
//! Every change and every answer is one script over the keys of one partition, so nobody sees half of one, and one node of a
//! cluster has all of it. What the server loses, all of it or single keys, leads to a missing watermark and so to a rebuild:
//! see `scripts/look.lua`. Replication is asynchronous: a fail-over may take back the last changes, watermark included, and
//! whoever finds it behind applies them anew.

mod address;
mod answer;
mod call;
mod config;
mod keys;
mod link;
mod policy;
mod scripts;
mod stage;
mod stored;
mod sums;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use loglake_model::{TenantId, TenantName};
use tokio::task::JoinHandle;

use self::answer::{Dumped, corrupt, entry, failed, split_gaps, split_member, split_watermark, stored_gaps};
pub use self::config::Config;
use self::keys::PartitionKeys;
use self::link::Link;
use self::scripts::Scripts;
pub use self::sums::RedisSums;
use crate::{
    Apply, Change, ChunkIndex, ChunkQuery, Error, Gap, Lease, PartitionChunks, RebuildToken, SessionChange, Snapshot,
    Stored, StoredByTenant, Watermark, place,
};

/// Entries read at a time by a walk over a whole partition.
const DUMP_PAGE: usize = 1_000;
/// How often such a walk begins again because the partition changed under it.
const DUMP_ATTEMPTS: usize = 50;

/// The index in Redis.
pub struct RedisIndex {
    link: Link,
    scripts: Scripts,
    cluster: String,
    incarnation: u32,
    /// Looks at the servers' policy now and then; those of older incarnations leave it to the one they came from.
    watch: Option<JoinHandle<()>>,
}

impl Drop for RedisIndex {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl std::fmt::Debug for RedisIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisIndex")
            .field("cluster", &self.cluster)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

impl RedisIndex {
    /// Connects, and refuses servers that would evict entries when their memory is full.
    ///
    /// # Errors
    /// `Invalid` when the address, the credential or a server's `maxmemory-policy` is wrong; `Unavailable`.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let link = Link::connect(&config).await?;
        policy::check(&link).await?;
        let watch = Some(tokio::spawn(policy::watch(link.clone())));
        Ok(Self { link, scripts: Scripts::new(), cluster: config.cluster, incarnation: config.incarnation, watch })
    }

    fn keys(&self, partition: u32) -> PartitionKeys {
        PartitionKeys::new(&self.cluster, self.incarnation, partition)
    }

    async fn partition_chunks(
        &self,
        partition: u32,
        tenant: &TenantName,
        query: &ChunkQuery<'_>,
        room: &AtomicUsize,
    ) -> Result<PartitionChunks, Error> {
        let (first, last) = place::minutes(query.range);
        let mut call = self.scripts.chunks.on(&self.keys(partition).all());
        call.arg(place::of_tenant(tenant)).arg(first).arg(last);
        // A script's number is exact to 2^53, and no answer has as many members as that.
        call.arg(u8::from(query.services.is_some())).arg(query.most.min(1 << 30));
        // Asked for twice, answered once.
        for service in query.services.unwrap_or_default().iter().collect::<BTreeSet<_>>() {
            call.arg(place::of_service(tenant, service));
        }
        let answer: Vec<Vec<u8>> = call.run(&self.link).await.map_err(|error| failed("read chunks", &error))?;
        let Some((watermark, rest)) = split_watermark(&answer)? else {
            return Ok(PartitionChunks { partition, watermark: None, chunks: Vec::new(), gaps: Vec::new() });
        };
        let (gaps, members) = split_gaps(rest)?;
        let has_room = room.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(members.len()));
        has_room.map_err(|_| Error::TooMany { most: query.most })?;
        let mut chunks = Vec::with_capacity(members.len());
        for member in members {
            let chunk = entry(member, tenant)?;
            if chunk.overlaps(query.range) {
                chunks.push(chunk);
            }
        }
        Ok(PartitionChunks { partition, watermark: Some(watermark), chunks, gaps })
    }

    /// The watermark's script as it answers: seq, next, gaps, or nothing.
    async fn look(&self, partition: u32) -> Result<Vec<Vec<u8>>, Error> {
        let call = self.scripts.watermark.on(&self.keys(partition).all());
        call.run(&self.link).await.map_err(|error| failed("read watermark", &error))
    }

    /// The gaps after `change`, as stored; empty when it adds none. They follow from the chain alone, and the script applies
    /// nothing unless the watermark is the predecessor, so what was read of another moment is never written.
    async fn gaps_with(&self, partition: u32, change: &Change) -> Result<Vec<u8>, Error> {
        let Some(gap) = &change.gap else { return Ok(Vec::new()) };
        let answer = self.look(partition).await?;
        let mut gaps = match split_watermark(&answer)? {
            Some((watermark, rest)) if watermark.seq + 1 == change.seq => split_gaps(rest)?.0,
            // It will be refused.
            _ => Vec::new(),
        };
        Gap::add(&mut gaps, gap.clone());
        stored_gaps(&gaps)
    }

    /// Puts `snapshot` in the place of what there is; only over the watermark `seen`, where one is said.
    async fn swap(
        &self,
        partition: u32,
        token: &RebuildToken,
        seen: Option<[String; 2]>,
        snapshot: &Snapshot,
    ) -> Result<bool, Error> {
        let keys = self.keys(partition);
        let staged = stage::put(&self.link, &keys, snapshot).await?;
        let staged_keys = [&keys.all()[..], &[&staged.chunks, &staged.sessions, &staged.sums]].concat();
        let mut call = self.scripts.rebuild.on(&staged_keys);
        call.arg(&token.0).arg(snapshot.watermark.seq).arg(snapshot.watermark.next).arg(staged.longest_minutes);
        call.arg(staged.chunk_count).arg(staged.session_count).arg(staged.sum_count).arg(stored_gaps(&snapshot.gaps)?);
        for seen in seen.iter().flatten() {
            call.arg(seen);
        }
        let done: u8 = call.run(&self.link).await.map_err(|error| failed("rebuild", &error))?;
        if done != 1 {
            stage::remove(&self.link, &staged).await;
        }
        Ok(done == 1)
    }

    /// Reads all of a partition page by page, so that the server is never busy for long.
    async fn try_dump(&self, partition: u32) -> Result<Dumped, Error> {
        let keys = self.keys(partition);
        let (mut mark, mut live, mut last) = (None, Vec::new(), Vec::new());
        let gaps = loop {
            let mut call = self.scripts.dump.on(&keys.all());
            call.arg(&last).arg(DUMP_PAGE);
            let answer: Vec<Vec<u8>> = call.run(&self.link).await.map_err(|error| failed("dump", &error))?;
            let Some((watermark, rest)) = split_watermark(&answer)? else {
                return Ok(if mark.is_none() { Dumped::Whole(None) } else { Dumped::Torn });
            };
            if mark.replace(watermark).is_some_and(|before| before != watermark) {
                return Ok(Dumped::Torn);
            }
            let (gaps, members) = split_gaps(rest)?;
            for member in members {
                let (place, stored) = split_member(member)?;
                live.push(place::decode_any(place, stored)?);
            }
            match members.last() {
                Some(member) if members.len() == DUMP_PAGE => last.clone_from(member),
                _ => break gaps,
            }
        };
        let sessions = self.sessions(partition).await?;
        Ok(match (mark, sessions) {
            (Some(watermark), Some((again, sessions))) if again == watermark => {
                Dumped::Whole(Some(Snapshot { watermark, live, sessions, gaps }))
            }
            _ => Dumped::Torn,
        })
    }

    async fn take(&self, name: &str, holder: &str, value: &str, ttl: Duration, by_force: bool) -> Result<Lease, Error> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 40);
        let [lease, generation] = keys::lease(&self.cluster, name);
        let mut call = self.scripts.lease.on(&[&lease, &generation]);
        call.arg(holder).arg(value).arg(ttl_ms).arg(u8::from(by_force));
        let (holder, value, generation) = call.run(&self.link).await.map_err(|error| failed("take lease", &error))?;
        Ok(Lease { holder, value, generation })
    }
}

#[async_trait]
impl ChunkIndex for RedisIndex {
    async fn apply(&self, partition: u32, change: &Change) -> Result<Apply, Error> {
        let Some(predecessor) = change.seq.checked_sub(1) else {
            return Ok(Apply::Refused(self.watermark(partition).await?));
        };
        let longest = change.adds.iter().map(place::window_minutes).max().unwrap_or(0);
        let dropped = change.sessions.iter().filter(|session| session.state.is_none()).count();
        let mut call = self.scripts.apply.on(&self.keys(partition).all());
        call.arg(predecessor).arg(change.seq).arg(change.next).arg(longest);
        call.arg(change.removes.len()).arg(change.adds.len()).arg(change.sessions.len() - dropped).arg(dropped);
        call.arg(self.gaps_with(partition, change).await?);
        for chunk in &change.removes {
            call.arg(place::of(chunk)?);
        }
        for chunk in &change.adds {
            call.arg(place::of(chunk)?).arg(place::encode(chunk)?);
        }
        for session in &change.sessions {
            if let Some(state) = &session.state {
                call.arg(&session.session).arg(state);
            }
        }
        for session in change.sessions.iter().filter(|session| session.state.is_none()) {
            call.arg(&session.session);
        }
        let answer: Vec<Vec<u8>> = call.run(&self.link).await.map_err(|error| failed("apply", &error))?;
        match answer.split_first() {
            Some((outcome, _)) if outcome == b"applied" => Ok(Apply::Applied),
            Some((outcome, _)) if outcome == b"lost" => Ok(Apply::Refused(None)),
            Some((outcome, mark)) if outcome == b"refused" => {
                Ok(Apply::Refused(split_watermark(mark)?.map(|(watermark, _)| watermark)))
            }
            Some((outcome, place)) if outcome == b"lacks" => {
                let place = place.first().map(|place| place.escape_ascii().to_string());
                tracing::warn!(partition, seq = change.seq, place, "index lacks what the chain removes, dropped");
                Ok(Apply::Refused(None))
            }
            _ => Err(corrupt("apply", "the script answers with something else")),
        }
    }

    async fn watermark(&self, partition: u32) -> Result<Option<Watermark>, Error> {
        let answer = self.look(partition).await?;
        Ok(split_watermark(&answer)?.map(|(watermark, _)| watermark))
    }

    async fn begin_rebuild(&self, partition: u32) -> Result<RebuildToken, Error> {
        let mut call = self.scripts.begin_rebuild.on(&self.keys(partition).all());
        call.arg(format!("{:032x}", rand::random::<u128>()));
        let token = call.run(&self.link).await.map_err(|error| failed("begin rebuild", &error))?;
        Ok(RebuildToken(token))
    }

    async fn rebuild(&self, partition: u32, token: &RebuildToken, snapshot: &Snapshot) -> Result<bool, Error> {
        self.swap(partition, token, None, snapshot).await
    }

    async fn replace(
        &self,
        partition: u32,
        token: &RebuildToken,
        seen: Option<Watermark>,
        snapshot: &Snapshot,
    ) -> Result<bool, Error> {
        let [seq, next] = match seen {
            Some(Watermark { seq, next }) => [seq.to_string(), next.to_string()],
            None => Default::default(),
        };
        self.swap(partition, token, Some([seq, next]), snapshot).await
    }

    async fn dump(&self, partition: u32) -> Result<Option<Snapshot>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            match self.try_dump(partition).await? {
                Dumped::Whole(snapshot) => return Ok(snapshot),
                Dumped::Torn => {}
            }
        }
        let reason = format!("partition {partition} kept changing while it was read");
        Err(Error::Unavailable { what: "dump".to_owned(), reason })
    }

    async fn chunks(&self, tenant: &TenantId, query: &ChunkQuery<'_>) -> Result<Vec<PartitionChunks>, Error> {
        let room = AtomicUsize::new(query.most);
        let of = |partition: &u32| self.partition_chunks(*partition, tenant.name(), query, &room);
        try_join_all(query.partitions.iter().map(of)).await
    }

    async fn sessions(&self, partition: u32) -> Result<Option<(Watermark, Vec<SessionChange>)>, Error> {
        let call = self.scripts.sessions.on(&self.keys(partition).all());
        let answer: Vec<Vec<u8>> = call.run(&self.link).await.map_err(|error| failed("read sessions", &error))?;
        let Some((watermark, fields)) = split_watermark(&answer)? else { return Ok(None) };
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| corrupt("read sessions", "a session is not UTF-8"))
        };
        let sessions = fields
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[session, state]| Ok(SessionChange { session: text(session)?, state: Some(text(state)?) }))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Some((watermark, sessions)))
    }

    async fn stored_bytes(&self, tenants: &[TenantName], partitions: &[u32]) -> Result<Stored, Error> {
        self.stored(tenants, partitions).await
    }

    async fn stored_by_tenant(&self, partition: u32) -> Result<Option<StoredByTenant>, Error> {
        self.stored_of_all(partition).await
    }

    async fn older(&self, incarnation: u32) -> Result<Arc<dyn ChunkIndex>, Error> {
        let (link, cluster) = (self.link.clone(), self.cluster.clone());
        Ok(Arc::new(Self { link, scripts: Scripts::new(), cluster, incarnation, watch: None }))
    }

    async fn acquire(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        self.take(name, holder, value, ttl, false).await
    }

    async fn seize(&self, name: &str, holder: &str, value: &str, ttl: Duration) -> Result<Lease, Error> {
        self.take(name, holder, value, ttl, true).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), Error> {
        let [lease, _] = keys::lease(&self.cluster, name);
        let mut call = self.scripts.release.on(&[&lease]);
        call.arg(holder);
        call.run(&self.link).await.map_err(|error| failed("release lease", &error))
    }

    async fn leases(&self, names: &[String]) -> Result<Vec<Option<Lease>>, Error> {
        try_join_all(names.iter().map(|name| async {
            let [key, _] = keys::lease(&self.cluster, name);
            let fields: (Option<String>, Option<String>, Option<u64>) = redis::cmd("HMGET")
                .arg(key)
                .arg(&["holder", "value", "generation"][..])
                .query_async(&mut self.link.clone())
                .await
                .map_err(|error| failed("read leases", &error))?;
            Ok(match fields {
                (Some(holder), Some(value), Some(generation)) => Some(Lease { holder, value, generation }),
                _ => None,
            })
        }))
        .await
    }
}
