//! What was read once is answered from the disk, also by another process, and nothing is asked of the store.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lake::{Lake, ids_of};
use super::reading::{everything, lake_with};

/// How many files the cache has.
fn files(folder: &std::path::Path) -> usize {
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_none()).count()
}

#[tokio::test]
async fn a_restarted_service_answers_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let lake: Lake = lake_with(|config| {
        config.cache_dir = Some(folder.path().to_owned());
        config.cache_disk_bytes = 64 << 20;
    })
    .await;
    lake.flush_all().await;
    let first = lake.page(everything(&lake)).await.unwrap();
    assert!(first.stats.bytes_read > 0 && first.missing.is_empty());
    // Pieces are written in the background: once no more come, all are there.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = files(folder.path());
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    let lake = lake.restarted().await;
    lake.store.left.store(0, Ordering::SeqCst);
    let again = lake.page(everything(&lake)).await.unwrap();
    assert_eq!((ids_of(&again), again.stats.bytes_read), (ids_of(&first), 0));
}
