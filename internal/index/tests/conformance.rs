//! The suite of the contract over what needs no server.

use std::sync::Arc;

use loglake_index::{EmbeddedIndex, conformance};
use loglake_model::SystemClock;

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_index_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let index = EmbeddedIndex::open(dir.path(), "conformance", 3, Arc::new(SystemClock)).unwrap();
    conformance::all(Arc::new(index)).await;
}
