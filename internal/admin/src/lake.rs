use std::sync::Arc;

use loglake_commit::Chain;
use loglake_index::ChunkIndex;
use loglake_store::{FolderStore, ObjectStore};

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

/// An index and the life of the topic that it is of, the newest; those of older lives are not looked at here.
#[derive(Clone)]
pub struct LiveIndex {
    /// Which life of the topic.
    pub incarnation: u32,
    /// How many partitions the topic has, as far as is known.
    pub partitions: u32,
    /// Its index.
    pub index: Arc<dyn ChunkIndex>,
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

    /// The index, if `incarnation` is the life that it is of.
    pub(crate) fn index_of(&self, incarnation: u32) -> Option<&dyn ChunkIndex> {
        self.index.as_ref().filter(|live| live.incarnation == incarnation).map(|live| live.index.as_ref())
    }
}
