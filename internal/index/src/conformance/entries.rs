//! Entries of the chain: order, wholeness, sessions.

use super::*;

/// No watermark: nothing to read, nothing to build on.
///
/// # Panics
/// When the index breaks a promise.
pub async fn nothing_is_applied_on_top_of_nothing(index: &dyn ChunkIndex, partition: u32) {
    for seq in [0, 1, 2] {
        let outcome = index.apply(partition, &change(seq, 10, &[chunk("t", "s", T0, T0, "a")], &[])).await.unwrap();
        assert_eq!(outcome, Apply::Refused(None));
    }
    assert_eq!(index.watermark(partition).await.unwrap(), None);
    assert_eq!(index.sessions(partition).await.unwrap(), None);
    let answer = ask(index, partition, "t", None, TimeRange::ALL).await;
    assert_eq!(answer, PartitionChunks { partition, watermark: None, chunks: Vec::new(), gaps: Vec::new() });
}

/// Only the successor of the watermark is applied, once.
///
/// # Panics
/// When the index breaks a promise.
pub async fn entries_apply_in_order(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let empty = Watermark { seq: 0, next: 0 };
    assert_eq!(index.watermark(partition).await.unwrap(), Some(empty));
    for seq in [0, 2, 3, u64::MAX] {
        let outcome = index.apply(partition, &change(seq, 10, &[chunk("t", "s", T0, T0, "no")], &[])).await.unwrap();
        assert_eq!(outcome, Apply::Refused(Some(empty)), "entry {seq}");
    }
    // Past what a double holds exactly: offsets are whole numbers of 64 bits.
    let next = (1 << 60) + 1;
    apply(index, partition, change(1, next, &[chunk("t", "s", T0, T0, "a")], &[])).await;
    let first = Watermark { seq: 1, next };
    for seq in [0, 1, 3] {
        let outcome = index.apply(partition, &change(seq, 20, &[chunk("t", "s", T0, T0, "no")], &[])).await.unwrap();
        assert_eq!(outcome, Apply::Refused(Some(first)), "entry {seq}");
    }
    for seq in 2..=12 {
        apply(index, partition, change(seq, next + seq, &[], &[])).await;
    }
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 12, next: next + 12 }));
    assert_eq!(live(index, partition, "t").await, [chunk("t", "s", T0, T0, "a")]);
}

/// A job's entry puts new chunks in the place of old ones in one step.
///
/// # Panics
/// When the index breaks a promise.
pub async fn adds_and_removes_show_together(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let (a, b, other) =
        (chunk("t", "s", T0, T0 + 5, "a"), chunk("t", "s", T0 + 6, T0 + 9, "b"), chunk("t", "other", T0, T0, "o"));
    let joined = chunk("t", "s", T0, T0 + 9, "joined");
    apply(index, partition, change(1, 10, &[a.clone(), other.clone()], &[])).await;
    apply(index, partition, change(2, 20, std::slice::from_ref(&b), &[])).await;
    assert_eq!(live(index, partition, "t").await, sorted(vec![a.clone(), b.clone(), other.clone()]));
    apply(index, partition, change(3, 20, std::slice::from_ref(&joined), &[a, b])).await;
    let answer = ask(index, partition, "t", None, TimeRange::ALL).await;
    assert_eq!(answer.watermark, Some(Watermark { seq: 3, next: 20 }));
    assert_eq!(sorted(answer.chunks), sorted(vec![joined, other]));
}

/// An index that lacks what the chain removes is wrong: it says that it is lost, and takes a rebuild.
///
/// # Panics
/// When the index breaks a promise.
pub async fn what_the_chain_removes_must_be_there(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let (a, b) = (chunk("t", "s", T0, T0, "a"), chunk("t", "s", T0, T0, "b"));
    apply(index, partition, change(1, 10, std::slice::from_ref(&a), &[])).await;
    let outcome = index.apply(partition, &change(2, 10, &[], &[a.clone(), b.clone()])).await.unwrap();
    assert_eq!(outcome, Apply::Refused(None));
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.watermark, None);
    assert!(rebuild(index, partition, 2, std::slice::from_ref(&b)).await);
    assert_eq!(live(index, partition, "t").await, [b]);
}

/// A chunk that no query by time would find is an error, and leaves nothing.
///
/// # Panics
/// When the index breaks a promise.
pub async fn contradictory_chunks_are_refused(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let good = chunk("t", "s", T0, T0 + 5, "good");
    let bad = ChunkMeta { max_ns: T0 + 2 * HOUR_NS, ..chunk("t", "s", T0, T0 + 5, "bad") };
    let error = index.apply(partition, &change(1, 10, &[good, bad.clone()], &[])).await.unwrap_err();
    assert_eq!(error.kind(), loglake_model::ErrorKind::Corrupt, "{error}");
    let token = index.begin_rebuild(partition).await.unwrap();
    assert!(index.rebuild(partition, &token, &snapshot(3, &[bad])).await.is_err());
    assert_eq!(index.watermark(partition).await.unwrap(), Some(Watermark { seq: 0, next: 0 }));
    assert!(live(index, partition, "t").await.is_empty());
}

/// States of sessions come, change and go with their entries, and by a rebuild.
///
/// # Panics
/// When the index breaks a promise.
pub async fn sessions_are_kept(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let set = |session: &str, state: &str| SessionChange { session: session.to_owned(), state: Some(state.to_owned()) };
    let drop = |session: &str| SessionChange { session: session.to_owned(), state: None };
    let with = |seq: u64, sessions: Vec<SessionChange>| Change { sessions, ..change(seq, seq * 10, &[], &[]) };
    let read = async || {
        let (mark, mut sessions) = index.sessions(partition).await.unwrap().unwrap();
        sessions.sort_by(|a, b| a.session.cmp(&b.session));
        (mark.seq, sessions)
    };
    assert_eq!(read().await, (0, vec![]));
    apply(index, partition, with(1, vec![set("aa", r#"{"low":1}"#), set("bb", "ü\n")])).await;
    assert_eq!(read().await, (1, vec![set("aa", r#"{"low":1}"#), set("bb", "ü\n")]));
    apply(index, partition, with(2, vec![set("aa", "2"), drop("bb"), drop("never"), set("cc", "")])).await;
    assert_eq!(read().await, (2, vec![set("aa", "2"), set("cc", "")]));
    let token = index.begin_rebuild(partition).await.unwrap();
    let snapshot = Snapshot { sessions: vec![set("dd", "4")], ..snapshot(9, &[]) };
    assert!(index.rebuild(partition, &token, &snapshot).await.unwrap());
    assert_eq!(read().await, (9, vec![set("dd", "4")]));
}

/// Several apply the same entries: each is applied once.
///
/// # Panics
/// When the index breaks a promise.
pub async fn writers_may_race(index: Arc<dyn ChunkIndex>, partition: u32) {
    begin(&*index, partition).await;
    let entries = 40_u64;
    let tasks = (0..4).map(|_| {
        let index = Arc::clone(&index);
        tokio::spawn(async move {
            let mut applied = 0;
            for seq in 1..=entries {
                let change = change(seq, seq, &[chunk("t", "s", T0, T0, &format!("{seq:03}"))], &[]);
                loop {
                    match index.apply(partition, &change).await.unwrap() {
                        Apply::Applied => applied += 1,
                        Apply::Refused(Some(mark)) if mark.seq >= seq => {}
                        Apply::Refused(Some(_)) => continue,
                        Apply::Refused(None) => panic!("the watermark went away"),
                    }
                    break;
                }
            }
            applied
        })
    });
    let applied: u64 = join_all(tasks).await.into_iter().map(|count| count.unwrap()).sum();
    assert_eq!(applied, entries);
    assert_eq!(live(&*index, partition, "t").await.len() as u64, entries);
}

/// Entry n has n chunks in it and takes the predecessor's out: no reader sees any other number.
///
/// # Panics
/// When the index breaks a promise.
pub async fn readers_see_whole_entries(index: Arc<dyn ChunkIndex>, partition: u32) {
    begin(&*index, partition).await;
    let of = |seq: u64| -> Vec<ChunkMeta> {
        (0..seq).map(|n| chunk("t", &format!("s{n}"), T0, T0, &format!("{seq}"))).collect()
    };
    let writer = {
        let index = Arc::clone(&index);
        tokio::spawn(async move {
            for seq in 1..=30 {
                apply(&*index, partition, change(seq, seq, &of(seq), &of(seq - 1))).await;
            }
        })
    };
    let mut seen = 0;
    while seen < 30 {
        let answer = ask(&*index, partition, "t", None, TimeRange::ALL).await;
        let seq = answer.watermark.unwrap().seq;
        assert!(seq >= seen, "the watermark went back from {seen} to {seq}");
        assert_eq!(sorted(answer.chunks), sorted(of(seq)));
        seen = seq;
    }
    writer.await.unwrap();
}

/// Gaps come with every answer, whatever is asked for, survive other entries and a rebuild, and join where they touch.
///
/// # Panics
/// When the index breaks a promise.
pub async fn gaps_stay(index: &dyn ChunkIndex, partition: u32) {
    // Past what a double holds exactly.
    let far = (1 << 60) + 1;
    let gap = |from, to| Gap { from, to, at_ns: 7, reason: "retention \"ran\" past\n".to_owned() };
    begin(index, partition).await;
    let lost = |seq: u64, from, to| Change { gap: Some(gap(from, to)), ..change(seq, to, &[], &[]) };
    apply(index, partition, lost(1, 0, 10)).await;
    apply(index, partition, change(2, 20, &[chunk("t", "s", T0, T0, "a")], &[])).await;
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.gaps, [gap(0, 10)]);
    apply(index, partition, lost(3, 20, far)).await;
    apply(index, partition, lost(4, far, far + 2)).await;
    let all = [gap(0, 10), gap(20, far + 2)];
    assert_eq!(ask(index, partition, "another", None, TimeRange::ALL).await.gaps, all);
    assert_eq!(
        index.apply(partition, &lost(4, far, far + 9)).await.unwrap(),
        Apply::Refused(Some(Watermark { seq: 4, next: far + 2 }))
    );
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.gaps, all);

    let token = index.begin_rebuild(partition).await.unwrap();
    let forwards = Snapshot { gaps: vec![gap(3, 4)], ..snapshot(9, &[]) };
    assert!(index.rebuild(partition, &token, &forwards).await.unwrap());
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.gaps, [gap(3, 4)]);
    let token = index.begin_rebuild(partition).await.unwrap();
    assert!(index.rebuild(partition, &token, &snapshot(10, &[])).await.unwrap());
    assert_eq!(ask(index, partition, "t", None, TimeRange::ALL).await.gaps, []);
}
