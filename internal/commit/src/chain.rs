use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_model::{ChunkMeta, ErrorKind, failpoint, fails};
use loglake_store::{Create, Object, ObjectStore, list_all};

use crate::keys::{chain_folder, checkpoint_key, checkpoint_prefix, checkpoint_seq, entry_key, entry_seq};
use crate::{
    ChainState, Checkpoint, Entry, Error, MAX_CHECKPOINT_BYTES, MAX_ENTRY_BYTES, MAX_SEGMENT_BYTES, SegmentRef, segment,
};

/// How many entries are fetched at a time.
const FETCHES: usize = 16;
/// How many segments are fetched and unpacked at a time.
const SEGMENT_FETCHES: usize = 4;
/// How often a chain that changes under the reader is read again.
const READ_ATTEMPTS: usize = 20;
/// The first wait between attempts at a doubtful claim; doubles up to [`CLAIM_WAIT_MAX`].
const CLAIM_WAIT: Duration = Duration::from_millis(50);
const CLAIM_WAIT_MAX: Duration = Duration::from_secs(5);

/// The chain of one partition.
#[derive(Clone)]
pub struct Chain {
    store: Arc<dyn ObjectStore>,
    folder: String,
    partition: u32,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The entry is in the chain; its stored bytes have this hash.
    Won(String),
    /// Another entry stands at that number, or the chain is folded past it: read the chain again, never go on from what is
    /// there.
    Lost,
}

impl Chain {
    /// The chain of `partition` in the `incarnation` of `cluster`'s topic.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, cluster: &str, incarnation: u32, partition: u32) -> Self {
        Self { store, folder: chain_folder(cluster, incarnation, partition), partition }
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Reads the whole chain: the newest checkpoint, then the entries after it.
    ///
    /// LIST the checkpoints, take the newest; LIST and GET the entries after it; LIST the checkpoints again, and start again
    /// when there is a newer one or something was not there any more: a torn read would see an entry that a zombie made
    /// anew below a fold. What comes back is what the chain was at the moment of the last GET.
    ///
    /// # Errors
    /// `Corrupt` when it breaks the protocol; `Unsupported` when a newer program wrote of it; `Unavailable`.
    pub async fn read(&self) -> Result<ChainState, Error> {
        for _ in 0..READ_ATTEMPTS {
            let base = self.newest_checkpoint().await?;
            let Some(mut state) = self.state_at(base).await? else { continue };
            let Some(entries) = self.settled_entries(base, base.unwrap_or(0)).await? else { continue };
            for (entry, hash) in entries {
                state.follow(&entry_key(&self.folder, entry.seq), &entry, hash)?;
            }
            return Ok(state);
        }
        Err(Error::Unsettled { partition: self.partition })
    }

    /// Reads the entries after number `seq`, ascending, each with the hash of its stored bytes; `None` when the chain is
    /// folded past `seq`: then only [`Chain::read`] tells.
    ///
    /// # Errors
    /// As [`Chain::read`].
    pub async fn entries_after(&self, seq: u64) -> Result<Option<Vec<(Entry, String)>>, Error> {
        for _ in 0..READ_ATTEMPTS {
            let newest = self.newest_checkpoint().await?;
            if newest.is_some_and(|newest| newest > seq) {
                return Ok(None);
            }
            if let Some(entries) = self.settled_entries(newest, seq).await? {
                return Ok(Some(entries));
            }
        }
        Err(Error::Unsettled { partition: self.partition })
    }

    /// The numbers of the checkpoints in the bucket, ascending: the last one counts.
    ///
    /// # Errors
    /// `Unsupported` when a newer program wrote one under a name of its own; `Unavailable`.
    pub async fn checkpoints(&self) -> Result<Vec<u64>, Error> {
        let listed = list_all(self.store.as_ref(), &checkpoint_prefix(&self.folder)).await?;
        let number = |object: Object| {
            checkpoint_seq(&self.folder, &object.key)
                .ok_or(Error::Newer { key: object.key, what: "its name".to_owned() })
        };
        listed.into_iter().map(number).collect()
    }

    pub(crate) async fn newest_checkpoint(&self) -> Result<Option<u64>, Error> {
        Ok(self.checkpoints().await?.pop())
    }

    /// Reads checkpoint `seq`; `None` when it is not there.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`, `Unavailable`.
    pub async fn checkpoint(&self, seq: u64) -> Result<Option<Checkpoint>, Error> {
        let key = checkpoint_key(&self.folder, seq);
        let bytes = self.get(&key, MAX_CHECKPOINT_BYTES).await?;
        bytes.map(|bytes| Checkpoint::decode(&key, seq, &bytes)).transpose()
    }

    /// Reads the segment that `of` names; `None` when it is not there.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`, `Unavailable`.
    pub async fn segment(&self, of: &SegmentRef) -> Result<Option<Vec<ChunkMeta>>, Error> {
        let Some(bytes) = self.get(&of.key, MAX_SEGMENT_BYTES).await? else { return Ok(None) };
        if bytes.len() <= segment::QUICK_BYTES {
            return segment::decode(of, &bytes).map(Some);
        }
        let owned = of.clone();
        let decoded = tokio::task::spawn_blocking(move || segment::decode(&owned, &bytes)).await;
        decoded.map_err(|error| Error::Corrupt { key: of.key.clone(), what: error.to_string() })?.map(Some)
    }

    /// Reads entry `seq` with the hash of its stored bytes; `None` when it is not there. Below the newest checkpoint what is
    /// there may be a left-over that never counted.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`, `Unavailable`.
    pub async fn entry(&self, seq: u64) -> Result<Option<(Entry, String)>, Error> {
        let key = entry_key(&self.folder, seq);
        let bytes = self.get(&key, MAX_ENTRY_BYTES).await?;
        bytes.map(|bytes| Ok((Entry::decode(&key, seq, &bytes)?, Entry::hash(&bytes)))).transpose()
    }

    /// The folder that all objects of the chain lie in, with its closing slash: entries, then checkpoints, then segments.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    /// The state at checkpoint `base` (none: the empty chain); `None` when a part of it is gone: a newer one is there.
    async fn state_at(&self, base: Option<u64>) -> Result<Option<ChainState>, Error> {
        let Some(seq) = base else { return Ok(Some(ChainState::default())) };
        let key = checkpoint_key(&self.folder, seq);
        let Some(checkpoint) = self.checkpoint(seq).await? else { return Ok(None) };
        let reads = checkpoint.segments.clone().into_iter();
        let mut reads = stream::iter(reads)
            .map(|of| async move {
                let read = self.segment(&of).await;
                (of, read)
            })
            .buffered(SEGMENT_FETCHES);
        let mut chunks = Vec::with_capacity(checkpoint.segments.len());
        while let Some((of, read)) = reads.next().await {
            match read? {
                Some(read) => chunks.push(read),
                None if self.newest_checkpoint().await? != base => return Ok(None),
                None => {
                    let what = format!("checkpoint {seq} names it, and it is not there");
                    return Err(Error::Corrupt { key: of.key, what });
                }
            }
        }
        drop(reads);
        ChainState::at(&key, checkpoint, chunks).map(Some)
    }

    /// The entries after `seq`, if `newest` is still the newest checkpoint once they are read; `None` to start again.
    async fn settled_entries(&self, newest: Option<u64>, seq: u64) -> Result<Option<Vec<(Entry, String)>>, Error> {
        let mut seqs = Vec::new();
        let mut after = entry_key(&self.folder, seq);
        loop {
            let page = self.store.list(&self.folder, Some(&after)).await?;
            let Some(last) = page.objects.last() else { break };
            after.clone_from(&last.key);
            let before = seqs.len();
            seqs.extend(page.objects.iter().filter_map(|object| entry_seq(&self.folder, &object.key)));
            // Entries come first: after them there are only checkpoints and segments.
            if !page.has_more || seqs.len() - before < page.objects.len() {
                break;
            }
        }
        let hole = seqs.iter().copied().zip(seq + 1..).find(|(found, expected)| found != expected);
        let mut entries = Some(Vec::new());
        if hole.is_none() {
            let reads = stream::iter(seqs).map(|seq| self.entry(seq)).buffered(FETCHES);
            let read: Vec<Option<(Entry, String)>> = reads.try_collect().await?;
            entries = read.into_iter().collect();
        }
        if self.newest_checkpoint().await? != newest {
            return Ok(None);
        }
        if let Some((found, expected)) = hole {
            // Not the work of a folder: it would have left a newer checkpoint.
            let key = entry_key(&self.folder, expected);
            return Err(Error::Corrupt { key, what: format!("it is missing, but entry {found} is there") });
        }
        Ok(entries)
    }

    /// Whether entry `seq` is in the bucket.
    pub(crate) async fn has_entry(&self, seq: u64) -> Result<bool, Error> {
        Ok(self.entry(seq).await?.is_some())
    }

    async fn get(&self, key: &str, max_bytes: usize) -> Result<Option<Bytes>, Error> {
        match self.store.get(key, max_bytes as u64).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Claims `entry.seq` for `entry`: one conditional create, repeated with identical bytes while its outcome is in doubt.
    /// Waits as long as the store gives no certain answer; dropping the call leaves the outcome open, which is what a
    /// crash does too: the next reader of the chain sees it.
    ///
    /// # Errors
    /// `TooLarge`; `Forbidden`, `Exhausted` and the like when the store refuses for certain; `Unsupported` when a newer
    /// program wrote of the chain.
    pub async fn claim(&self, entry: &Entry) -> Result<Claim, Error> {
        let key = entry_key(&self.folder, entry.seq);
        let body = Bytes::from(entry.encode()?);
        let mut wait = CLAIM_WAIT;
        failpoint!("claim.begun");
        loop {
            let created = self.store.create(&key, body.clone()).await;
            // As if the answer were lost.
            let created = if fails!("claim.created") { Ok(Create::Unknown) } else { created };
            match created {
                Ok(Create::Created) => return self.won(entry.seq, &body).await,
                Ok(Create::Exists | Create::Unknown) => match self.store.get(&key, MAX_ENTRY_BYTES as u64).await {
                    Ok(there) if there == body => return self.won(entry.seq, &body).await,
                    Ok(there) => {
                        let winner = Entry::decode(&key, entry.seq, &there)?;
                        tracing::info!(
                            partition = self.partition,
                            seq = entry.seq,
                            winner = winner.writer,
                            "claim lost"
                        );
                        return Ok(Claim::Lost);
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) if error.kind().is_retryable() => {
                        tracing::warn!(partition = self.partition, seq = entry.seq, %error, "claim in doubt");
                    }
                    Err(error) => return Err(error.into()),
                },
                Err(error) if error.kind().is_retryable() => {
                    tracing::warn!(partition = self.partition, seq = entry.seq, %error, "claim refused, trying again");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(CLAIM_WAIT_MAX);
        }
    }

    /// An own entry at its key has won only if no checkpoint stands at or above it: a key that was folded away is created
    /// again without a refusal, and means nothing.
    async fn won(&self, seq: u64, body: &[u8]) -> Result<Claim, Error> {
        let mut wait = CLAIM_WAIT;
        loop {
            match self.newest_checkpoint().await {
                Ok(Some(checkpoint)) if checkpoint >= seq => {
                    tracing::info!(
                        partition = self.partition,
                        seq,
                        checkpoint,
                        "claim lost: the chain is folded past it"
                    );
                    return Ok(Claim::Lost);
                }
                Ok(_) => return Ok(Claim::Won(Entry::hash(body))),
                Err(error) if error.kind().is_retryable() => {
                    tracing::warn!(partition = self.partition, %error, "checking a claim, trying again");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(CLAIM_WAIT_MAX);
        }
    }
}
