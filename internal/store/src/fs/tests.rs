use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::list_all;

fn store() -> (tempfile::TempDir, FolderStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path().join("objects")).unwrap();
    (folder, store)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_key_is_the_path_of_its_file() {
    let (_folder, store) = store();
    store.put("data/tenant=t/x.gz", Bytes::from_static(b"body")).await.unwrap();
    assert_eq!(std::fs::read(store.root().join("data/tenant=t/x.gz")).unwrap(), b"body");
    assert_eq!(names(&store.root().join(".tmp")), ["lock"]);
}

#[tokio::test]
async fn deleting_the_last_object_removes_its_empty_folders() {
    let (_folder, store) = store();
    store.put("a/b/c/1", Bytes::new()).await.unwrap();
    store.put("a/2", Bytes::new()).await.unwrap();
    store.delete("a/b/c/1").await.unwrap();
    assert_eq!(names(&store.root().join("a")), ["2"]);
    store.put("a/b/c/1", Bytes::new()).await.unwrap();
    assert!(store.get("a/b/c/1", 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn half_written_files_go_at_the_next_start_but_not_under_a_living_process() {
    let (_folder, first) = store();
    let left = first.root().join(".tmp/left");
    std::fs::write(&left, b"half").unwrap();
    let second = FolderStore::open(first.root().to_owned()).unwrap();
    assert!(left.exists(), "the first store may be writing it");
    let root = first.root().to_owned();
    drop((first, second));
    let _third = FolderStore::open(root).unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn an_inspection_changes_nothing_until_it_is_told_to() {
    let (_folder, first) = store();
    let (root, left) = (first.root().to_owned(), first.root().join(".tmp/left"));
    std::fs::write(&left, b"half").unwrap();
    assert_eq!(FolderStore::inspect(root.clone()).unwrap().stale_files(), (0, 0), "the first store may be writing it");
    drop(first);
    let inspected = FolderStore::inspect(root.clone()).unwrap();
    assert_eq!(inspected.stale_files(), (1, 4));
    assert!(left.exists());
    inspected.remove_stale_files().await.unwrap();
    assert!(!left.exists());
    assert!(matches!(FolderStore::inspect(root.join("none")), Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn links_and_hidden_files_are_not_objects() {
    let (folder, store) = store();
    std::fs::write(folder.path().join("secret"), b"secret").unwrap();
    store.put("a/1", Bytes::new()).await.unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), store.root().join("a/link")).unwrap();
    std::os::unix::fs::symlink(folder.path(), store.root().join("a/folder")).unwrap();
    std::fs::write(store.root().join("a/.hidden"), b"").unwrap();
    assert!(matches!(store.get("a/link", 100).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.get("a", 100).await, Err(Error::NotFound { .. })));
    let listed = list_all(&store, "").await.unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["a/1"]);
}

#[tokio::test]
async fn no_key_is_a_folder_of_another() {
    let (_folder, store) = store();
    store.put("a/b", Bytes::new()).await.unwrap();
    for bad in ["a", "a/b/c"] {
        assert!(matches!(store.put(bad, Bytes::new()).await, Err(Error::InvalidKey { .. })), "{bad}");
        assert!(matches!(store.create(bad, Bytes::new()).await, Err(Error::InvalidKey { .. })), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_win_against_who_removes_their_empty_folders() {
    let (_folder, store) = store();
    let one = FolderStore::open(store.root().to_owned()).unwrap();
    let writers = (0..4).map(|writer| {
        // Two handles that do not share what they know of folders, as two processes would.
        let store = if writer % 2 == 0 { store.clone() } else { one.clone() };
        tokio::spawn(async move {
            for round in 0..100 {
                let key = format!("a/b/{writer}-{round}");
                assert_eq!(store.create(&key, Bytes::from_static(b"x")).await.unwrap(), Create::Created);
                assert_eq!(store.get(&key, 1).await.unwrap(), "x");
                store.delete(&key).await.unwrap();
            }
        })
    });
    futures_util::future::try_join_all(writers).await.unwrap();
    assert_eq!(names(store.root()), [".tmp"]);
}

#[tokio::test]
async fn a_full_or_closed_file_system_is_told_apart() {
    let error = |kind: io::ErrorKind| classify("put", "a", &kind.into()).kind();
    assert_eq!(error(io::ErrorKind::StorageFull), loglake_model::ErrorKind::Exhausted);
    assert_eq!(error(io::ErrorKind::ReadOnlyFilesystem), loglake_model::ErrorKind::Forbidden);
    assert_eq!(error(io::ErrorKind::Other), loglake_model::ErrorKind::Unavailable);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Small alphabet around the slash, small pages: against a sorted set of all keys.
    #[test]
    fn listings_agree_with_a_sorted_set(
        keys in prop::collection::btree_set("[a-b][-.0a]{0,2}(/[a-b][-.0]{0,1}){0,2}", 0..40),
        prefix in "([a-b][-.0a]{0,1}(/([a-b][-.0]{0,1})?)?)?",
        limit in 1_usize..5,
    ) {
        let (_folder, store) = store();
        let mut there = BTreeSet::new();
        for key in keys {
            let path = store.root().join(&key);
            if std::fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.is_dir() {
                std::fs::write(path, b"").unwrap();
                there.insert(key);
            }
        }
        let expected: Vec<&String> = there.iter().filter(|key| key.starts_with(&prefix)).collect();
        let mut listed = Vec::<String>::new();
        loop {
            let page = walk::page(store.root(), &prefix, listed.last().map(String::as_str), limit).unwrap();
            prop_assert!(page.objects.len() <= limit && (!page.has_more || !page.objects.is_empty()));
            listed.extend(page.objects.into_iter().map(|object| object.key));
            if !page.has_more {
                break;
            }
        }
        prop_assert_eq!(listed.iter().collect::<Vec<_>>(), expected);
    }
}
