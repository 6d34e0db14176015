//! Small things that rest somewhere: segments of checkpoints, lives of the topic, entries of the index, pieces in the folder of a
//! cache.

use bytes::Bytes;
use loglake_commit::fuzzing as commit;
use loglake_index::fuzzing as index;
use loglake_model::TenantName;
use loglake_query::fuzzing as query;
use loglake_store::{MemoryStore, ObjectStore};

use crate::memory;

/// What a piece is said to be: tenant, key and range.
const WHAT: &str = "acme\ndata/tenant=acme/x\n0\n5";

/// Takes an input. The first byte: what it is.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 5 {
        0 => life(bytes),
        1 => segment(bytes),
        2 => {
            let Some(compressed) = commit::compress_segment(bytes) else { return };
            segment(&compressed);
        }
        3 => entry(bytes),
        _ => piece(bytes),
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let chunk = r#"{"key":"data/k","length":100,"footer_offset":50,"checksum":7,"tenant":"acme","service":"s","window":{"start_ns":1772323200000000000,"length_ns":3600000000000},"min_ns":1772323200000000001,"max_ns":1772323200000000002,"records":3,"bytes":300,"levels":[3,0,0,0,0,0,0],"lowest_offset":0,"highest_offset":9}"#;
    let life = r#"{"version":1,"topic_id":"t","partitions":4,"created":"2026-03-01T00:00:00Z"}"#;
    let segment = format!(r#"{{"version":1,"day":"2026-03-01","chunks":[{chunk}]}}"#);
    let member = [b"acme\x01s\x01", &b"11c2f4c0data/k"[..], b"\x01", chunk.as_bytes()].concat();
    let piece = query::wrap_piece(WHAT, b"piece");
    [(0, life.as_bytes()), (2, segment.as_bytes()), (3, &member), (4, &piece)]
        .map(|(kind, bytes)| [&[kind], bytes].concat())
        .to_vec()
}

/// The lives that a topic has had.
fn life(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let store = MemoryStore::new();
        let body = Bytes::copy_from_slice(bytes);
        store.create("commits/c/incarnations/0.json", body).await.expect("the store is in memory");
        let partitions = loglake_commit::first_partitions(&store, "c", 0).await;
        let topic = loglake_commit::topic_of(&store, "c", 0).await;
        // Both read the same object.
        assert_eq!(partitions.is_ok(), topic.is_ok());
        let lives = loglake_commit::lives(&store, "c").await.expect("the store is in memory");
        assert_eq!(lives.len(), 1);
        assert_eq!(lives[0].is_ok(), topic.is_ok());
    });
}

/// At most 64 MiB of JSON come out of a segment.
fn segment(bytes: &[u8]) {
    let most = 3 * loglake_commit::MAX_SEGMENT_JSON_BYTES + (1 << 20);
    for chunks in [0, 1, 2] {
        let read = memory::at_most(most, || commit::read_segment(bytes, "2026-03-01", chunks));
        assert!(read.is_none_or(|read| read.len() as u64 == chunks));
    }
}

/// An entry is read only where it belongs, and for whom.
fn entry(member: &[u8]) {
    let tenant = TenantName::parse("acme").expect("a name");
    let read = memory::at_most(40 * member.len() + (64 << 10), || index::read_member(member, &tenant));
    if let Some(chunk) = read {
        assert_eq!(chunk.tenant, tenant);
        let again = index::write_member(&chunk).expect("what was read can be written");
        assert_eq!(index::read_member(&again, &tenant).as_ref(), Some(&chunk), "one meaning");
        let other = TenantName::parse("other").expect("a name");
        assert_eq!(index::read_member(member, &other), None);
    }
}

/// A piece is whole and what was asked for, or none.
fn piece(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Some(piece) = query::unwrap_piece(&bytes, WHAT) {
        assert_eq!(query::wrap_piece(WHAT, &piece), bytes, "one form");
    }
    assert_eq!(query::unwrap_piece(&bytes, "other\ndata/tenant=acme/x\n0\n5"), None, "another tenant's");
}
