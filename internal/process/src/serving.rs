use std::ops::Deref;
use std::sync::Arc;

use crate::shared::Shared;
use crate::tail::PartitionTail;

/// A tail while it is served. Dropped, whatever the cause (a panic too), it is served no more: what nobody keeps up to date must
/// not be found.
pub(crate) struct Serving {
    shared: Arc<Shared>,
    partition: u32,
    tail: Arc<PartitionTail>,
}

impl Serving {
    /// Begins to serve `partition` from the offset `next` on.
    pub(crate) fn begin(shared: &Arc<Shared>, partition: u32, next: u64) -> Self {
        let tail = Arc::new(PartitionTail::new(next));
        shared.tails.write().insert(partition, Arc::clone(&tail));
        Self { shared: Arc::clone(shared), partition, tail }
    }
}

impl Deref for Serving {
    type Target = PartitionTail;

    fn deref(&self) -> &PartitionTail {
        &self.tail
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut tails = self.shared.tails.write();
        // Another tenure may have begun to serve its own.
        if tails.get(&self.partition).is_some_and(|there| Arc::ptr_eq(there, &self.tail)) {
            tails.remove(&self.partition);
        }
    }
}
