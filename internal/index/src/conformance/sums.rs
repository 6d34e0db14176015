//! Stored bytes: sums that are as right as the chunks.

use std::collections::BTreeMap;

use super::*;
use crate::{Stored, stored_by_tenant};

fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

fn long(length: u64, chunk: ChunkMeta) -> ChunkMeta {
    ChunkMeta { length, ..chunk }
}

/// What is stored of the tenants `t` and `u`, and of one that nobody knows.
async fn sums(index: &dyn ChunkIndex, partition: u32) -> [u64; 2] {
    let stored = index.stored_bytes(&[name("t"), name("nobody"), name("u")], &[partition]).await.unwrap();
    assert_eq!((stored.bytes.len(), stored.bytes[1], &stored.lacking[..]), (3, 0, &[][..]), "{stored:?}");
    is_as_the_chunks_say(index, partition).await;
    [stored.bytes[0], stored.bytes[2]]
}

async fn is_as_the_chunks_say(index: &dyn ChunkIndex, partition: u32) {
    let (watermark, told) = index.stored_by_tenant(partition).await.unwrap().unwrap();
    let dump = index.dump(partition).await.unwrap().unwrap();
    assert_eq!((watermark, told), (dump.watermark, stored_by_tenant(&dump.live)));
}

/// Adds and removes change the sums of their tenants, once, together with the chunks; a rebuild sets them.
///
/// # Panics
/// When the index breaks a promise.
pub async fn stored_bytes_are_those_of_the_chunks(index: &dyn ChunkIndex, partition: u32) {
    let asked = [name("t"), name("u")];
    let lost = Stored { bytes: vec![0, 0], lacking: vec![partition] };
    assert_eq!(
        index.stored_bytes(&asked, &[partition, partition]).await.unwrap(),
        lost,
        "nothing is known, and told so"
    );
    assert_eq!(index.stored_by_tenant(partition).await.unwrap(), None);
    begin(index, partition).await;
    assert_eq!(sums(index, partition).await, [0, 0]);

    // Names that a careless reader of entries takes for a length, or for the end of a name.
    let a = long(1_000, chunk("t", "\"length\":5", T0, T0 + 5, "a"));
    let b = long(1 << 40, chunk("t", "s", T0, T0 + 5, "b"));
    let other = long(77, chunk("u", "s", T0, T0 + 5, "o"));
    let first = change(1, 10, &[a.clone(), b.clone(), other.clone()], &[]);
    apply(index, partition, first.clone()).await;
    assert_eq!(sums(index, partition).await, [(1 << 40) + 1_000, 77]);
    for again in [&first, &change(3, 30, std::slice::from_ref(&a), &[])] {
        assert!(matches!(index.apply(partition, again).await.unwrap(), Apply::Refused(Some(_))));
    }
    assert_eq!(sums(index, partition).await, [(1 << 40) + 1_000, 77], "an entry counts once");

    // A job's entry, and a chunk that stands there already.
    let joined = long(1 << 39, chunk("t", "s", T0, T0 + 9, "joined"));
    apply(index, partition, change(2, 20, std::slice::from_ref(&joined), &[a.clone(), b])).await;
    assert_eq!(sums(index, partition).await, [1 << 39, 77]);
    apply(index, partition, change(3, 30, std::slice::from_ref(&joined), &[])).await;
    apply(index, partition, change(4, 40, &[joined.clone(), joined.clone()], std::slice::from_ref(&joined))).await;
    assert_eq!(sums(index, partition).await, [1 << 39, 77], "a place has one entry");
    apply(index, partition, change(5, 50, &[], std::slice::from_ref(&joined))).await;
    assert_eq!(sums(index, partition).await, [0, 77]);
    let (_, left) = index.stored_by_tenant(partition).await.unwrap().unwrap();
    assert_eq!(left, BTreeMap::from([(name("u"), 77)]), "who has nothing is not there");

    // What the index lacks: it is lost, and so are the sums.
    assert_eq!(index.apply(partition, &change(6, 60, &[], &[joined])).await.unwrap(), Apply::Refused(None));
    assert_eq!(index.stored_bytes(&asked, &[partition]).await.unwrap(), lost);
    assert!(rebuild(index, partition, 9, &[a.clone(), a.clone(), other.clone()]).await);
    assert_eq!(sums(index, partition).await, [1_000, 77]);
    let token = index.begin_rebuild(partition).await.unwrap();
    let seen = Some(Watermark { seq: 9, next: 90 });
    assert!(index.replace(partition, &token, seen, &snapshot(9, std::slice::from_ref(&a))).await.unwrap());
    assert_eq!(sums(index, partition).await, [1_000, 0]);
    apply(index, partition, change(10, 100, &[other], &[a])).await;
    assert_eq!(sums(index, partition).await, [0, 77]);
}

/// Sums go over many partitions and many tenants; a lost partition is named.
///
/// # Panics
/// When the index breaks a promise.
pub async fn stored_bytes_add_up(index: &dyn ChunkIndex, first: u32) {
    let partitions: Vec<u32> = (first..first + 40).collect();
    let tenants: Vec<TenantName> = (0..1_500).map(|n| name(&format!("t{n}"))).collect();
    for partition in &partitions {
        let own: Vec<ChunkMeta> = (0..1_500_u64)
            .skip(usize::try_from(*partition).unwrap() % 7)
            .step_by(7)
            .map(|n| long(n + 1, chunk(&format!("t{n}"), "s", T0, T0, "x")))
            .collect();
        assert!(rebuild(index, *partition, 1, &own).await);
    }
    let mut asked = partitions.clone();
    asked.extend([first + 3, first + 41, first + 40]);
    let stored = index.stored_bytes(&tenants, &asked).await.unwrap();
    assert_eq!(stored.lacking, [first + 40, first + 41], "each once");
    for (n, bytes) in (0..1_500_u64).zip(&stored.bytes) {
        let has_it = |partition: &&u32| n % 7 == u64::from(**partition % 7);
        assert_eq!(*bytes, (n + 1) * partitions.iter().filter(has_it).count() as u64, "tenant {n}");
    }
    assert!(index.stored_bytes(&[], &asked).await.unwrap().bytes.is_empty());
    assert_eq!(index.stored_bytes(&tenants[..2], &[]).await.unwrap(), Stored { bytes: vec![0, 0], lacking: vec![] });
}

/// What a program wrote that keeps no sums is added up before it is told, and goes on from there. `forget` makes of
/// `partition` what such a program would have left of it.
///
/// # Panics
/// When the index breaks a promise.
pub async fn forgotten_sums_are_added_up(index: &dyn ChunkIndex, partition: u32, forget: impl AsyncFn()) {
    begin(index, partition).await;
    let (a, b) = (long(500, chunk("t", "s", T0, T0, "a")), long(30, chunk("u", "s", T0, T0, "b")));
    apply(index, partition, change(1, 10, &[a.clone(), b.clone()], &[])).await;
    forget().await;
    assert_eq!(sums(index, partition).await, [500, 30]);
    apply(index, partition, change(2, 20, &[], std::slice::from_ref(&b))).await;
    assert_eq!(sums(index, partition).await, [500, 0]);
    // Applied on top of sums that are not right: they stay unknown until somebody asks.
    forget().await;
    apply(index, partition, change(3, 30, &[b], &[a])).await;
    assert_eq!(sums(index, partition).await, [0, 30]);
    forget().await;
    assert_eq!(index.stored_by_tenant(partition).await.unwrap().unwrap().1, BTreeMap::from([(name("u"), 30)]));
    forget().await;
    assert!(rebuild(index, partition, 9, &[]).await);
    assert_eq!(sums(index, partition).await, [0, 0]);
}
