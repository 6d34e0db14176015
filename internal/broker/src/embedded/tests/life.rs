use std::io;
use std::time::Duration;

use super::*;
use crate::conformance::{self, Broker};
use crate::embedded::disk::Fault;
use crate::{Consumer as _, Trim as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    for config in [Config::default(), small()] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), &config).unwrap();
        conformance::all(Broker { producer: &*log, consumer: &*log, reader: &*log }).await;
        conformance::trim_never_forgets_what_is_above_the_mark(&*log, &*log, &*log).await;
        let marks = conformance::leave_marks(&*log, &*log).await;
        log.close().await;
        let log = open(dir.path(), &config).unwrap();
        conformance::marks_are_there(&*log, &*log, &marks).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_without_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    for number in 0..300 {
        log.append(number % 3, payload(number as usize)).await.unwrap();
    }
    let copy = snapshot(dir.path());
    assert!(segments(copy.path()).len() > 3);
    let again = open(copy.path(), &small()).unwrap();
    for partition in 0..3 {
        let messages = all(&again, partition).await;
        assert_eq!(messages, all(&log, partition).await);
        assert_eq!(messages.len(), 100);
    }
    assert_eq!(again.topic().await.unwrap(), log.topic().await.unwrap());
    assert_eq!(again.append(1, payload(0)).await.unwrap().offset, 100);
}

#[tokio::test]
async fn append_times_never_fall_even_across_openings() {
    let dir = tempfile::tempdir().unwrap();
    let late = EmbeddedLog::open(dir.path(), small(), Arc::new(ManualClock::at(1_000))).unwrap();
    assert_eq!(late.append(0, payload(0)).await.unwrap().append_time_ns, 1_000);
    late.close().await;
    let early = EmbeddedLog::open(dir.path(), small(), Arc::new(ManualClock::at(10))).unwrap();
    assert_eq!(early.append(0, payload(1)).await.unwrap().append_time_ns, 1_000);
    assert_eq!(early.append(1, payload(1)).await.unwrap().append_time_ns, 10);
}

#[tokio::test]
async fn a_second_opener_is_kept_out_until_the_first_closes() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    let refused = open(dir.path(), &small()).unwrap_err();
    assert!(refused.to_string().contains("open in another process"), "{refused}");
    log.close().await;
    log.close().await;
    assert!(matches!(log.append(0, payload(0)).await, Err(Error::Unavailable(_))));
    let next = open(dir.path(), &small()).unwrap();
    append(&next, 0, 0..1).await;
}

#[tokio::test]
async fn a_closed_log_can_be_held_without_being_opened() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Closed::lock(dir.path()).unwrap_err().to_string().contains("there is no log"));
    let log = open(dir.path(), &small()).unwrap();
    assert!(Closed::lock(dir.path()).unwrap().is_none(), "it is open");
    let topic = log.topic().await.unwrap();
    log.close().await;
    let held = Closed::lock(dir.path()).unwrap().unwrap();
    assert_eq!(*held.topic(), topic);
    assert!(open(dir.path(), &small()).unwrap_err().to_string().contains("open in another process"));
    drop(held);
    open(dir.path(), &small()).unwrap();
}

#[tokio::test]
async fn partitions_can_be_added_but_not_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    append(&log, 2, 0..200).await;
    let id = log.topic().await.unwrap().id;
    log.close().await;
    let refused = open(dir.path(), &Config { partitions: 2, ..small() }).unwrap_err();
    assert!(refused.to_string().contains("only more"), "{refused}");
    let more = Config { partitions: 5, ..small() };
    for round in 0..2 {
        let log = open(dir.path(), &more).unwrap();
        assert_eq!(log.topic().await.unwrap(), crate::Topic { id: id.clone(), partitions: 5 });
        append(&log, 4, 0..100).await;
        assert_eq!(all(&log, 2).await.len(), 200);
        assert_eq!(all(&log, 4).await.len(), 100 * (round + 1));
        log.close().await;
    }
}

#[tokio::test]
async fn trimming_gives_files_back_and_offsets_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    append(&log, 1, 0..10).await;
    append(&log, 0, 0..300).await;
    let before = segments(dir.path()).len();
    assert!(before > 3);
    log.trim(0, u64::MAX).await.unwrap();
    assert_eq!(segments(dir.path()).len(), before, "partition 1 still has something in the oldest file");
    log.trim(1, u64::MAX).await.unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
    // Whatever is left goes once the next segment is begun.
    append(&log, 2, 0..100).await;
    log.trim(2, 100).await.unwrap();
    let offsets = log.offsets(&[0, 1, 2]).await.unwrap();
    assert_eq!(offsets.iter().map(|offsets| offsets.latest).collect::<Vec<_>>(), [300, 10, 100]);
    assert_eq!(offsets[0].earliest, 300, "the oldest file that is left began after it");
    let below = log.read(0, 299, 300, 1 << 20).await;
    assert!(matches!(below, Err(Error::OffsetOutOfRange { earliest: 300, latest: 300, .. })), "{below:?}");
    log.close().await;

    let log = open(dir.path(), &small()).unwrap();
    assert_eq!(log.append(0, payload(0)).await.unwrap().offset, 300);
    assert_eq!(log.append(1, payload(0)).await.unwrap().offset, 10);
}

#[tokio::test]
async fn a_reader_keeps_its_place_while_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    append(&log, 0, 0..200).await;
    let mut behind = log.open(0, 0).await.unwrap();
    log.trim(0, 150).await.unwrap();
    append(&log, 0, 200..201).await;
    let refused = behind.fetch(1 << 20, Duration::ZERO).await.unwrap_err();
    let Error::OffsetOutOfRange { earliest, latest: 201, offset: 0, .. } = refused else { panic!("{refused}") };
    assert!(earliest > 0 && earliest <= 150);
    let mut there = log.open(0, 150).await.unwrap();
    assert_eq!(there.fetch(1 << 20, Duration::ZERO).await.unwrap().messages.len(), 51);
}

#[tokio::test]
async fn past_the_cap_appends_are_refused_until_something_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { max_bytes: 16 << 10, ..small() };
    let log = open(dir.path(), &config).unwrap();
    let mut appended = 0;
    let refused = loop {
        match log.append(0, payload(appended as usize)).await {
            Ok(at) => appended = at.offset + 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full(_)), "{refused}");
    assert!(log.used_bytes() <= config.max_bytes);
    assert!(appended > 100);
    assert_eq!(all(&log, 0).await.len() as u64, appended, "what was acknowledged stays");
    log.trim(0, appended).await.unwrap();
    for _ in 0..1_000 {
        let offset = log.append(0, payload(0)).await.unwrap().offset;
        assert_eq!(offset, appended);
        appended += 1;
        log.trim(0, appended).await.unwrap();
    }
    assert!(log.used_bytes() <= config.max_bytes);
}

#[tokio::test]
async fn the_reserve_of_the_disk_is_left_alone_and_it_heals() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Config { disk_reserve_bytes: None, ..small() }).unwrap();
    append(&log, 0, 0..5).await;
    let total = 100 << 20;
    log.shared.reserve.pretend((5 << 20) + 10, total);
    for refused in 1..=3 {
        let error = log.append(0, payload(99)).await.unwrap_err();
        assert!(matches!(&error, Error::NoSpace(why) if why.contains("broker.disk_reserve")), "{error}");
        assert_eq!(log.space().unwrap().refused, refused);
    }
    // What is there can be read and given back.
    assert_eq!(all(&log, 0).await.len(), 5);
    log.trim(0, 3).await.unwrap();
    assert_eq!(log.offsets(&[0]).await.unwrap()[0].latest, 5, "nothing of what was refused is there");
    log.shared.reserve.pretend(50 << 20, total);
    append(&log, 0, 5..10).await;
    let space = log.space().unwrap();
    assert_eq!((space.reserve_bytes, space.refused), (5 << 20, 3));
    // What is measured once is not lent twice: many small writes between two measurements count.
    log.shared.reserve.pretend((5 << 20) + 4_096, total);
    let mut taken = 0;
    while log.append(0, payload(0)).await.is_ok() {
        taken += 1;
        log.shared.reserve.pretend((5 << 20) + 4_096 - taken * 512, total);
    }
    assert!((1..=8).contains(&taken), "{taken}");
    log.close().await;
}

#[tokio::test]
async fn a_full_disk_is_said_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small()).unwrap();
    append(&log, 0, 0..5).await;
    log.shared.faults.add(Fault::Write, io::ErrorKind::StorageFull);
    let refused = log.append(0, payload(99)).await.unwrap_err();
    assert!(matches!(refused, Error::NoSpace(_)), "{refused}");
    assert_eq!(log.offsets(&[0]).await.unwrap()[0].latest, 5, "what was refused is not visible");
    append(&log, 0, 5..10).await;
    let again = open(snapshot(dir.path()).path(), &small()).unwrap();
    let payloads: Vec<_> = all(&again, 0).await.into_iter().map(|message| message.payload).collect();
    assert_eq!(payloads, (0..10).map(payload).collect::<Vec<_>>());
}

#[tokio::test]
async fn after_a_disk_that_fails_nothing_is_accepted_until_reopened() {
    for (fault, kind) in [
        (Fault::Write, io::ErrorKind::PermissionDenied),
        (Fault::Sync, io::ErrorKind::Other),
        (Fault::Sync, io::ErrorKind::StorageFull),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), &small()).unwrap();
        append(&log, 0, 0..5).await;
        log.shared.faults.add(fault, kind);
        for _ in 0..3 {
            let refused = log.append(0, payload(99)).await.unwrap_err();
            assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
        }
        assert_eq!(all(&log, 0).await.len(), 5);
        log.close().await;
        let log = open(dir.path(), &small()).unwrap();
        append(&log, 0, 5..10).await;
        assert_eq!(all(&log, 0).await.len(), 10);
    }
}

#[tokio::test]
async fn old_messages_come_from_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { partitions: 2, ..Config::default() };
    let log = open(dir.path(), &config).unwrap();
    // More than is kept in memory, in records larger than a stretch of the index, and small ones between them.
    for number in 0..40_u8 {
        log.append(0, Bytes::from(vec![number; 1_000_000])).await.unwrap();
        for _ in 0..5 {
            log.append(1, Bytes::from(vec![number; 100])).await.unwrap();
        }
    }
    for partition in 0..2 {
        let messages = all(&log, partition).await;
        assert_eq!(messages.len(), if partition == 0 { 40 } else { 200 });
        for (at, message) in messages.iter().enumerate() {
            let number = if partition == 0 { at } else { at / 5 };
            assert_eq!(message.offset, at as u64);
            assert!(message.payload.iter().all(|byte| usize::from(*byte) == number));
        }
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for config in [
        Config { partitions: 0, ..small() },
        Config { partitions: 1_025, ..small() },
        Config { segment_bytes: 1, ..small() },
        Config { segment_bytes: u64::MAX, ..small() },
        Config { max_bytes: 8_191, ..small() },
    ] {
        assert!(matches!(open(dir.path(), &config), Err(Error::Config(_))), "{config:?}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing was made");
}
