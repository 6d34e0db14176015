//! What the broker must still have before a partition is consumed: exactly what the chain does not hold yet. Where it has
//! not, the partition halts and says so, unless it was decided that losing what is gone anyway is better than standing still.

use std::time::Duration;

use loglake_broker::Offsets;
use loglake_commit::{Chain, Claim, ENTRY_VERSION, Entry, Gap, Tail};
use tokio::time::Instant;

use crate::Error;
use crate::config::LostRecords;
use crate::flush::retry;
use crate::shared::Shared;

/// How often a log that is too short is looked at again.
const LOOK: Duration = Duration::from_millis(500);

/// Returns the tail to consume from, once the broker holds all that follows it: `tail`, or what it became by giving records up
/// that the broker deleted.
///
/// # Errors
/// What halts the partition: the topic is another one; the broker deleted records that were not flushed; its log ends before
/// the tail, for longer than a new leader may trail, or was cut there and has grown again.
pub(crate) async fn align(shared: &Shared, chain: &Chain, mut tail: Tail) -> Result<Tail, Error> {
    let partition = chain.partition();
    let mut short_since: Option<Instant> = None;
    loop {
        let topic = retry(shared, "topic", || async { Ok(shared.reader.topic().await?) }).await?;
        if topic.id != shared.topic_id {
            return Err(Error::OtherTopic { partition });
        }
        let offsets =
            retry(shared, "offsets", || async { Ok(shared.reader.offsets(&[partition]).await?) }).await?.pop();
        let Offsets { earliest, latest, .. } = offsets
            .ok_or_else(|| Error::Inconsistent(format!("the broker gave no offsets of partition {partition}")))?;
        let next = tail.next;
        if earliest > next {
            match shared.config.on_lost_records {
                LostRecords::Halt => return Err(Error::LostRecords { partition, from: next, to: earliest, latest }),
                LostRecords::Gap => tail = give_up(shared, chain, tail, earliest).await?,
            }
            continue;
        }
        if latest >= next {
            refuse_rewritten(shared, partition, &tail, earliest).await?;
            return Ok(tail);
        }
        // A new leader may trail for a moment. One that stays behind has lost what was acknowledged.
        let since = *short_since.get_or_insert_with(|| {
            tracing::warn!(
                partition,
                next,
                latest,
                "the broker's log ends before the chain, waiting for it to catch up"
            );
            Instant::now()
        });
        if since.elapsed() >= shared.config.truncation_grace {
            return Err(Error::Truncated { partition, next, latest });
        }
        tokio::time::sleep(LOOK.min(shared.config.truncation_grace)).await;
    }
}

/// Refuses a log that was cut below the tail and has grown past it again: its length says nothing, but the last record that
/// the chain holds has another leader epoch than the chain says. Nothing is known when that record is gone, or the broker
/// has no epochs.
async fn refuse_rewritten(shared: &Shared, partition: u32, tail: &Tail, earliest: u64) -> Result<(), Error> {
    let (Some(known), Some(offset)) = (tail.leader_epoch, tail.next.checked_sub(1)) else { return Ok(()) };
    if offset < earliest {
        return Ok(());
    }
    let read = retry(shared, "read_last", || async {
        match shared.reader.read(partition, offset, tail.next, 1).await {
            // Retention took it between the two questions.
            Err(loglake_broker::Error::OffsetOutOfRange { .. }) => Ok(None),
            read => Ok(Some(read?)),
        }
    })
    .await?;
    let last = read.into_iter().flat_map(|read| read.messages).find(|message| message.offset == offset);
    match last.and_then(|message| message.leader_epoch) {
        Some(found) if found != known => Err(Error::Rewritten { partition, offset, known, found }),
        _ => Ok(()),
    }
}

/// Claims an entry that gives `[tail.next, to)` up. Returns the chain's tail after it, whoever won.
async fn give_up(shared: &Shared, chain: &Chain, tail: Tail, to: u64) -> Result<Tail, Error> {
    let partition = chain.partition();
    let reason = "the broker deleted these records before they were flushed".to_owned();
    let gap = Gap { from: tail.next, to, at_ns: shared.clock.now_ns(), reason };
    let entry = Entry {
        version: ENTRY_VERSION,
        seq: tail.seq + 1,
        start: tail.next,
        next: to,
        adds: Vec::new(),
        removes: Vec::new(),
        nonce: (shared.nonce)(),
        writer: shared.holder.clone(),
        leader_epoch: tail.leader_epoch,
        sessions: Vec::new(),
        quarantine: None,
        gap: Some(gap),
        previous_hash: tail.hash.clone(),
    };
    match chain.claim(&entry).await? {
        Claim::Won(hash) => {
            tracing::error!(
                partition,
                from = entry.start,
                to,
                offsets = to - entry.start,
                "records given up: the broker deleted them before they were flushed (processor.on_lost_records = \"gap\")"
            );
            shared.metrics.gap_offsets.inc_by(to - entry.start);
            retry(shared, "apply", || async { Ok(loglake_commit::apply(chain, shared.index.as_ref(), &entry).await?) })
                .await?;
            Ok(Tail { seq: entry.seq, next: to, hash, leader_epoch: entry.leader_epoch })
        }
        Claim::Lost => Ok(retry(shared, "read_chain", || async { Ok(chain.read().await?) }).await?.tail),
    }
}
