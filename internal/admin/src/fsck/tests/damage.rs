//! Damage of the bucket.

use bytes::Bytes;
use loglake_commit::Entry;
use loglake_model::{ChunkMeta, Service};
use loglake_store::ObjectStore as _;

use super::lake::{PARTITION, Small, T0, service, tenant};
use crate::{Code, Outcome, Severity};

#[tokio::test]
async fn a_whole_lake_is_clean() {
    let small = Small::new().await;
    let quarantine = small.quarantine(4, 30).await;
    let entry = Entry { quarantine: Some(quarantine), ..small.entry(31..40).await };
    small.commit(&entry).await;
    for is_deep in [false, true] {
        let report = small.check(is_deep, false).await;
        assert!(report.is_clean() && report.findings.is_empty(), "{report}");
        let totals = &report.totals;
        assert_eq!((totals.incarnations, totals.partitions, totals.entries, totals.chunks), (1, 1, 4, 4));
        assert_eq!((totals.records, totals.quarantine_objects, totals.quarantined_messages), (78, 1, 1));
        assert_eq!(report.not_checked, [""; 0]);
        assert!(report.to_string().ends_with("clean\n"), "{report}");
    }
}

#[tokio::test]
async fn an_empty_lake_is_clean() {
    let small = Small::new().await;
    for object in loglake_store::list_all(&*small.store, "").await.unwrap() {
        small.store.delete(&object.key).await.unwrap();
    }
    let lake = crate::Lake { index: None, ..small.lake.clone() };
    let report = crate::fsck(&lake, &crate::Options::default(), &crate::Quiet).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
}

#[tokio::test]
async fn a_missing_chunk_is_named_with_what_it_held() {
    let small = Small::new().await;
    let chunk = small.live(1).await;
    small.store.delete(&chunk.key).await.unwrap();
    assert_eq!(small.codes().await, [Code::ChunkMissing]);
    let report = small.check(false, true).await;
    let finding = &report.findings[0];
    assert_eq!((finding.partition, finding.subject.as_str()), (Some(PARTITION), chunk.key.as_str()));
    assert!(finding.what.contains("20 records") && finding.severity == Severity::Fault, "{finding:?}");
    assert!(!finding.can_repair && finding.outcome == Outcome::Stands && !report.is_clean());
    assert!(report.to_string().contains("FAULT  chunk-missing"), "{report}");
}

#[tokio::test]
async fn every_flipped_byte_of_a_chunk_is_found_by_reading_deep() {
    let small = Small::new().await;
    let chunk = small.live(0).await;
    for at in (0..chunk.length as usize).step_by(37).chain([chunk.length as usize - 1]) {
        small.alter(&chunk.key, |bytes| bytes[at] ^= 0x10).await;
        let found = small.check(true, false).await.findings;
        let codes: Vec<Code> = found.iter().map(|finding| finding.code).collect();
        // A version's number is under the locator's checksum too.
        assert!(codes == [Code::ChunkDamaged] || codes == [Code::Newer], "byte {at}: {found:?}");
        let is_footer = at as u64 >= chunk.footer_offset;
        assert_eq!(small.codes_of(false).await.len(), usize::from(is_footer), "byte {at}");
        small.alter(&chunk.key, |bytes| bytes[at] ^= 0x10).await;
    }
    assert_eq!(small.codes().await, []);
}

#[tokio::test]
async fn another_length_is_found() {
    let small = Small::new().await;
    let chunk = small.live(2).await;
    let whole = small.store.get(&chunk.key, 1 << 20).await.unwrap();
    for length in [0, 10, chunk.footer_offset as usize, whole.len() - 1] {
        small.alter(&chunk.key, |bytes| bytes.truncate(length)).await;
        assert_eq!(small.codes().await, [Code::ChunkLength], "{length}");
        small.alter(&chunk.key, |bytes| *bytes = whole.to_vec()).await;
    }
    small.alter(&chunk.key, |bytes| bytes.push(0)).await;
    assert_eq!(small.codes().await, [Code::ChunkLength], "longer");
}

#[tokio::test]
async fn a_chunk_that_is_another_than_the_chain_says_is_found() {
    type Change = fn(&mut ChunkMeta);
    let changes: [(&str, Change); 9] = [
        ("records", |chunk| chunk.records += 1),
        ("bytes", |chunk| chunk.bytes += 1),
        ("earliest", |chunk| chunk.min_ns -= 1),
        ("latest", |chunk| chunk.max_ns += 1),
        ("levels", |chunk| chunk.levels.swap(0, 1)),
        ("lowest", |chunk| chunk.lowest_offset += 1),
        ("service", |chunk| chunk.service = Service::parse("other").unwrap()),
        ("window", |chunk| chunk.window.length_ns *= 2),
        ("footer", |chunk| chunk.footer_offset = chunk.length + 1),
    ];
    for (name, change) in changes {
        let small = Small::new().await;
        // The last entry: no successor's hash tells of it first.
        small.alter_entry(3, |entry| change(&mut entry.adds[0])).await;
        let codes = small.codes().await;
        assert_eq!(codes, [Code::ChunkDiffers, Code::IndexDiffers], "{name}");
    }
}

#[tokio::test]
async fn lines_that_do_not_belong_into_a_chunk_are_found_by_reading_deep() {
    let small = Small::new().await;
    let mut entry = small.entry(30..40).await;
    small.store.delete(&entry.adds[0].key).await.unwrap();
    entry.adds = vec![small.chunk_of(4, 30..40, |_| true, &tenant(), &Service::parse("b").unwrap()).await];
    small.commit(&entry).await;
    assert_eq!(small.codes_of(false).await, []);
    assert_eq!(small.codes_of(true).await, [Code::WrongLine]);
    let report = small.check(true, false).await;
    assert!(report.findings[0].what.contains("20 line(s)") && report.findings[0].what.contains("another service"));
}

#[tokio::test]
async fn a_record_in_two_live_chunks_is_found_by_reading_deep() {
    let small = Small::new().await;
    let mut entry = small.entry(30..40).await;
    entry.adds.push(small.chunk(4, 30..40, |id| id.offset == 37).await);
    small.commit(&entry).await;
    assert_eq!(small.codes_of(false).await, []);
    let report = small.check(true, false).await;
    let finding = &report.findings[0];
    assert_eq!((report.findings.len(), finding.code), (1, Code::RecordTwice), "{report}");
    assert!(finding.what.contains("2 of its records") && finding.what.contains("0-1-37-0"), "{}", finding.what);
}

#[tokio::test]
async fn missing_entries_are_a_gap() {
    let small = Small::new().await;
    small.store.delete(&small.entry_key(2)).await.unwrap();
    let report = small.check(false, true).await;
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::EntryMissing, Code::Waiting], "its chunk is not named any more");
    assert_eq!(report.findings[0].subject, small.entry_key(2));
    assert_eq!(report.not_checked.len(), 1, "nothing to hold the index against");
    assert_eq!(report.findings[0].outcome, Outcome::Stands);

    // The last one leaves no gap: the index knows of it.
    let small = Small::new().await;
    small.store.delete(&small.entry_key(3)).await.unwrap();
    assert_eq!(small.codes().await, [Code::IndexAhead, Code::Waiting]);
}

#[tokio::test]
async fn entries_that_cannot_be_read_are_named() {
    let flip = |bytes: &mut Vec<u8>| {
        // A digit of an offset: it stays JSON of an entry.
        let next = b"\"next\":";
        let at = bytes.windows(next.len()).position(|window| window == next).unwrap() + next.len();
        bytes[at] ^= 1;
    };
    for damage in [|bytes: &mut Vec<u8>| bytes.truncate(10), |bytes: &mut Vec<u8>| bytes[0] = b'x', flip] {
        let small = Small::new().await;
        small.alter(&small.entry_key(2), damage).await;
        assert_eq!(small.codes().await, [Code::EntryUnreadable, Code::Waiting]);
    }
    let small = Small::new().await;
    small.alter_entry(2, |entry| entry.version += 1).await;
    assert_eq!(small.codes().await, [Code::Newer, Code::Waiting]);
}

#[tokio::test]
async fn altered_entries_do_not_fit_their_successors() {
    let small = Small::new().await;
    small.alter_entry(2, |entry| entry.writer = "somebody".to_owned()).await;
    assert_eq!(small.codes().await, [Code::WrongPreviousHash]);
    assert_eq!(small.check(false, false).await.findings[0].subject, small.entry_key(3));

    let small = Small::new().await;
    small.alter_entry(3, |entry| entry.previous_hash = "00".repeat(32)).await;
    assert_eq!(small.codes().await, [Code::WrongPreviousHash]);

    let small = Small::new().await;
    small.alter_entry(3, |entry| (entry.start, entry.next) = (21, 30)).await;
    assert_eq!(small.codes().await, [Code::OffsetGap, Code::BadChange], "its chunk begins at 20");
    let small = Small::new().await;
    small.alter_entry(3, |entry| entry.start = 19).await;
    assert_eq!(small.codes().await, [Code::OffsetOverlap]);
}

#[tokio::test]
async fn changes_that_make_no_sense_are_found() {
    let small = Small::new().await;
    let live = small.live(0).await;
    small.alter_entry(3, |entry| entry.adds.push(live.clone())).await;
    // Twice in one chain, with offsets that are not the entry's.
    assert_eq!(small.codes().await, [Code::BadChange, Code::BadChange]);
    let small = Small::new().await;
    let none = ChunkMeta { key: "data/none".to_owned(), ..live };
    small.alter_entry(3, |entry| entry.removes.push(none)).await;
    assert_eq!(small.codes().await, [Code::BadChange]);
}

#[tokio::test]
async fn a_folded_chain_is_checked_from_its_checkpoint() {
    let small = Small::new().await;
    small.fold().await;
    assert_eq!(small.codes().await, []);
    small.flush(30..40).await;
    let report = small.check(true, false).await;
    assert!(report.findings.is_empty(), "{report}");
    assert_eq!((report.totals.entries, report.totals.chunks), (1, 4));

    let survey = small.chain().survey().await.unwrap();
    let segment = small.store.get(&survey.segments[0], 1 << 20).await.unwrap();
    small.alter(&survey.segments[0], |bytes| bytes[20] ^= 1).await;
    assert_eq!(small.codes().await, [Code::SegmentUnreadable, Code::Waiting]);
    small.store.delete(&survey.segments[0]).await.unwrap();
    assert_eq!(small.codes().await, [Code::SegmentMissing, Code::Waiting]);
    small.store.put(&survey.segments[0], segment).await.unwrap();
    assert_eq!(small.codes().await, []);
    let checkpoint = format!("{}checkpoint-{:020}.json", small.chain().folder(), survey.checkpoints[0]);
    small.alter(&checkpoint, |bytes| bytes.truncate(9)).await;
    assert_eq!(small.codes().await, [Code::CheckpointUnreadable, Code::Waiting]);
}

#[tokio::test]
async fn data_that_nobody_names_waits_until_nobody_can_name_it() {
    let small = Small::new().await;
    let orphan = small.chunk(4, 30..40, |_| true).await;
    assert_eq!(small.codes().await, [Code::Waiting]);
    let report = small.check(false, false).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.findings[0].subject.as_str(), report.notes), (orphan.key.as_str(), 1));
    assert!(report.findings[0].what.contains(&format!("1 object(s) of {} bytes", orphan.length)));

    // One of another life of the topic, one whose chain is far past it, and one that is no chunk.
    small.store.put("data/tenant=t/service=s/README", Bytes::new()).await.unwrap();
    assert_eq!(small.codes().await, [Code::Waiting, Code::Stranger]);
    let mut tail = small.chain().read().await.unwrap().tail;
    for seq in 4..1_006 {
        let entry = Entry {
            seq,
            start: 30,
            next: 30,
            adds: vec![],
            sessions: vec![],
            previous_hash: tail.hash,
            ..small.blank()
        };
        let bytes = entry.encode().unwrap();
        tail.hash = Entry::hash(&bytes);
        small.store.put(&small.entry_key(seq), bytes.into()).await.unwrap();
    }
    crate::reindex_partition(&small.chain(), &*small.index).await.unwrap();
    assert_eq!(small.codes_of(false).await, [Code::LeftOver, Code::Stranger]);
    assert!(small.check(false, false).await.is_clean());
}

#[tokio::test]
async fn another_clusters_chunks_are_not_called_orphans() {
    let small = Small::new().await;
    small.chunk(4, 30..40, |_| true).await;
    small.store.put("commits/other/incarnations/0.json", Bytes::new()).await.unwrap();
    let report = small.check(false, false).await;
    assert!(report.findings.is_empty() && report.not_checked[0].contains("other"), "{report}");
}

#[tokio::test]
async fn quarantine_objects_must_be_there_and_whole() {
    let small = Small::new().await;
    let object = small.quarantine(4, 30).await;
    assert_eq!(small.codes().await, [Code::Waiting], "named by nobody yet");
    let entry = Entry { quarantine: Some(object.clone()), ..small.entry(31..40).await };
    small.commit(&entry).await;
    assert_eq!(small.codes().await, []);
    small.alter(&object.key, |bytes| bytes[3] ^= 1).await;
    assert_eq!(small.codes().await, [Code::QuarantineDamaged]);
    small.store.delete(&object.key).await.unwrap();
    assert_eq!(small.codes().await, [Code::QuarantineMissing]);
}

#[tokio::test]
async fn lives_of_the_topic_must_be_written_down() {
    let small = Small::new().await;
    let key = "commits/default/incarnations/0.json";
    small.alter(key, |bytes| bytes.truncate(4)).await;
    assert_eq!(small.codes().await, [Code::LifeUnreadable, Code::LifeMissing]);
    small.store.delete(key).await.unwrap();
    assert_eq!(small.codes().await, [Code::LifeMissing]);
    let clock = loglake_model::ManualClock::at(T0);
    loglake_commit::incarnation(&*small.store, "default", "topic", 2, &clock, false).await.unwrap();
    let body = small.store.get(key, 1_000).await.unwrap();
    small.store.put("commits/default/incarnations/1.json", body).await.unwrap();
    assert_eq!(small.codes().await, [Code::LifeTwice]);
}

#[tokio::test]
async fn half_written_files_are_removed_only_when_told_to() {
    let small = Small::in_folder().await;
    let folder = small.close();
    let root = folder.path().join("objects");
    let left = root.join(".tmp/left");
    std::fs::write(&left, b"half").unwrap();
    // As another process finds it, after the one that wrote it ended.
    let objects = loglake_store::FolderStore::inspect(root).unwrap();
    let lake = crate::Lake {
        store: std::sync::Arc::new(objects.clone()),
        cluster: "default".to_owned(),
        index: None,
        folder: Some(objects),
        not_checked: Vec::new(),
    };
    let mut options = crate::Options { second_look: std::time::Duration::ZERO, ..crate::Options::default() };
    let report = crate::fsck(&lake, &options, &crate::Quiet).await.unwrap();
    assert!(report.is_clean() && report.findings[0].code == Code::StaleFiles && left.exists(), "{report}");
    options.repair = true;
    let report = crate::fsck(&lake, &options, &crate::Quiet).await.unwrap();
    assert!(report.findings[0].outcome == Outcome::Mended && !left.exists(), "{report}");
}

#[tokio::test]
async fn a_chain_that_moves_under_the_check_is_no_finding() {
    let small = std::sync::Arc::new(Small::new().await);
    let writer = {
        let small = std::sync::Arc::clone(&small);
        tokio::spawn(async move {
            for flush in 3..40 {
                small.flush(flush * 10..flush * 10 + 10).await;
                tokio::task::yield_now().await;
            }
        })
    };
    let mut checks = 0;
    while !writer.is_finished() || checks < 3 {
        let report = small.check(checks % 2 == 0, false).await;
        let faults: Vec<_> = report.findings.iter().filter(|finding| finding.is_standing_fault()).collect();
        assert!(faults.is_empty(), "{faults:?}");
        checks += 1;
    }
    writer.await.unwrap();
    assert_eq!(small.codes().await, []);
    assert_eq!(small.live(39).await.service, service());
}
