use std::fs;
use std::path::PathBuf;

use super::*;

/// A log whose last group is known, as a power cut leaves it: the folder, the newest file, where its last group begins.
async fn cut_off(count: usize) -> (tempfile::TempDir, PathBuf, u64) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { segment_bytes: 1 << 20, ..small() };
    let log = open(dir.path(), &config).unwrap();
    append(&log, 0, 0..count - 1).await;
    let before = log.used_bytes();
    append(&log, 1, 0..1).await;
    let copy = snapshot(dir.path());
    let newest = segments(copy.path()).pop().unwrap();
    // Without the zeros that fill up its last block.
    let file = fs::File::options().write(true).open(&newest).unwrap();
    assert!((0..4_096).contains(&(file.metadata().unwrap().len() - log.used_bytes())));
    file.set_len(log.used_bytes()).unwrap();
    (copy, newest, before)
}

#[tokio::test]
async fn zeros_stand_only_behind_the_last_group_of_an_open_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Config { segment_bytes: 10_000, ..small() }).unwrap();
    let lengths = |dir: &Path| -> u64 { segments(dir).iter().map(|path| fs::metadata(path).unwrap().len()).sum() };
    for number in 0..300 {
        append(&log, 0, number..number + 1).await;
        assert!((0..4_096).contains(&(lengths(dir.path()) - log.used_bytes())), "after {number}");
    }
    // Killed: nothing is lost, whatever the zeros became.
    for filler in [0, 9] {
        let copy = snapshot(dir.path());
        let newest = segments(copy.path()).pop().unwrap();
        let mut bytes = fs::read(&newest).unwrap();
        if bytes.last() == Some(&0) {
            *bytes.last_mut().unwrap() = filler;
        }
        fs::write(&newest, bytes).unwrap();
        let again = open(copy.path(), &small()).unwrap();
        assert_eq!(all(&again, 0).await.len(), 300);
        append(&again, 0, 300..301).await;
        again.close().await;
        assert_eq!(all(&open(copy.path(), &small()).unwrap(), 0).await.len(), 301);
    }
    log.close().await;
    assert_eq!(lengths(dir.path()), log.used_bytes());
    assert_eq!(all(&open(dir.path(), &small()).unwrap(), 0).await.len(), 300);
}

fn flip(path: &Path, position: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(position).unwrap()] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut() {
    let (dir, newest, last_group) = cut_off(4).await;
    let whole = fs::read(&newest).unwrap();
    for length in last_group..whole.len() as u64 {
        for filler in [0, 3] {
            let mut torn = whole[..usize::try_from(length).unwrap()].to_vec();
            // What a file system may leave: the length is there, the bytes are not.
            torn.resize(torn.len() + filler, 0);
            fs::write(&newest, torn).unwrap();
            let log = open(dir.path(), &small()).unwrap();
            assert_eq!((all(&log, 0).await.len(), all(&log, 1).await.len()), (3, 0), "cut at {length}");
            assert_eq!(log.append(1, payload(7)).await.unwrap().offset, 0);
            log.close().await;
            let log = open(dir.path(), &small()).unwrap();
            assert_eq!((all(&log, 0).await.len(), all(&log, 1).await.len()), (3, 1));
            log.close().await;
        }
    }
}

#[tokio::test]
async fn a_last_group_with_any_bit_wrong_is_cut_too() {
    let (dir, newest, last_group) = cut_off(4).await;
    let whole = fs::read(&newest).unwrap();
    for position in last_group..whole.len() as u64 {
        fs::write(&newest, &whole).unwrap();
        flip(&newest, position);
        let log = open(dir.path(), &small()).unwrap();
        assert_eq!((all(&log, 0).await.len(), all(&log, 1).await.len()), (3, 0), "flipped at {position}");
        log.close().await;
    }
}

#[tokio::test]
async fn a_bit_flipped_anywhere_before_the_last_group_is_told() {
    let (dir, newest, last_group) = cut_off(4).await;
    let whole = fs::read(&newest).unwrap();
    for position in 0..last_group {
        flip(&newest, position);
        let refused = open(dir.path(), &small()).unwrap_err();
        let name = newest.file_name().unwrap().to_str().unwrap();
        match refused {
            Error::Corrupt { ref place, .. } => assert!(place.contains(name) && place.contains(" byte "), "{refused}"),
            // A version that grew.
            Error::Config(ref why) => {
                assert!((8..12).contains(&position) && why.contains("newer version"), "{refused}")
            }
            _ => panic!("flipped at {position}: {refused}"),
        }
        assert_eq!(fs::metadata(&newest).unwrap().len(), whole.len() as u64, "nothing was cut");
        fs::write(&newest, &whole).unwrap();
    }
    assert_eq!(all(&open(dir.path(), &small()).unwrap(), 0).await.len(), 3);
}

#[tokio::test]
async fn after_an_orderly_close_the_last_records_are_safe_from_being_cut() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    append(&log, 0, 0..3).await;
    let end = log.used_bytes();
    log.close().await;
    let newest = segments(dir.path()).pop().unwrap();
    flip(&newest, end - 1);
    assert!(matches!(open(dir.path(), &small()), Err(Error::Corrupt { .. })));
    flip(&newest, end - 1);
    assert_eq!(all(&open(dir.path(), &small()).unwrap(), 0).await.len(), 3);
}

#[tokio::test]
async fn an_older_segment_that_is_short_bad_or_missing_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    append(&log, 0, 0..300).await;
    let ruin = |at: usize, how: &dyn Fn(&Path)| {
        let copy = snapshot(dir.path());
        let files = segments(copy.path());
        how(&files[at.min(files.len() - 1)]);
        open(copy.path(), &small()).map(|_| ()).unwrap_err()
    };
    let last_byte = |path: &Path| fs::metadata(path).unwrap().len() - 1;
    let cut = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(last_byte(path)).unwrap();
    let header_only =
        |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(64 + 3 * 16 + 4).unwrap();
    for at in [0, 1] {
        for how in [&cut as &dyn Fn(&Path), &header_only, &|path| flip(path, last_byte(path)), &|path| {
            fs::write(path, b"").unwrap();
        }] {
            let refused = ruin(at, how);
            assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
        }
    }
    assert!(matches!(ruin(1, &|path| fs::remove_file(path).unwrap()), Error::Corrupt { .. }));
    let swapped = ruin(1, &|path| {
        let other = segments(path.parent().unwrap())[2].clone();
        fs::copy(other, path).unwrap();
    });
    assert!(matches!(swapped, Error::Corrupt { .. }), "{swapped}");
}

#[tokio::test]
async fn damage_that_comes_while_the_log_is_open_is_told_by_reads() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Config { partitions: 1, tail_bytes: 16 << 20, ..Config::default() }).unwrap();
    for _ in 0..20 {
        log.append(0, Bytes::from(vec![b'x'; 1_000_000])).await.unwrap();
    }
    flip(&segments(dir.path())[0], 5_000);
    let refused = log.read(0, 0, 20, 10_000_000).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
    assert_eq!(log.read(0, 1, 20, 100).await.unwrap().messages.len(), 1);
}

#[tokio::test]
async fn lost_files_are_told_and_an_unfinished_beginning_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    let begun = snapshot(dir.path());
    append(&log, 0, 0..1).await;
    log.close().await;

    let without_topic = snapshot(dir.path());
    fs::remove_file(without_topic.path().join("topic")).unwrap();
    assert!(matches!(open(without_topic.path(), &small()), Err(Error::Corrupt { .. })));

    let without_segments = snapshot(dir.path());
    fs::remove_file(&segments(without_segments.path())[0]).unwrap();
    assert!(matches!(open(without_segments.path(), &small()), Err(Error::Corrupt { .. })));

    fs::remove_file(begun.path().join("topic")).unwrap();
    fs::write(begun.path().join("topic.tmp"), b"half").unwrap();
    let fresh = open(begun.path(), &small()).unwrap();
    append(&fresh, 0, 0..1).await;
    assert!(!begun.path().join("topic.tmp").exists());
}
