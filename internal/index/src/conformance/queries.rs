//! What a question to the index finds.

use super::*;

/// What a chunk's records span decides, not its window; windows of several lengths live side by side.
///
/// # Panics
/// When the index breaks a promise.
pub async fn ranges_are_by_the_records_in_a_chunk(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let day_ns = 24 * HOUR_NS;
    let day = Window::holding(T0, day_ns);
    let minute = Window::holding(T0, HOUR_NS / 60);
    let last_ns = i64::MAX - 1;
    let chunks = [
        chunk("t", "s", T0 + 100, T0 + 200, "hour"),
        chunk("t", "s", T0 + HOUR_NS, T0 + HOUR_NS + 1, "next"),
        chunk_in("t", "s", minute, T0 + 150, T0 + 151, "minute"),
        chunk_in("t", "s", day, day.start_ns, day.start_ns + day_ns - 1, "day"),
        chunk("t", "s", 0, 0, "epoch"),
        chunk("t", "s", last_ns, last_ns, "end"),
    ];
    // The long window comes last: an index may not have planned for it.
    for (at, chunk) in (1..).zip([&chunks[0], &chunks[1], &chunks[2], &chunks[4], &chunks[5], &chunks[3]]) {
        apply(index, partition, change(at, at, std::slice::from_ref(chunk), &[])).await;
    }
    let edges = [
        i64::MIN,
        -1,
        0,
        1,
        day.start_ns - 1,
        day.start_ns,
        day.start_ns + 1,
        T0,
        T0 + 99,
        T0 + 100,
        T0 + 101,
        T0 + 150,
        T0 + 151,
        T0 + 152,
        T0 + 200,
        T0 + 201,
        T0 + HOUR_NS,
        T0 + HOUR_NS + 2,
        day.end_ns() - 1,
        day.end_ns(),
        last_ns,
        i64::MAX,
    ];
    for (start, end) in edges.iter().flat_map(|start| edges.iter().map(move |end| (*start, *end))) {
        let Some(range) = TimeRange::new(start, end) else { continue };
        let expected: Vec<ChunkMeta> = chunks.iter().filter(|chunk| chunk.overlaps(range)).cloned().collect();
        for services in [None, Some(&["s"][..])] {
            let found = ask(index, partition, "t", services, range).await.chunks;
            assert_eq!(sorted(found), sorted(expected.clone()), "{range:?} {services:?}");
        }
    }
}

/// Names that begin with each other, that hold marks of keys and patterns, and that two tenants share.
///
/// # Panics
/// When the index breaks a promise.
pub async fn tenants_and_services_are_walls(index: &dyn ChunkIndex, partition: u32) {
    begin(index, partition).await;
    let tenants = ["t", "t1", "t-1", "t_", "T", "1"];
    let services = [
        "s", "s1", "s:1", "s/1", "s 1", "*", "s*", "[s]", "s|t", "t", "}", "{s}", "..", "%01", "ü", "\u{2028}", "\"",
        "\\",
    ];
    let mut all = Vec::new();
    for name in tenants {
        for service in services {
            all.push(chunk(name, service, T0, T0 + 10, "x"));
        }
    }
    apply(index, partition, change(1, 10, &all, &[])).await;
    for name in tenants {
        let own: Vec<ChunkMeta> = all.iter().filter(|chunk| chunk.tenant.as_str() == name).cloned().collect();
        assert_eq!(live(index, partition, name).await, sorted(own.clone()), "all of {name}");
        for service in services {
            let found = ask(index, partition, name, Some(&[service]), TimeRange::ALL).await.chunks;
            assert_eq!(found, [chunk(name, service, T0, T0 + 10, "x")], "{service} of {name}");
        }
        let found = ask(index, partition, name, Some(&["s", "t", "none", "s"]), TimeRange::ALL).await.chunks;
        assert_eq!(sorted(found), sorted(vec![chunk(name, "s", T0, T0 + 10, "x"), chunk(name, "t", T0, T0 + 10, "x")]));
        assert!(ask(index, partition, name, Some(&[]), TimeRange::ALL).await.chunks.is_empty());
        assert!(ask(index, partition, name, Some(&["", "s2"][1..]), TimeRange::ALL).await.chunks.is_empty());
    }
    assert!(live(index, partition, "other").await.is_empty());
}

/// Several partitions, one of them lost, one asked for twice.
///
/// # Panics
/// When the index breaks a promise.
pub async fn answers_come_in_the_order_asked(index: &dyn ChunkIndex, first: u32) {
    let (second, lost) = (first + 1, first + 2);
    begin(index, first).await;
    begin(index, second).await;
    apply(index, first, change(1, 11, &[chunk("t", "s", T0, T0, "first")], &[])).await;
    apply(index, second, change(1, 12, &[chunk("t", "s", T0, T0, "second")], &[])).await;
    let partitions = [second, lost, first, second];
    let query = ChunkQuery { services: None, range: TimeRange::ALL, partitions: &partitions, most: usize::MAX };
    let answers = index.chunks(&tenant("t"), &query).await.unwrap();
    let nexts: Vec<Option<u64>> = answers.iter().map(|answer| answer.watermark.map(|mark| mark.next)).collect();
    assert_eq!(nexts, [Some(12), None, Some(11), Some(12)]);
    assert_eq!(answers.iter().map(|answer| answer.partition).collect::<Vec<_>>(), partitions);
    assert_eq!(answers.iter().map(|answer| answer.chunks.len()).collect::<Vec<_>>(), [1, 0, 1, 1]);
    // As many as there is room for, and no more.
    for most in [usize::MAX, 3, 2, 0] {
        let answer = index.chunks(&tenant("t"), &ChunkQuery { most, ..query.clone() }).await;
        let is_refused = matches!(answer, Err(Error::TooMany { most: said }) if said == most);
        assert_eq!((is_refused, answer.is_ok()), (most < 3, most >= 3), "{most}: {answer:?}");
    }
    let services = [service("s")];
    let query = ChunkQuery { services: Some(&services), partitions: &partitions, most: 2, ..query };
    assert!(matches!(index.chunks(&tenant("t"), &query).await, Err(Error::TooMany { most: 2 })));
    assert_eq!(index.chunks(&tenant("u"), &query).await.unwrap().len(), 4, "another tenant's do not count");
    let query = ChunkQuery { partitions: &[], ..query };
    assert!(index.chunks(&tenant("t"), &query).await.unwrap().is_empty());
}

/// An entry and a snapshot of thousands of chunks.
///
/// # Panics
/// When the index breaks a promise.
pub async fn many_chunks_are_kept(index: &dyn ChunkIndex, partition: u32) {
    let hours = 300;
    let all: Vec<ChunkMeta> = (0..hours)
        .flat_map(|hour| {
            let at = T0 + hour * HOUR_NS;
            (0..10).map(move |n| {
                chunk(if n < 9 { "t" } else { "u" }, &format!("s{n}"), at, at + 9, &format!("{hour}-{n}"))
            })
        })
        .collect();
    let of = |name: &str| sorted(all.iter().filter(|chunk| chunk.tenant.as_str() == name).cloned().collect());
    assert!(rebuild(index, partition, 1, &all).await);
    assert_eq!(live(index, partition, "t").await, of("t"));
    assert_eq!(live(index, partition, "u").await, of("u"));
    let range = TimeRange::new(T0 + 5 * HOUR_NS + 3, T0 + 7 * HOUR_NS).unwrap();
    assert_eq!(ask(index, partition, "t", None, range).await.chunks.len(), 2 * 9);
    assert_eq!(ask(index, partition, "t", Some(&["s3"]), range).await.chunks.len(), 2);
    apply(index, partition, change(2, 20, &[], &all[1..])).await;
    assert_eq!(live(index, partition, "t").await, [all[0].clone()]);
    apply(index, partition, change(3, 30, &all[1..], &all[..1])).await;
    assert_eq!(live(index, partition, "u").await, of("u"));
}
