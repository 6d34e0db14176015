//! A flush: what was consumed becomes chunks, and the chunks become true.
//!
//! The order, and what a crash after each step leaves:
//! 1. PUT the chunks. A crash leaves objects that nobody names; the records are still in the broker.
//! 2. Claim the entry (one conditional create). From here on the chunks are live. A crash leaves an index that is behind;
//!    whoever reads the chain next applies the entry.
//! 3. Apply the entry to the index. A crash leaves a group offset that is behind; nothing reads it.
//! 4. Tell the group, trim the embedded log. Hints.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_commit::{
    Chain, Claim, ENTRY_VERSION, Entry, QuarantineRef, TARGET_SLACK, Tail, chunk_key, quarantine_key,
};
use loglake_index::SessionChange;
use loglake_model::{ChunkMeta, failpoint};
use tokio::time::Instant;

use crate::Error;
use crate::build::{Gathered, build, gather};
use crate::held::Held;
use crate::quarantine;
use crate::shared::Shared;
use crate::workshop::Bench;

/// Chunks that are built or on their way to the store at a time, a partition.
const UPLOADS: usize = 8;

const WAIT: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What one flush takes: the messages of `[tail.next, next)`.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) tail: Tail,
    pub(crate) next: u64,
    pub(crate) messages: Vec<Arc<Held>>,
    pub(crate) leader_epoch: Option<i32>,
    /// What these messages changed of clients' sessions.
    pub(crate) sessions: Vec<SessionChange>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Flushed {
    /// Its entry is in the chain and in the index.
    Won(Tail),
    /// Someone else moved the chain: drop everything and start again from its tail.
    Lost,
}

impl Flush {
    /// Runs to the end, however long store or index are away. Dropping it is like a crash: harmless.
    ///
    /// # Errors
    /// What no retry can mend.
    pub(crate) async fn run(self, shared: &Shared, chain: &Chain) -> Result<Flushed, Error> {
        let partition = chain.partition();
        let target = self.tail.seq + 1;
        let nonce = (shared.nonce)();
        let started = Instant::now();
        let observe = |stage: &str, since: Instant| {
            shared.metrics.flush_seconds.with_label_values(&[stage]).observe(since.elapsed().as_secs_f64());
        };
        failpoint!("flush.begun");
        let adds = self.put_chunks(shared, partition, target, &nonce).await?;
        failpoint!("flush.chunks_put");
        let quarantine = self.put_quarantine(shared, partition, target, &nonce).await?;
        if quarantine.is_some() {
            failpoint!("flush.quarantine_put");
        }
        observe("put", started);

        let claiming = Instant::now();
        let mut tail = self.tail.clone();
        let (entry, hash) = loop {
            let entry = Entry {
                version: ENTRY_VERSION,
                seq: tail.seq + 1,
                start: tail.next,
                next: self.next,
                adds: adds.clone(),
                removes: Vec::new(),
                nonce: (shared.nonce)(),
                writer: shared.holder.clone(),
                leader_epoch: self.leader_epoch.max(tail.leader_epoch),
                sessions: self.sessions.clone(),
                quarantine: quarantine.clone(),
                gap: None,
                previous_hash: tail.hash.clone(),
            };
            // Between the last read and the claim: asked earlier, a topic made anew meanwhile would go into the old one's chain.
            let topic = retry(shared, "topic", || async { Ok(shared.reader.topic().await?) }).await?;
            if topic.id != shared.topic_id {
                return Err(Error::OtherTopic { partition });
            }
            match chain.claim(&entry).await? {
                Claim::Won(hash) => break (entry, hash),
                Claim::Lost => {}
            }
            shared.metrics.claims.with_label_values(&["lost"]).inc();
            failpoint!("flush.lost");
            // Never go on from what stands at the key: read the chain.
            tail = retry(shared, "read_chain", || async { Ok(chain.read().await?) }).await?.tail;
            if tail.next != self.tail.next || tail.seq + 1 > target + TARGET_SLACK {
                return Ok(Flushed::Lost);
            }
        };
        failpoint!("flush.won");
        shared.metrics.claims.with_label_values(&["won"]).inc();
        observe("claim", claiming);

        let applying = Instant::now();
        retry(shared, "apply", || async { Ok(loglake_commit::apply(chain, shared.index.as_ref(), &entry).await?) })
            .await?;
        failpoint!("flush.applied");
        observe("apply", applying);
        if let Err(error) = shared.consumer.commit(partition, self.next).await {
            tracing::debug!(partition, %error, "group offset not committed");
        }
        failpoint!("flush.committed");
        shared.trim(partition, self.next).await;
        failpoint!("flush.trimmed");
        observe("all", started);
        tracing::info!(
            partition,
            seq = entry.seq,
            start = entry.start,
            next = entry.next,
            chunks = entry.adds.len(),
            records = entry.adds.iter().map(|chunk| chunk.records).sum::<u64>(),
            duration_ms = started.elapsed().as_millis() as u64,
            "flushed"
        );
        let leader_epoch = entry.leader_epoch;
        Ok(Flushed::Won(Tail { seq: entry.seq, next: entry.next, hash, leader_epoch }))
    }

    /// Builds and stores the chunks, a few at a time; one is dropped as soon as it is stored.
    async fn put_chunks(
        &self,
        shared: &Shared,
        partition: u32,
        target: u64,
        nonce: &str,
    ) -> Result<Vec<ChunkMeta>, Error> {
        let messages: Arc<[Arc<Held>]> = self.messages.clone().into();
        let window_ns = shared.window_ns();
        let gathering = Arc::clone(&messages);
        let chunks = shared.compute(move || gather(&gathering, window_ns)).await?;
        let _charge = shared.budget.charge(chunks.iter().map(Gathered::memory_bytes).sum());
        let mut metas: Vec<ChunkMeta> = stream::iter(chunks)
            .map(|gathered| {
                let messages = Arc::clone(&messages);
                async move {
                    let (incarnation, block_bytes) = (shared.incarnation, shared.config.block_bytes);
                    let build =
                        move |bench: &mut Bench| build(gathered, &messages, incarnation, partition, block_bytes, bench);
                    let built = shared.workshop.run(build).await??;
                    // Until it is stored it is in memory beside the messages that it was made of.
                    let _charge = shared.budget.charge(built.chunk.bytes.len() as u64);
                    failpoint!("flush.chunk_built");
                    let head = &built.head;
                    let key =
                        chunk_key(&head.tenant, &head.service, head.window, incarnation, partition, target, nonce);
                    shared.metrics.chunk_bytes.observe(built.chunk.bytes.len() as f64);
                    shared.metrics.chunk_records.observe(built.chunk.records as f64);
                    let meta = built.chunk.meta(key, head, built.lowest_offset, built.highest_offset);
                    retry(shared, "put", || async {
                        Ok(shared.store.put(&meta.key, built.chunk.bytes.clone()).await?)
                    })
                    .await?;
                    failpoint!("flush.chunk_put");
                    shared.metrics.stored(&head.tenant, built.chunk.bytes.len() as u64);
                    Ok::<_, Error>(meta)
                }
            })
            .buffer_unordered(UPLOADS)
            .try_collect()
            .await?;
        metas.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(metas)
    }

    async fn put_quarantine(
        &self,
        shared: &Shared,
        partition: u32,
        target: u64,
        nonce: &str,
    ) -> Result<Option<QuarantineRef>, Error> {
        let Some((bytes, offsets)) = quarantine::object(&self.messages, partition) else { return Ok(None) };
        let key = quarantine_key(&shared.config.cluster, shared.incarnation, partition, target, nonce);
        retry(shared, "put", || async { Ok(shared.store.put(&key, bytes.clone()).await?) }).await?;
        shared.metrics.quarantined.inc_by(offsets.len() as u64);
        tracing::error!(partition, key, messages = offsets.len(), "messages put into quarantine");
        let checksum = crc32c::crc32c(&bytes);
        Ok(Some(QuarantineRef { key, length: bytes.len() as u64, checksum, offsets }))
    }
}

/// Repeats `step` while its error says that the same call may succeed later.
pub(crate) async fn retry<T, F>(shared: &Shared, name: &str, mut step: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut wait = WAIT;
    loop {
        match step().await {
            Err(error) if error.kind().is_retryable() => {
                shared.metrics.retries.with_label_values(&[name]).inc();
                tracing::warn!(step = name, %error, wait_ms = wait.as_millis() as u64, "trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            outcome => return outcome,
        }
    }
}
