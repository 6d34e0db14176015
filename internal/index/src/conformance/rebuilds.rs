//! Rebuilds and losses.

use super::*;

/// A rebuild replaces everything, needs its token, and never goes back.
///
/// # Panics
/// When the index breaks a promise.
pub async fn rebuilds_go_only_forwards(index: &dyn ChunkIndex, partition: u32) {
    let (old, new) = (chunk("t", "old", T0, T0, "old"), chunk("t", "new", T0, T0, "new"));
    let made_up = crate::RebuildToken("00000000000000000000000000000000".to_owned());
    assert!(!index.rebuild(partition, &made_up, &snapshot(5, &[])).await.unwrap(), "a token that was never set");
    assert!(rebuild(index, partition, 5, std::slice::from_ref(&old)).await);
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 5, next: 50 }));
    assert!(!index.rebuild(partition, &made_up, &snapshot(9, &[])).await.unwrap());

    let token = index.begin_rebuild(partition).await.unwrap();
    assert!(!index.rebuild(partition, &token, &snapshot(5, &[])).await.unwrap(), "not to where it is");
    assert!(!index.rebuild(partition, &token, &snapshot(4, &[])).await.unwrap(), "not back");
    // Entries applied meanwhile count.
    apply(index, partition, change(6, 60, &[], &[])).await;
    assert!(!index.rebuild(partition, &token, &snapshot(6, &[])).await.unwrap());
    assert_eq!(live(index, partition, "t").await, [old]);
    assert!(index.rebuild(partition, &token, &snapshot(100, std::slice::from_ref(&new))).await.unwrap());
    assert_eq!(live(index, partition, "t").await, [new], "what was there before is gone");
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 100, next: 1000 }));
    assert!(!index.rebuild(partition, &token, &snapshot(200, &[])).await.unwrap(), "a token is good for one rebuild");
    apply(index, partition, change(101, 1010, &[], &[])).await;
}

/// Many rebuild at once: the index ends at one of their views, with exactly its chunks.
///
/// # Panics
/// When the index breaks a promise.
pub async fn rebuilders_may_race(index: Arc<dyn ChunkIndex>, partition: u32) {
    let view = |seq: u64| -> Vec<ChunkMeta> {
        (0..20).map(|n| chunk("t", "s", T0 + n, T0 + n, &format!("{seq}-{n}"))).collect()
    };
    let tasks = (1..=8_u64).map(|seq| {
        let index = Arc::clone(&index);
        tokio::spawn(async move { rebuild(&*index, partition, seq, &view(seq)).await })
    });
    let done = join_all(tasks).await.into_iter().filter(|outcome| *outcome.as_ref().unwrap()).count();
    assert!(done >= 1, "somebody succeeds");
    let answer = ask(&*index, partition, "t", None, TimeRange::ALL).await;
    let seq = answer.watermark.unwrap().seq;
    assert_eq!(sorted(answer.chunks), sorted(view(seq)));
}

/// Losing everything at any moment leads to no watermark and a rebuild, never to a wrong answer. `lose` empties the index.
///
/// # Panics
/// When the index breaks a promise.
pub async fn survives_loss(index: &dyn ChunkIndex, partition: u32, lose: impl AsyncFn()) {
    let (a, b) = (chunk("t", "s", T0, T0, "a"), chunk("t", "s", T0, T0, "b"));
    assert!(rebuild(index, partition, 1, std::slice::from_ref(&a)).await);
    let lease = index.acquire("conformance:lost", "a", "", Duration::from_secs(60)).await.unwrap();
    lose().await;
    assert_eq!(index.watermark(partition).await.unwrap(), None);
    assert_eq!(index.sessions(partition).await.unwrap(), None);
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.watermark, None);
    // The successor of what it had: it knows nothing of it any more.
    assert_eq!(index.apply(partition, &change(2, 20, &[], &[a])).await.unwrap(), Apply::Refused(None));

    // Lost between the token and the view: what was read may be older than what others have seen since.
    let token = index.begin_rebuild(partition).await.unwrap();
    lose().await;
    assert!(!index.rebuild(partition, &token, &snapshot(2, &[])).await.unwrap());
    assert_eq!(index.watermark(partition).await.unwrap(), None);
    // Also when someone else has begun anew meanwhile, and when they are done.
    assert_ne!(index.begin_rebuild(partition).await.unwrap(), token);
    assert!(!index.rebuild(partition, &token, &snapshot(2, &[])).await.unwrap());
    assert!(rebuild(index, partition, 3, std::slice::from_ref(&b)).await);
    assert!(!index.rebuild(partition, &token, &snapshot(9, &[])).await.unwrap());
    assert_eq!(live(index, partition, "t").await, [b]);

    let again = index.acquire("conformance:lost", "b", "", Duration::from_secs(60)).await.unwrap();
    assert!(again.holder == "b" && again.generation > lease.generation, "generations grow over a loss");
}
