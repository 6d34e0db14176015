//! Ways in for the fuzz targets.

use loglake_model::{ChunkMeta, TenantName};

use crate::place;

/// Reads a member of a partition's sorted set for `tenant`; `None` when it is refused.
#[must_use]
pub fn read_member(member: &[u8], tenant: &TenantName) -> Option<ChunkMeta> {
    let (place, stored) = place::split_member(member)?;
    place::decode(place, stored, tenant).ok()
}

/// The member that `chunk` is stored as; `None` when its numbers contradict each other.
#[must_use]
pub fn write_member(chunk: &ChunkMeta) -> Option<Vec<u8>> {
    Some([&place::of(chunk).ok()?[..], &[place::END], &place::encode(chunk).ok()?].concat())
}
