use loglake_model::{ManualClock, TenantName};

use super::*;

fn open(dir: &Path, cluster: &str, incarnation: u32) -> EmbeddedIndex {
    EmbeddedIndex::open(dir, cluster, incarnation, Arc::new(ManualClock::at(0))).unwrap()
}

async fn begin(index: &EmbeddedIndex, seq: u64) {
    let token = index.begin_rebuild(0).await.unwrap();
    let snapshot =
        Snapshot { watermark: Watermark { seq, next: 10 }, live: Vec::new(), sessions: Vec::new(), gaps: Vec::new() };
    assert!(index.rebuild(0, &token, &snapshot).await.unwrap());
}

#[tokio::test]
async fn it_is_there_after_a_restart_but_not_for_another_topic() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path(), "c", 0);
    begin(&index, 7).await;
    index.close().await.unwrap();
    drop(index);
    let mark = open(dir.path(), "c", 0).watermark(0).await.unwrap();
    assert_eq!(mark, Some(Watermark { seq: 7, next: 10 }));
    for (cluster, incarnation) in [("c", 1), ("d", 1), ("c", 0)] {
        let index = open(dir.path(), cluster, incarnation);
        assert_eq!(index.watermark(0).await.unwrap(), None, "{cluster} {incarnation}");
        begin(&index, 1).await;
    }
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _index = open(dir.path(), "c", 0);
    let second = EmbeddedIndex::open(dir.path(), "c", 0, Arc::new(ManualClock::at(0)));
    assert!(matches!(second, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn a_corrupt_entry_is_an_error_not_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path(), "c", 0);
    begin(&index, 1).await;
    index.state.damage(0, b"t\x01s\x0110000000key");
    #[allow(clippy::disallowed_methods, reason = "test")]
    let tenant = TenantId::from_credential(TenantName::parse("t").unwrap());
    let query = ChunkQuery { services: None, range: loglake_model::TimeRange::ALL, partitions: &[0], most: usize::MAX };
    assert!(matches!(index.chunks(&tenant, &query).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_dropped_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path(), "c", 0);
    begin(&index, 7).await;
    drop(index);
    for entry in std::fs::read_dir(dir.path().join("v1")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(path, b"garbage").unwrap();
        }
    }
    let index = open(dir.path(), "c", 0);
    assert_eq!(index.watermark(0).await.unwrap(), None);
    begin(&index, 7).await;
}

#[tokio::test]
async fn the_sums_of_an_older_program_are_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path(), "c", 0);
    crate::conformance::forgotten_sums_are_added_up(&index, 0, async || index.state.forget_sums(0)).await;
}
