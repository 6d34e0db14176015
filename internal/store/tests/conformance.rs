//! The suite of the contract over what needs no server.

use std::sync::Arc;

use loglake_store::{Backoff, FolderStore, MemoryStore, Retrying, conformance, self_test};

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_the_contract() {
    conformance::all(Arc::new(MemoryStore::new()), "c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path().to_owned()).unwrap();
    self_test(&store, "nonce").await.unwrap();
    conformance::all(Arc::new(store), "c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_retrying_wrapper_keeps_the_contract() {
    conformance::all(Arc::new(Retrying::new(MemoryStore::new(), Backoff::default(), 1)), "c").await;
}
