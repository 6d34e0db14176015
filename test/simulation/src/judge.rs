//! What must hold when everything is healed and quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use loglake_admin::{Lake, LiveIndex, Options, Quiet};
use loglake_broker::Reader as _;
use loglake_chunk::{Footer, decode_block};
use loglake_commit::{Chain, ChainState};
use loglake_model::RecordId;
use loglake_store::ObjectStore as _;
use serde_json::Value;
use tokio::time::sleep;

use crate::client::{Read, read};
use crate::oracle::{Question, TENANTS};
use crate::world::{CLUSTER, INCARNATION, World};

/// How long everything may take to settle once it is healed: past every retry and lease.
const SETTLING: Duration = Duration::from_secs(180);

fn chain(world: &World, partition: u32) -> Chain {
    Chain::new(Arc::clone(&world.store) as _, CLUSTER, INCARNATION, partition)
}

/// Waits until all that the broker has is in chunks, and the index knows it.
///
/// # Errors
/// When that takes too long.
pub async fn settle(world: &World) -> Result<()> {
    let begun = world.clock.elapsed();
    loop {
        let mut unsettled = Vec::new();
        let partitions: Vec<u32> = (0..world.partitions).collect();
        for offsets in world.broker.log.offsets(&partitions).await? {
            let tail = chain(world, offsets.partition).read().await?.tail;
            let watermark = world.index.partition(offsets.partition).watermark;
            if tail.next != offsets.latest || watermark.map(|watermark| watermark.seq) != Some(tail.seq) {
                unsettled.push(format!("{offsets:?} {tail:?} {watermark:?}"));
            }
        }
        if unsettled.is_empty() {
            world.trace.say("judge", "all is settled");
            return Ok(());
        }
        ensure!(world.clock.elapsed() < begun + SETTLING, "not settled within {SETTLING:?}: {unsettled:#?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Checks chains, chunks and index, and reads everything back.
///
/// # Errors
/// What does not hold.
pub async fn judge(world: &World, surface: &axum::Router) -> Result<()> {
    let mut stored = BTreeMap::<u64, RecordId>::new();
    for partition in 0..world.partitions {
        let state = chain(world, partition).read().await.context("the chain is sound")?;
        let indexed = world.index.partition(partition).live;
        ensure!(indexed == state.live, "the index of partition {partition} is not what its chain says");
        records(world, partition, &state, &mut stored).await?;
    }
    for (tenant, name) in TENANTS.iter().enumerate() {
        for is_forward in [true, false] {
            let question = Question { tenant, service: None, range: None, is_forward };
            match read(world, &world.dice, surface, "judge", &question).await? {
                Read::Complete(rows) => {
                    let all = world.oracle.stored(tenant, &stored);
                    ensure!(rows == all, "{name} gets {rows} rows, its chunks hold {all}");
                }
                Read::Partial => bail!("all is healed, but {name}'s answer is not complete"),
            }
        }
    }
    let lost = world.oracle.lost(&stored.keys().copied().collect());
    ensure!(lost.is_empty(), "acknowledged, but in no chunk: {lost:?}");
    Ok(())
}

/// Lets the operator's check look at everything.
///
/// # Errors
/// What it calls a fault.
pub async fn fsck(world: &World) -> Result<()> {
    let index = LiveIndex::new(INCARNATION, world.partitions, Arc::clone(&world.index) as _);
    let lake = Lake {
        store: Arc::clone(&world.store) as _,
        cluster: CLUSTER.to_owned(),
        index: Some(index),
        folder: None,
        not_checked: Vec::new(),
    };
    let options = Options { deep: true, repair: false, second_look: Duration::ZERO };
    let report = loglake_admin::fsck(&lake, &options, &Quiet).await?;
    ensure!(report.is_clean(), "fsck: {:#?}", report.findings);
    Ok(())
}

/// Adds the records of a chain's live chunks to `stored`.
async fn records(
    world: &World,
    partition: u32,
    state: &ChainState,
    stored: &mut BTreeMap<u64, RecordId>,
) -> Result<()> {
    let mut ids = BTreeSet::new();
    for chunk in state.live.values() {
        let bytes = world.store.get(&chunk.key, 1 << 30).await.context("a live chunk is in the bucket")?;
        ensure!(crc32c::crc32c(&bytes) == chunk.checksum, "{}: another checksum", chunk.key);
        let footer = Footer::of_chunk(&bytes).context(chunk.key.clone())?;
        let head = footer.head();
        ensure!(head.tenant == chunk.tenant && head.service == chunk.service, "{}: another head", chunk.key);
        let mut count = 0;
        for row in footer.blocks() {
            let from = usize::try_from(row.offset)?;
            let block = decode_block(row, &bytes[from..from + row.length as usize])?;
            for line in block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: Value = serde_json::from_slice(line)?;
                let (number, sent, id) = world.oracle.recognise(&line)?;
                ensure!(TENANTS[sent.tenant] == head.tenant.as_str(), "record {number} is in another tenant's chunk");
                ensure!(id.partition == partition && id.offset < state.tail.next, "record {number} has the id {id}");
                ensure!(ids.insert(id), "the id {id} stands in two chunks");
                if let Some(other) = stored.insert(number, id) {
                    bail!("record {number} stands in the chunks as {other} and as {id}");
                }
                count += 1;
            }
        }
        ensure!(count == chunk.records, "{}: {count} records, its entry says {}", chunk.key, chunk.records);
    }
    Ok(())
}
