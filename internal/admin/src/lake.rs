use std::collections::BTreeMap;
use std::sync::Arc;

use loglake_commit::Chain;
use loglake_index::ChunkIndex;
use loglake_store::{FolderStore, ObjectStore};

use crate::Error;

/// What a cluster keeps its data in.
#[derive(Clone)]
pub struct Lake {
    /// The bucket.
    pub store: Arc<dyn ObjectStore>,
    /// Names the cluster's chains in it.
    pub cluster: String,
    /// The index; `None` when it cannot be reached, [`Lake::not_checked`] says why.
    pub index: Option<LiveIndex>,
    /// The bucket once more where it is a folder of this machine, for what only folders have.
    pub folder: Option<FolderStore>,
    /// What cannot be looked at, in words for people.
    pub not_checked: Vec<String>,
}

/// The index of the topic's newest life, and those of older lives, whose chunks are still asked for.
#[derive(Clone)]
pub struct LiveIndex {
    /// Which life of the topic is the newest.
    pub incarnation: u32,
    /// How many partitions the topic has, as far as is known.
    pub partitions: u32,
    /// Its index.
    pub index: Arc<dyn ChunkIndex>,
    /// The indexes of older lives that have chains, by incarnation.
    older: BTreeMap<u32, Arc<dyn ChunkIndex>>,
}

impl LiveIndex {
    /// The index of a topic that has lived once.
    #[must_use]
    pub fn new(incarnation: u32, partitions: u32, index: Arc<dyn ChunkIndex>) -> Self {
        Self { incarnation, partitions, index, older: BTreeMap::new() }
    }

    /// The same with the indexes of all older lives that have chains in `store`.
    ///
    /// # Errors
    /// `Unavailable`; `Invalid` from an index that knows only one life.
    pub async fn with_older(mut self, store: &dyn ObjectStore, cluster: &str) -> Result<Self, Error> {
        for life in loglake_commit::older_incarnations(store, cluster, self.incarnation).await? {
            if !life.partitions.is_empty() {
                self.older.insert(life.number, self.index.older(life.number).await?);
            }
        }
        Ok(self)
    }

    /// The index of the life `incarnation`.
    #[must_use]
    pub fn of(&self, incarnation: u32) -> Option<&dyn ChunkIndex> {
        if incarnation == self.incarnation {
            return Some(self.index.as_ref());
        }
        self.older.get(&incarnation).map(AsRef::as_ref)
    }
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LiveIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveIndex").field("incarnation", &self.incarnation).finish_non_exhaustive()
    }
}

impl Lake {
    /// The chain of a partition.
    #[must_use]
    pub fn chain(&self, incarnation: u32, partition: u32) -> Chain {
        Chain::new(Arc::clone(&self.store), &self.cluster, incarnation, partition)
    }

    /// The index of the life `incarnation`, if there is one.
    pub(crate) fn index_of(&self, incarnation: u32) -> Option<&dyn ChunkIndex> {
        self.index.as_ref().and_then(|live| live.of(incarnation))
    }
}
