//! Keeps the index up with the chain: whoever finds it behind or missing applies what is missing.

use loglake_index::{Apply, ChunkIndex, Watermark};
use loglake_model::failpoint;

use crate::{Chain, Entry, Error};

/// How often catching up starts again when others change the index meanwhile.
const ATTEMPTS: usize = 50;

/// Applies `entry`, which is in the chain, and before it whatever the index lacks. Returns when the index is at or past it.
///
/// # Errors
/// `Unavailable` when store or index is; trying again is harmless.
pub async fn apply(chain: &Chain, index: &dyn ChunkIndex, entry: &Entry) -> Result<(), Error> {
    match index.apply(chain.partition(), &entry.change()).await? {
        Apply::Applied => Ok(()),
        Apply::Refused(Some(watermark)) if watermark.seq >= entry.seq => Ok(()),
        Apply::Refused(_) => catch_up(chain, index).await.map(drop),
    }
}

/// Brings the index to the chain's tail: entry by entry where it has a watermark, by a rebuild where it has none or one that
/// the chain is folded past. Returns the watermark it is at, which is at or past the tail as it was when the call came.
///
/// # Errors
/// `Corrupt` when the index knows entries that the bucket does not have; `Unavailable`.
pub async fn catch_up(chain: &Chain, index: &dyn ChunkIndex) -> Result<Watermark, Error> {
    for _ in 0..ATTEMPTS {
        // The watermark first: it may only fall behind a chain that is read afterwards, never run ahead of it.
        let outcome = match index.watermark(chain.partition()).await? {
            None => rebuild(chain, index).await?,
            Some(watermark) => follow(chain, index, watermark).await?,
        };
        if let Some(watermark) = outcome {
            return Ok(watermark);
        }
    }
    Err(Error::Unsettled { partition: chain.partition() })
}

/// Rebuilds from the bucket; `None` when someone else was faster or the index was lost once more.
async fn rebuild(chain: &Chain, index: &dyn ChunkIndex) -> Result<Option<Watermark>, Error> {
    // The token goes in before the chain is read: a view read before the loss must never become visible.
    let token = index.begin_rebuild(chain.partition()).await?;
    let snapshot = chain.read().await?.snapshot();
    failpoint!("index.rebuilding");
    let done = index.rebuild(chain.partition(), &token, &snapshot).await?;
    if done {
        failpoint!("index.rebuilt");
        tracing::info!(
            partition = chain.partition(),
            seq = snapshot.watermark.seq,
            chunks = snapshot.live.len(),
            "index rebuilt from the bucket"
        );
    }
    Ok(done.then_some(snapshot.watermark))
}

/// Applies the entries past `watermark`; `None` when the index changed under it.
async fn follow(chain: &Chain, index: &dyn ChunkIndex, watermark: Watermark) -> Result<Option<Watermark>, Error> {
    let Some(entries) = chain.entries_after(watermark.seq).await? else {
        // What the index lacks is folded away: its state is replaced as a whole, only forwards.
        return rebuild(chain, index).await;
    };
    if entries.is_empty() && watermark.seq > 0 {
        if chain.newest_checkpoint().await? == Some(watermark.seq) || chain.has_entry(watermark.seq).await? {
            return Ok(Some(watermark));
        }
        let chain_seq = chain.read().await?.tail.seq;
        if chain_seq < watermark.seq {
            return Err(Error::IndexAhead { partition: chain.partition(), index_seq: watermark.seq, chain_seq });
        }
        return Ok(None);
    }
    let mut reached = watermark;
    for (entry, _) in entries {
        match index.apply(chain.partition(), &entry.change()).await? {
            Apply::Applied => {}
            Apply::Refused(Some(there)) if there.seq >= entry.seq => {}
            Apply::Refused(_) => return Ok(None),
        }
        failpoint!("index.entry_applied");
        reached = entry.watermark();
    }
    Ok(Some(reached))
}
