use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_model::ErrorKind;
use loglake_store::{Create, ObjectStore, list_all};

use crate::keys::{chain_folder, checkpoint_prefix, entry_key, entry_seq};
use crate::{ChainState, Entry, Error, MAX_ENTRY_BYTES};

/// How many entries are fetched at a time.
const FETCHES: usize = 16;
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
    /// Another entry stands at that number: read the chain again, never go on from what is there.
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

    /// Reads the whole chain.
    ///
    /// LIST the checkpoints, LIST and GET the entries, LIST the checkpoints again: a torn read would see an entry that a
    /// zombie made anew below a fold.
    ///
    /// # Errors
    /// `Corrupt` when it breaks the protocol; `Unsupported` when a newer program folded it; `Unavailable`.
    pub async fn read(&self) -> Result<ChainState, Error> {
        let mut state = ChainState::default();
        for (entry, hash) in self.entries_after(0).await? {
            state.follow(&entry_key(&self.folder, entry.seq), &entry, hash)?;
        }
        Ok(state)
    }

    /// Reads the entries after number `seq`, ascending, each with the hash of its stored bytes.
    ///
    /// # Errors
    /// As [`Chain::read`].
    pub async fn entries_after(&self, seq: u64) -> Result<Vec<(Entry, String)>, Error> {
        for _ in 0..READ_ATTEMPTS {
            self.refuse_checkpoints().await?;
            if let Some(entries) = self.try_entries_after(seq).await? {
                self.refuse_checkpoints().await?;
                return Ok(entries);
            }
        }
        Err(Error::Unsettled { partition: self.partition })
    }

    /// One attempt; `None` when an entry vanished between LIST and GET.
    async fn try_entries_after(&self, seq: u64) -> Result<Option<Vec<(Entry, String)>>, Error> {
        let mut seqs = Vec::new();
        let mut after = entry_key(&self.folder, seq);
        loop {
            let page = self.store.list(&self.folder, Some(&after)).await?;
            let Some(last) = page.objects.last() else { break };
            after.clone_from(&last.key);
            seqs.extend(page.objects.iter().filter_map(|object| entry_seq(&self.folder, &object.key)));
            if !page.has_more {
                break;
            }
        }
        for (at, found) in seqs.iter().enumerate() {
            let expected = seq + 1 + at as u64;
            if *found != expected {
                let key = entry_key(&self.folder, expected);
                return Err(Error::Corrupt { key, what: format!("it is missing, but entry {found} is there") });
            }
        }
        let fetched: Vec<Option<(Entry, String)>> =
            stream::iter(seqs).map(|seq| self.get_entry(seq)).buffered(FETCHES).try_collect().await?;
        Ok(fetched.into_iter().collect())
    }

    /// Whether entry `seq` is in the bucket.
    pub(crate) async fn has_entry(&self, seq: u64) -> Result<bool, Error> {
        Ok(self.get_entry(seq).await?.is_some())
    }

    async fn get_entry(&self, seq: u64) -> Result<Option<(Entry, String)>, Error> {
        let key = entry_key(&self.folder, seq);
        match self.store.get(&key, MAX_ENTRY_BYTES as u64).await {
            Ok(bytes) => Ok(Some((Entry::decode(&key, seq, &bytes)?, Entry::hash(&bytes)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// This program does not fold chains yet; one that does has moved the truth to where this one does not look.
    async fn refuse_checkpoints(&self) -> Result<(), Error> {
        match list_all(self.store.as_ref(), &checkpoint_prefix(&self.folder)).await?.pop() {
            Some(checkpoint) => Err(Error::Newer { key: checkpoint.key, what: "a folded chain".to_owned() }),
            None => Ok(()),
        }
    }

    /// Claims `entry.seq` for `entry`: one conditional create, repeated with identical bytes while its outcome is in doubt.
    /// Waits as long as the store gives no certain answer; dropping the call leaves the outcome open, which is what a
    /// crash does too: the next reader of the chain sees it.
    ///
    /// # Errors
    /// `TooLarge`; `Forbidden`, `Exhausted` and the like when the store refuses for certain; `Unsupported` when a newer
    /// program folded the chain.
    pub async fn claim(&self, entry: &Entry) -> Result<Claim, Error> {
        let key = entry_key(&self.folder, entry.seq);
        let body = Bytes::from(entry.encode()?);
        let mut wait = CLAIM_WAIT;
        loop {
            match self.store.create(&key, body.clone()).await {
                Ok(Create::Created) => return self.won(&body).await,
                Ok(Create::Exists | Create::Unknown) => match self.store.get(&key, MAX_ENTRY_BYTES as u64).await {
                    Ok(there) if there == body => return self.won(&body).await,
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

    /// An own entry at its key has won only if the chain was not folded past it in the meantime.
    async fn won(&self, body: &[u8]) -> Result<Claim, Error> {
        let mut wait = CLAIM_WAIT;
        loop {
            match self.refuse_checkpoints().await {
                Ok(()) => return Ok(Claim::Won(Entry::hash(body))),
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
