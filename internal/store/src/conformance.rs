//! What every store and every wrapper must do. Panics with the claim that does not hold.
//!
//! [`all`] runs every test under keys that begin with the given folder, so a suite may share a bucket with others.

#![expect(clippy::unwrap_used, reason = "a test suite: a failure is a panic")]

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use loglake_model::ErrorKind;

use crate::{Create, Object, ObjectStore, PAGE, list_all};

/// Races run by [`one_of_many_creates`].
pub const RACES: usize = 100;
/// Callers in each of them.
pub const RACERS: usize = 16;

/// Runs all tests under `folder` (a valid key, without a closing slash, where nothing is yet).
///
/// # Panics
/// When the store breaks a promise.
pub async fn all(store: Arc<dyn ObjectStore>, folder: &str) {
    let under = |name: &str| format!("{folder}/{name}");
    objects_read_as_they_were_written(&*store, &under("read")).await;
    ranges_are_exact(&*store, &under("range")).await;
    create_never_replaces(&*store, &under("create")).await;
    deleted_objects_are_gone(&*store, &under("delete")).await;
    bad_keys_are_refused(&*store, &under("bad")).await;
    listings_are_in_key_order(&*store, &under("order")).await;
    listings_come_in_pages(&*store, &under("pages")).await;
    one_of_many_creates(store, &under("race"), RACES, RACERS).await;
}

/// Whole objects of several sizes; the caller's limit; objects that are not there.
///
/// # Panics
/// When the store breaks a promise.
pub async fn objects_read_as_they_were_written(store: &dyn ObjectStore, folder: &str) {
    for length in [0, 1, 4096, 3_000_001_usize] {
        let key = format!("{folder}/{length}");
        let body: Bytes = (0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
        store.put(&key, body.clone()).await.unwrap();
        assert_eq!(store.get(&key, length as u64).await.unwrap(), body, "an object of {length} bytes");
        if length > 0 {
            let error = store.get(&key, length as u64 - 1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        }
        // The same attempt again.
        store.put(&key, body.clone()).await.unwrap();
        assert_eq!(store.get(&key, u64::MAX).await.unwrap(), body);
    }
    let odd = format!("{folder}/a=b%2Fc+d&e?f#g~(h)'i/j;k:l@m,n");
    store.put(&odd, Bytes::from_static(b"odd")).await.unwrap();
    assert_eq!(store.get(&odd, 3).await.unwrap(), "odd", "a key with marks of URLs in it");
    for missing in ["missing", "a/missing"] {
        let error = store.get(&format!("{folder}/{missing}"), 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

/// Ranges within, at the end of and past an object.
///
/// # Panics
/// When the store breaks a promise.
pub async fn ranges_are_exact(store: &dyn ObjectStore, folder: &str) {
    let key = format!("{folder}/digits");
    store.put(&key, Bytes::from_static(b"0123456789")).await.unwrap();
    for (range, expected) in [(0..10, "0123456789"), (0..1, "0"), (9..10, "9"), (3..7, "3456"), (4..4, "")] {
        assert_eq!(store.get_range(&key, range.clone()).await.unwrap(), expected, "{range:?}");
    }
    for range in [9..11, 10..11, 100..200, 0..1 << 62, 0..u64::MAX, u64::MAX - 1..u64::MAX] {
        let error = store.get_range(&key, range.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{range:?}: {error}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
    let error = store.get_range(&key, 5..4).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let error = store.get_range(&format!("{folder}/missing"), 0..1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// A create after a create, after a put, with the same bytes, and after a delete.
///
/// # Panics
/// When the store breaks a promise.
pub async fn create_never_replaces(store: &dyn ObjectStore, folder: &str) {
    let key = format!("{folder}/x/1");
    assert_eq!(store.create(&key, Bytes::from_static(b"first")).await.unwrap(), Create::Created);
    for body in ["second", "first", ""] {
        assert_eq!(store.create(&key, Bytes::from_static(body.as_bytes())).await.unwrap(), Create::Exists, "{body:?}");
    }
    assert_eq!(store.get(&key, 100).await.unwrap(), "first");
    let put = format!("{folder}/x/2");
    store.put(&put, Bytes::from_static(b"put")).await.unwrap();
    assert_eq!(store.create(&put, Bytes::from_static(b"create")).await.unwrap(), Create::Exists);
    store.delete(&key).await.unwrap();
    assert_eq!(store.create(&key, Bytes::from_static(b"third")).await.unwrap(), Create::Created);
    assert_eq!(store.get(&key, 100).await.unwrap(), "third");
}

/// Deleting what is there, twice, and what never was.
///
/// # Panics
/// When the store breaks a promise.
pub async fn deleted_objects_are_gone(store: &dyn ObjectStore, folder: &str) {
    let key = format!("{folder}/a/b/c");
    store.put(&key, Bytes::from_static(b"x")).await.unwrap();
    store.delete(&key).await.unwrap();
    assert_eq!(store.get(&key, 1).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.list(folder, None).await.unwrap().objects.is_empty());
    store.delete(&key).await.unwrap();
    store.delete(&format!("{folder}/never/was")).await.unwrap();
}

/// Texts that are no keys, in every call.
///
/// # Panics
/// When the store breaks a promise.
pub async fn bad_keys_are_refused(store: &dyn ObjectStore, folder: &str) {
    for end in ["", "/..", "/../x", "/./x", "//x", "/.hidden", "/a b", "/\u{e4}", "/a\0b", "/a\nb"] {
        let key = format!("{folder}{end}{}", if end.is_empty() { "/" } else { "" });
        let body = Bytes::from_static(b"x");
        let kinds = [
            store.put(&key, body.clone()).await.unwrap_err().kind(),
            store.create(&key, body).await.unwrap_err().kind(),
            store.get(&key, 1).await.unwrap_err().kind(),
            store.get_range(&key, 0..1).await.unwrap_err().kind(),
            store.delete(&key).await.unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::Invalid; 5], "{key:?}");
    }
    for prefix in ["/", "../", "a//", "a/../b", "a b"] {
        assert_eq!(store.list(prefix, None).await.unwrap_err().kind(), ErrorKind::Invalid, "{prefix:?}");
    }
    assert!(list_all(store, folder).await.unwrap().is_empty());
}

/// Order by all bytes of the key (the slash is one of them), prefixes that end in mid-name, going on after a key.
///
/// # Panics
/// When the store breaks a promise.
pub async fn listings_are_in_key_order(store: &dyn ObjectStore, folder: &str) {
    let names = ["a", "a-b", "a.b", "a0/x", "a1/b/c", "a1/b-", "a1/b0", "A", "b/1", "b/10", "b/2", "b-1", "b!/x", "~"];
    for name in names {
        store.put(&format!("{folder}/{name}"), Bytes::copy_from_slice(name.as_bytes())).await.unwrap();
    }
    let sorted: BTreeSet<String> = names.iter().map(|name| format!("{folder}/{name}")).collect();
    for name in ["", "/", "/a", "/a1", "/a1/", "/a1/b", "/a1/b/", "/b", "/b/1", "/b/10", "/nothing", "/a/"] {
        let prefix = format!("{folder}{name}");
        let expected: Vec<&String> = sorted.iter().filter(|key| key.starts_with(&prefix)).collect();
        let listed = store.list(&prefix, None).await.unwrap();
        assert!(!listed.has_more);
        assert_eq!(listed.objects.iter().map(|object| &object.key).collect::<Vec<_>>(), expected, "under {prefix}");
        for after in
            sorted.iter().map(String::as_str).chain(["", "~", &format!("{folder}/a1"), &format!("{folder}/b/1/x")])
        {
            let expected: Vec<&String> = expected.iter().copied().filter(|key| key.as_str() > after).collect();
            let listed = store.list(&prefix, Some(after)).await.unwrap().objects;
            let listed: Vec<&String> = listed.iter().map(|object| &object.key).collect();
            assert_eq!(listed, expected, "under {prefix} after {after}");
        }
    }
    let listed = store.list(&format!("{folder}/a1/b/c"), None).await.unwrap().objects;
    assert_eq!(listed, [Object { key: format!("{folder}/a1/b/c"), length: 6 }], "a listing tells lengths");
}

/// More objects than a page holds, in one folder and over many.
///
/// # Panics
/// When the store breaks a promise.
pub async fn listings_come_in_pages(store: &dyn ObjectStore, folder: &str) {
    let count = PAGE + 7;
    let keys: Vec<String> = (0..count).map(|n| format!("{folder}/{}/{n:05}", if n < 5 { n } else { 5 })).collect();
    for some in keys.chunks(16) {
        for outcome in join_all(some.iter().map(|key| store.put(key, Bytes::new()))).await {
            outcome.unwrap();
        }
    }
    let first = store.list(folder, None).await.unwrap();
    assert!(first.has_more && (1..=PAGE).contains(&first.objects.len()), "a first page of {}", first.objects.len());
    let listed = list_all(store, folder).await.unwrap();
    assert_eq!(listed.iter().map(|object| &object.key).collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
}

/// `races` times `racers` callers create one key at once: one is told so, and its body is there.
///
/// # Panics
/// When the store breaks a promise.
pub async fn one_of_many_creates(store: Arc<dyn ObjectStore>, folder: &str, races: usize, racers: usize) {
    for race in 0..races {
        let key = format!("{folder}/{race}");
        let tasks = (0..racers).map(|racer| {
            let (store, key) = (Arc::clone(&store), key.clone());
            tokio::spawn(async move { store.create(&key, Bytes::from(format!("{racer}"))).await.unwrap() })
        });
        let outcomes: Vec<Create> = join_all(tasks).await.into_iter().map(|outcome| outcome.unwrap()).collect();
        let winners: Vec<usize> = outcomes
            .iter()
            .enumerate()
            .filter(|(_, outcome)| **outcome == Create::Created)
            .map(|(racer, _)| racer)
            .collect();
        assert!(winners.len() <= 1, "race {race}: {winners:?} were all told that they made it");
        let there = store.get(&key, 10).await.unwrap();
        let there: usize = std::str::from_utf8(&there).unwrap().parse().unwrap();
        match winners.first() {
            Some(winner) => assert_eq!(there, *winner, "race {race}: the winner's body is there"),
            // Only doubt excuses that no one was told.
            None => assert_eq!(outcomes.get(there), Some(&Create::Unknown), "race {race}"),
        }
    }
}
