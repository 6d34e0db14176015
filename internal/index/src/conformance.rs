//! What every chunk index must do. Panics with the claim that does not hold.
//!
//! [`all`] runs everything that needs nothing but the index; [`survives_loss`] also needs a way to lose all of it, [`forgotten_sums_are_added_up`] to
//! lose the sums. Each
//! test takes partitions and lease names of its own, so that one empty index serves all.

#![expect(clippy::unwrap_used, reason = "a test suite: a failure is a panic")]

mod entries;
mod leases;
mod queries;
mod rebuilds;
mod sums;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use loglake_model::{ChunkMeta, Level, Service, TenantId, TenantName, TimeRange, Window};

pub use self::entries::*;
pub use self::leases::*;
pub use self::queries::*;
pub use self::rebuilds::*;
pub use self::sums::*;
use crate::{Apply, Change, ChunkIndex, ChunkQuery, Error, Gap, PartitionChunks, SessionChange, Snapshot, Watermark};

const HOUR_NS: i64 = Window::HOUR_NS;
/// Somewhere in 2023, at the start of an hour.
const T0: i64 = 1_700_000_000_000_000_000 / HOUR_NS * HOUR_NS;

/// Runs all tests over an empty index.
///
/// # Panics
/// When the index breaks a promise.
pub async fn all(index: Arc<dyn ChunkIndex>) {
    nothing_is_applied_on_top_of_nothing(&*index, 100).await;
    entries_apply_in_order(&*index, 101).await;
    adds_and_removes_show_together(&*index, 102).await;
    what_the_chain_removes_must_be_there(&*index, 103).await;
    ranges_are_by_the_records_in_a_chunk(&*index, 104).await;
    tenants_and_services_are_walls(&*index, 105).await;
    answers_come_in_the_order_asked(&*index, 106).await;
    rebuilds_go_only_forwards(&*index, 110).await;
    what_is_wrong_is_replaced(&*index, 120).await;
    everything_can_be_read_for_a_check(&*index, 121).await;
    older_incarnations_are_apart(&*index, 118).await;
    rebuilders_may_race(Arc::clone(&index), 111).await;
    writers_may_race(Arc::clone(&index), 112).await;
    readers_see_whole_entries(Arc::clone(&index), 113).await;
    sessions_are_kept(&*index, 114).await;
    gaps_stay(&*index, 117).await;
    contradictory_chunks_are_refused(&*index, 115).await;
    many_chunks_are_kept(&*index, 116).await;
    stored_bytes_are_those_of_the_chunks(&*index, 119).await;
    stored_bytes_add_up(&*index, 300).await;
    leases_have_one_holder(&*index).await;
    leases_end(&*index).await;
}

/// A tenant as a credential gives it.
fn tenant(name: &str) -> TenantId {
    #[allow(clippy::disallowed_methods, reason = "test")]
    TenantId::from_credential(TenantName::parse(name).unwrap())
}

fn service(name: &str) -> Service {
    Service::parse(name).unwrap()
}

/// A chunk of `tenant` and the service `name` in the hour of `min_ns`; `nonce` makes its key.
///
/// # Panics
/// When a name is none.
#[must_use]
pub fn chunk(tenant: &str, name: &str, min_ns: i64, max_ns: i64, nonce: &str) -> ChunkMeta {
    chunk_in(tenant, name, Window::holding(min_ns, HOUR_NS), min_ns, max_ns, nonce)
}

fn chunk_in(tenant: &str, name: &str, window: Window, min_ns: i64, max_ns: i64, nonce: &str) -> ChunkMeta {
    let (tenant, service) = (TenantName::parse(tenant).unwrap(), service(name));
    let mut levels = [0; Level::COUNTED];
    levels[1] = 7;
    ChunkMeta {
        key: format!("{}/{nonce}.ndjson.gz", window.folder(&tenant, &service)),
        length: 1000,
        footer_offset: 900,
        checksum: 0xdead_beef,
        tenant,
        service,
        window,
        min_ns,
        max_ns,
        records: 7,
        bytes: 5000,
        levels,
        lowest_offset: 3,
        highest_offset: u64::MAX,
    }
}

fn change(seq: u64, next: u64, adds: &[ChunkMeta], removes: &[ChunkMeta]) -> Change {
    Change { seq, next, adds: adds.to_vec(), removes: removes.to_vec(), sessions: Vec::new(), gap: None }
}

/// Makes `partition` an index of an empty chain.
async fn begin(index: &dyn ChunkIndex, partition: u32) {
    assert!(rebuild(index, partition, 0, &[]).await, "an empty index takes the empty chain");
}

async fn rebuild(index: &dyn ChunkIndex, partition: u32, seq: u64, live: &[ChunkMeta]) -> bool {
    let token = index.begin_rebuild(partition).await.unwrap();
    index.rebuild(partition, &token, &snapshot(seq, live)).await.unwrap()
}

fn snapshot(seq: u64, live: &[ChunkMeta]) -> Snapshot {
    Snapshot {
        watermark: Watermark { seq, next: seq * 10 },
        live: live.to_vec(),
        sessions: Vec::new(),
        gaps: Vec::new(),
    }
}

async fn apply(index: &dyn ChunkIndex, partition: u32, change: Change) {
    assert_eq!(index.apply(partition, &change).await.unwrap(), Apply::Applied, "{change:?}");
}

async fn ask(
    index: &dyn ChunkIndex,
    partition: u32,
    name: &str,
    services: Option<&[&str]>,
    range: TimeRange,
) -> PartitionChunks {
    let services: Option<Vec<Service>> = services.map(|names| names.iter().map(|name| service(name)).collect());
    let query = ChunkQuery { services: services.as_deref(), range, partitions: &[partition], most: usize::MAX };
    let mut answer = index.chunks(&tenant(name), &query).await.unwrap();
    assert_eq!(answer.len(), 1);
    answer.remove(0)
}

/// All chunks of a tenant in a partition, by key.
async fn live(index: &dyn ChunkIndex, partition: u32, name: &str) -> Vec<ChunkMeta> {
    sorted(ask(index, partition, name, None, TimeRange::ALL).await.chunks)
}

fn sorted(mut chunks: Vec<ChunkMeta>) -> Vec<ChunkMeta> {
    chunks.sort_by(|a, b| a.key.cmp(&b.key));
    chunks
}
