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

/// An index that is there and wrong is replaced in one step, also at and above the snapshot's watermark, and never over what
/// was applied meanwhile.
///
/// # Panics
/// When the index breaks a promise.
pub async fn what_is_wrong_is_replaced(index: &dyn ChunkIndex, partition: u32) {
    let (wrong, right) = (chunk("t", "wrong", T0, T0, "wrong"), chunk("t", "right", T0, T0, "right"));
    let seen = |seq: u64| Some(Watermark { seq, next: seq * 10 });
    assert!(rebuild(index, partition, 5, std::slice::from_ref(&wrong)).await);
    let token = index.begin_rebuild(partition).await.unwrap();
    let made_up = crate::RebuildToken("00000000000000000000000000000000".to_owned());
    let truth = |seq: u64| snapshot(seq, std::slice::from_ref(&right));
    assert!(!index.replace(partition, &made_up, seen(5), &truth(5)).await.unwrap(), "a token that was never set");
    assert!(!index.replace(partition, &token, None, &truth(5)).await.unwrap(), "there is a watermark");
    assert!(!index.replace(partition, &token, seen(4), &truth(5)).await.unwrap(), "it is another one");
    let other_next = Some(Watermark { seq: 5, next: 51 });
    assert!(!index.replace(partition, &token, other_next, &truth(5)).await.unwrap(), "it ends elsewhere");
    // What was applied meanwhile is not taken back.
    apply(index, partition, change(6, 60, &[], &[])).await;
    assert!(!index.replace(partition, &token, seen(5), &truth(5)).await.unwrap(), "an entry was applied since");
    assert_eq!(live(index, partition, "t").await, [wrong]);

    assert!(index.replace(partition, &token, seen(6), &truth(6)).await.unwrap(), "to where it is");
    assert_eq!(live(index, partition, "t").await, std::slice::from_ref(&right));
    assert_eq!(index.watermark(partition).await.unwrap(), seen(6));
    assert!(!index.replace(partition, &token, seen(6), &truth(6)).await.unwrap(), "a token is good for one");
    apply(index, partition, change(7, 70, &[], std::slice::from_ref(&right))).await;

    // Ahead of any chain: back to where that ends.
    let token = index.begin_rebuild(partition).await.unwrap();
    assert!(index.replace(partition, &token, seen(7), &truth(3)).await.unwrap(), "back");
    assert_eq!((live(index, partition, "t").await, index.watermark(partition).await.unwrap()), (vec![right], seen(3)));
    apply(index, partition, change(4, 40, &[], &[])).await;
    // On top of nothing as well.
    let token = index.begin_rebuild(partition + 100).await.unwrap();
    assert!(index.replace(partition + 100, &token, None, &snapshot(2, &[])).await.unwrap());
    assert_eq!(index.watermark(partition + 100).await.unwrap(), seen(2));
}

/// A check sees all tenants' chunks and all sessions, with their watermark.
///
/// # Panics
/// When the index breaks a promise.
pub async fn everything_can_be_read_for_a_check(index: &dyn ChunkIndex, partition: u32) {
    assert_eq!(index.dump(partition).await.unwrap(), None);
    begin(index, partition).await;
    let empty = index.dump(partition).await.unwrap().unwrap();
    assert!(empty.live.is_empty() && empty.sessions.is_empty());
    let mut chunks: Vec<ChunkMeta> = (0..1_200).map(|n| chunk("a", "s", T0 + n, T0 + n, &format!("{n:06}"))).collect();
    chunks.push(chunk("a", "t", T0, T0, "a-t"));
    chunks.push(chunk("b", "s", T0, T0, "b"));
    let sessions = vec![SessionChange { session: "0a".to_owned(), state: Some("{}".to_owned()) }];
    let mut first = change(1, 10, &chunks, &[]);
    first.sessions.clone_from(&sessions);
    apply(index, partition, first).await;
    let dump = index.dump(partition).await.unwrap().unwrap();
    assert_eq!((dump.watermark, dump.sessions), (Watermark { seq: 1, next: 10 }, sessions));
    assert_eq!(dump.live, chunks, "all tenants, in order");
}

/// The index of an older incarnation is its own, and the same one each time.
///
/// # Panics
/// When the index breaks a promise.
pub async fn older_incarnations_are_apart(index: &dyn ChunkIndex, partition: u32) {
    let (old, new) = (chunk("t", "s", T0, T0, "old"), chunk("t", "s", T0, T0, "new"));
    assert!(rebuild(index, partition, 5, std::slice::from_ref(&new)).await);
    let older = index.older(0).await.unwrap();
    assert_eq!(older.watermark(partition).await.unwrap(), None);
    assert!(rebuild(&*older, partition, 9, std::slice::from_ref(&old)).await);
    let again = index.older(0).await.unwrap();
    assert_eq!(live(&*again, partition, "t").await, [old]);
    assert_eq!(index.older(1).await.unwrap().watermark(partition).await.unwrap(), None);
    assert_eq!(live(index, partition, "t").await, [new]);
}
