//! Sweeping: entries, checkpoints and segments that nobody reads any more are deleted.

use std::collections::BTreeSet;

use loglake_store::list_all;

use crate::fold::FOLD_SLACK;
use crate::keys::{checkpoint_key, entry_key, entry_seq, segment_prefix, segment_seq};
use crate::{Chain, Error};

/// What a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The newest checkpoint; 0 when there is none, and so nothing to sweep.
    pub checkpoint: u64,
    /// Entries deleted.
    pub entries: usize,
    /// Checkpoints deleted.
    pub checkpoints: usize,
    /// Segments deleted.
    pub segments: usize,
}

impl Chain {
    /// Deletes the entries at or below `up_to` (a checkpoint's number; above the newest one's it means that), the checkpoints more than [`FOLD_SLACK`] entries below it, and
    /// the segments up to it that no checkpoint left names.
    ///
    /// Call it once the checkpoint at `up_to` is older than the longest commit takes: a writer whose entry is folded and gone
    /// before it has looked is told that it lost, and does its work again. Safe at any time, and for any number at once.
    ///
    /// # Errors
    /// As [`Chain::read`]; what was deleted until then stays deleted.
    pub async fn sweep(&self, up_to: u64) -> Result<Swept, Error> {
        // Segments first: one that comes later belongs to a checkpoint that this call does not know.
        let segments = list_all(self.store(), &segment_prefix(self.folder())).await?;
        let checkpoints = self.checkpoints().await?;
        let Some(newest) = checkpoints.last().copied() else { return Ok(Swept::default()) };
        let (kept, old): (Vec<u64>, Vec<u64>) = checkpoints.into_iter().partition(|seq| seq + FOLD_SLACK >= newest);
        let old: Vec<String> = old.into_iter().map(|seq| checkpoint_key(self.folder(), seq)).collect();
        let checkpoints = self.delete_all(old).await?;
        let up_to_newest = |key: &str| segment_seq(self.folder(), key).is_some_and(|seq| seq <= newest);
        let mut unnamed: BTreeSet<String> =
            segments.into_iter().map(|object| object.key).filter(|key| up_to_newest(key)).collect();
        for seq in kept.into_iter().rev() {
            if unnamed.is_empty() {
                break;
            }
            // One that is gone meanwhile was swept by another, which knows a checkpoint far above it.
            for segment in self.checkpoint(seq).await?.into_iter().flat_map(|checkpoint| checkpoint.segments) {
                unnamed.remove(&segment.key);
            }
        }
        let segments = self.delete_all(unnamed.into_iter().collect()).await?;
        let entries = self.sweep_entries(newest.min(up_to)).await?;
        Ok(Swept { checkpoint: newest, entries, checkpoints, segments })
    }

    async fn sweep_entries(&self, up_to: u64) -> Result<usize, Error> {
        let mut deleted = 0;
        let mut after: Option<String> = None;
        let last = entry_key(self.folder(), up_to);
        loop {
            let page = self.store().list(self.folder(), after.as_deref()).await?;
            let keys: Vec<String> = page.objects.iter().map(|object| object.key.clone()).collect();
            let is_last = !page.has_more || keys.last().is_none_or(|key| *key >= last);
            after = keys.last().cloned();
            let folded: Vec<String> =
                keys.into_iter().filter(|key| entry_seq(self.folder(), key).is_some_and(|seq| seq <= up_to)).collect();
            deleted += self.delete_all(folded).await?;
            if is_last {
                return Ok(deleted);
            }
        }
    }
}
