use std::fs;

use super::*;
use crate::embedded::format::{
    Flaw, GroupHeader, RecordHeader, SegmentHeader, Start, TopicFile, begin_group, finish_group, push_record,
};
use crate::embedded::recover;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(16).map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n").collect()
}

const TOPIC: &str = include_str!("testdata/v1-topic.hex");
const SEGMENT: &str = include_str!("testdata/v1-segment.hex");

/// Makes the log of the golden files: two partitions, a group of two records, an empty one.
fn golden() -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { partitions: 2, ..small() };
    let id = *b"sixteen bytes ID";
    let topic = recover::create(dir.path(), &config, 1_700_000_000_000_000_000, id, *b"the mark").unwrap();
    assert_eq!(topic.id_text(), "7369787465656e206279746573204944");
    let mut segment = fs::read(&segments(dir.path())[0]).unwrap();
    let mark = SegmentHeader::decode(&segment).unwrap().mark;
    let mut group = Vec::new();
    begin_group(&mut group);
    push_record(&mut group, 0, 0, 1_700_000_000_000_000_001, b"first");
    push_record(&mut group, 1, 0, 1_700_000_000_000_000_001, b"");
    finish_group(&mut group, mark, 1, 2);
    segment.extend_from_slice(&group);
    group.clear();
    begin_group(&mut group);
    finish_group(&mut group, mark, 2, 0);
    segment.extend_from_slice(&group);
    (fs::read(dir.path().join("topic")).unwrap(), segment)
}

#[test]
fn version_1_is_written_as_ever() {
    let (topic, segment) = golden();
    assert_eq!(hex(&topic), TOPIC, "the topic file:\n{}", hex(&topic));
    assert_eq!(hex(&segment), SEGMENT, "the segment:\n{}", hex(&segment));
}

#[tokio::test]
async fn version_1_is_read_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("topic"), unhex(TOPIC)).unwrap();
    fs::write(dir.path().join("00000000000000000001.log"), unhex(SEGMENT)).unwrap();
    let log = open(dir.path(), &Config { partitions: 2, ..small() }).unwrap();
    assert_eq!(log.topic().await.unwrap().id, "7369787465656e206279746573204944");
    let first = all(&log, 0).await;
    assert_eq!(
        (first[0].offset, first[0].append_time_ns, &first[0].payload[..]),
        (0, 1_700_000_000_000_000_001, &b"first"[..])
    );
    assert_eq!(all(&log, 1).await.len(), 1);
    assert_eq!(log.append(0, payload(1)).await.unwrap().offset, 1);
}

#[test]
fn a_newer_version_is_refused_by_name() {
    for name in ["topic", "00000000000000000001.log"] {
        let dir = tempfile::tempdir().unwrap();
        let (topic, segment) = golden();
        fs::write(dir.path().join("topic"), topic).unwrap();
        fs::write(dir.path().join("00000000000000000001.log"), segment).unwrap();
        let mut bytes = fs::read(dir.path().join(name)).unwrap();
        bytes[8] = 2;
        fs::write(dir.path().join(name), bytes).unwrap();
        let refused = open(dir.path(), &small()).unwrap_err();
        assert!(matches!(refused, Error::Config(_)) && refused.to_string().contains("version 2"), "{refused}");
    }
}

proptest::proptest! {
    #[test]
    fn headers_come_back(sequence: u64, first_group: u64, numbers in proptest::collection::vec((0_u64.., 0_i64..), 1..20)) {
        let starts: Vec<_> = numbers.iter().map(|(next, last_time_ns)| Start { next: *next, last_time_ns: *last_time_ns }).collect();
        let header = SegmentHeader { sequence, topic: [7; 16], mark: [0x80; 8], first_group, starts };
        let bytes = header.encode();
        proptest::prop_assert_eq!(bytes.len(), header.bytes());
        proptest::prop_assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        let topic = TopicFile { id: [3; 16], partitions: 9, made_at_ns: 4 };
        proptest::prop_assert_eq!(TopicFile::decode(&topic.encode()), Ok(topic));
    }

    #[test]
    fn decoders_take_any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = TopicFile::decode(&bytes);
        let _ = SegmentHeader::decode(&bytes);
        let _ = GroupHeader::decode(&bytes, [1; 8]);
        if let Ok(record) = RecordHeader::decode(&bytes) {
            let _ = record.payload(&Bytes::from(bytes.clone()), 0);
        }
        let damaged = TopicFile::decode(&[b"LLTOPIC\n".as_slice(), &bytes].concat());
        proptest::prop_assert!(matches!(damaged, Err(Flaw::Damaged(_) | Flaw::Newer(_) | Flaw::Impossible(_))));
    }
}
