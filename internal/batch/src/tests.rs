use bytes::Bytes;
use loglake_model::{ErrorKind, Level, Service, TenantName, line};
use proptest::prelude::*;

use crate::Line;
use crate::{BatchBuilder, Error, Head, IdempotencyKey, LogBatch, MAX_BYTES, MAX_TRACE_ID_BYTES, Origin, SessionPart};

/// A record in the clear.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    service: Service,
    timestamp_ns: i64,
    level: Option<Level>,
    trace_id: String,
    line: Vec<u8>,
}

fn plain(service: &str, timestamp_ns: i64, level: Option<Level>, trace_id: &str, message: &str) -> Plain {
    let mut line = Vec::new();
    line::begin(&mut line, timestamp_ns, level, service);
    line::text_field(&mut line, "message", message);
    if !trace_id.is_empty() {
        line::text_field(&mut line, "trace_id", trace_id);
    }
    line.push(b'}');
    Plain { service: Service::parse(service).unwrap(), timestamp_ns, level, trace_id: trace_id.to_owned(), line }
}

fn session() -> Origin {
    Origin::Session(SessionPart {
        id: *b"0123456789abcdef",
        opened_at_ns: 1_700_000_000_000_000_000,
        partitions: 12,
        number: 7,
        oldest_unacknowledged: 5,
        part: 1,
        parts: 3,
    })
}

fn key() -> Origin {
    Origin::Key(IdempotencyKey { hash: [0xab; 32], first_seen_ns: 1, partitions: 4, part: 0, parts: 1 })
}

fn build(origin: Origin, records: &[Plain]) -> Bytes {
    let mut builder = BatchBuilder::new(&TenantName::parse("tenant-1").unwrap(), 1_700_000_000_000_000_001, origin);
    for record in records {
        assert!(builder.fits(&record.service, &record.trace_id, record.line.len()));
        builder.push(&record.service, record.timestamp_ns, record.level, &record.trace_id, &record.line).unwrap();
    }
    let (len, count) = (builder.encoded_len(), builder.records());
    let payload = builder.finish().unwrap();
    assert_eq!((payload.len(), count), (len, records.len()));
    payload
}

fn few() -> Vec<Plain> {
    vec![
        plain(
            "api",
            1_700_000_000_000_000_000,
            Some(Level::Error),
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "no \"luck\"\n",
        ),
        plain("größe", 0, None, "", "ß"),
        plain("api", i64::MAX - 1, Some(Level::Info), "t", ""),
    ]
}

/// The records of a message in its order, with checks of places and ranges on the way.
fn unpack(batch: &LogBatch) -> Vec<Plain> {
    let mut all = Vec::new();
    let mut lines_bytes = 0;
    for group in batch.groups() {
        assert_eq!(group.first_index() as usize, all.len());
        assert_eq!(group.records().len(), group.record_count() as usize);
        let times = || group.records().map(|record| record.timestamp_ns);
        assert_eq!(group.times_ns(), (times().min().unwrap(), times().max().unwrap()));
        let lines = group.records().map(|record| Line {
            index: record.index,
            timestamp_ns: record.timestamp_ns,
            range: record.line_range(),
        });
        assert!(group.lines().eq(lines), "the short way and the long one");
        for record in group.records() {
            assert_eq!(record.index as usize, all.len());
            let range = record.line_range();
            assert_eq!(&batch.payload()[range.start as usize..range.end as usize], record.line);
            lines_bytes += record.line.len();
            all.push(Plain {
                service: group.service().clone(),
                timestamp_ns: record.timestamp_ns,
                level: record.level,
                trace_id: record.trace_id.to_owned(),
                line: record.line.to_vec(),
            });
        }
    }
    assert_eq!(batch.record_count() as usize, all.len());
    assert_eq!(batch.lines_bytes(), lines_bytes);
    assert_eq!(batch.payload_len(), batch.payload().len());
    all
}

/// The order of a message: by service, services in the order of their first record.
fn grouped(records: &[Plain]) -> Vec<Plain> {
    let mut services: Vec<&Service> = Vec::new();
    for record in records {
        if !services.contains(&&record.service) {
            services.push(&record.service);
        }
    }
    services.iter().flat_map(|service| records.iter().filter(|record| record.service == **service).cloned()).collect()
}

fn corrupt_at(payload: Vec<u8>) -> (usize, &'static str) {
    match LogBatch::decode(Bytes::from(payload)) {
        Err(error @ Error::Corrupt { offset_bytes, what }) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            (offset_bytes, what)
        }
        other => panic!("expected Corrupt, got {other:?}"),
    }
}

/// Changes a message and gives it a right checksum again, as a writer with a fault would.
fn forge(payload: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = payload[..payload.len() - 4].to_vec();
    change(&mut body);
    let checksum = crc32c::crc32c(&body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n").collect()
}

#[test]
fn version_1_stays_as_it_is() {
    let golden = include_str!("../testdata/log-batch-v1.hex");
    let payload = build(session(), &few());
    assert_eq!(hex(&payload), golden);
    let digits: String = golden.split_whitespace().collect();
    let bytes: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    let batch = LogBatch::decode(Bytes::from(bytes)).unwrap();
    assert_eq!(batch.tenant().as_str(), "tenant-1");
    assert_eq!(batch.received_at_ns(), 1_700_000_000_000_000_001);
    assert_eq!(batch.origin(), &session());
    assert_eq!(unpack(&batch), grouped(&few()));
}

#[test]
fn every_origin_comes_back() {
    for origin in [Origin::None, session(), key()] {
        let batch = LogBatch::decode(build(origin.clone(), &few())).unwrap();
        assert_eq!(batch.origin(), &origin);
        assert_eq!(unpack(&batch), grouped(&few()));
    }
}

#[test]
fn the_part_can_be_said_last() {
    let record = &few()[0];
    for origin in [session(), key()] {
        let mut builder = BatchBuilder::new(&TenantName::parse("t").unwrap(), 0, origin);
        builder.push(&record.service, record.timestamp_ns, record.level, &record.trace_id, &record.line).unwrap();
        builder.set_part(4, 9);
        let batch = LogBatch::decode(builder.finish().unwrap()).unwrap();
        let (Origin::Session(SessionPart { part, parts, .. }) | Origin::Key(IdempotencyKey { part, parts, .. })) =
            batch.origin()
        else {
            panic!("no origin");
        };
        assert_eq!((*part, *parts), (4, 9));
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let payload = build(session(), &few());
    for bit in 0..payload.len() * 8 {
        let mut damaged = payload.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        corrupt_at(damaged);
    }
}

#[test]
fn every_truncation_and_every_addition_is_seen() {
    let payload = build(key(), &few());
    for len in 0..payload.len() {
        corrupt_at(payload[..len].to_vec());
    }
    corrupt_at([&payload, b"\0".as_slice()].concat());
    assert_eq!(corrupt_at(forge(&payload, |body| body.push(0))).1, "bytes follow the last group");
    assert_eq!(corrupt_at(vec![0; MAX_BYTES + 1]).1, "the message is too long");
}

#[test]
fn a_right_checksum_over_wrong_fields_is_not_believed() {
    let records = [plain("api", 5, Some(Level::Warn), "t", "hello")];
    let payload = build(Origin::None, &records);
    let group = 24 + "tenant-1".len();
    let record = group + 9 + "api".len();
    let line = record + 15 + 1;
    let cases: [(&str, usize, &[u8]); 17] = [
        ("it is not a message of records", 0, b"X"),
        ("its format version is not known", 4, &[2]),
        ("the kind of origin is not known", 5, &[3]),
        ("the tenant's name is not one", 24, b"/"),
        ("a reserved byte is not 0", 7, &[1]),
        ("the time of receipt is before 1970", 15, &[0xff]),
        ("the number of records differs", 16, &[2]),
        ("the message ends in the middle", 20, &[2]),
        ("a service's name is not one", group + 9, &[0]),
        ("a group has no records", group + 1, &[0]),
        ("a group's length differs from that of its records", group + 5, &[9]),
        ("a group is longer than the message", group + 8, &[0xff]),
        ("the level is not known", record + 8, &[7]),
        ("a trace id is too long", record + 10, &[0xff]),
        ("its line does not begin with its timestamp, level and service in canonical form", record, &[6]),
        ("its line does not begin with its timestamp, level and service in canonical form", record + 8, &[1]),
        ("its line has a line feed", line + 100, b"\n"),
    ];
    for (what, at, bytes) in cases {
        // The last case only needs a place inside the message's text.
        let at = if what == "its line has a line feed" { payload.len() - 8 } else { at };
        let forged = forge(&payload, |body| body[at..at + bytes.len()].copy_from_slice(bytes));
        assert_eq!(corrupt_at(forged).1, what);
    }
    let not_utf8 = forge(&payload, |body| *body.iter_mut().rev().nth(3).unwrap() = 0xff);
    assert_eq!(corrupt_at(not_utf8).1, "its line is not UTF-8");
    let open = forge(&payload, |body| *body.last_mut().unwrap() = b' ');
    assert_eq!(corrupt_at(open).1, "its line does not end as a canonical line does");
    let trace = forge(&payload, |body| body[record + 15] = 0xff);
    assert_eq!(corrupt_at(trace).1, "a trace id is not UTF-8");
    let twice = forge(&build(Origin::None, &[records[0].clone(), plain("apj", 5, None, "", "")]), |body| {
        let at = body.len() - plain("apj", 5, None, "", "").line.len() - 15 - 1;
        body[at] = b'i';
        let text = body.windows(3).rposition(|window| window == b"apj").unwrap();
        body[text + 2] = b'i';
    });
    assert_eq!(corrupt_at(twice).1, "a service has two groups");
    for (at, what) in [(16 + 8 + 4 + 8 + 8, 9_u8), (16 + 8, 0), (16 + 7, 0xff), (16 + 8 + 4 + 8, 99)] {
        let forged = forge(&build(session(), &records), |body| body[group + at] = what);
        assert_eq!(corrupt_at(forged).0, group);
    }
}

#[test]
fn what_readers_would_call_damage_is_not_written() {
    let good = plain("api", 5, Some(Level::Warn), "", "hello");
    let mut builder = BatchBuilder::new(&TenantName::parse("t").unwrap(), 0, Origin::None);
    let line = good.line.as_slice();
    let mut push = |timestamp_ns, level, trace_id: &str, line: &[u8]| {
        let error = builder.push(&good.service, timestamp_ns, level, trace_id, line).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert!(builder.is_empty());
    };
    push(6, good.level, "", line);
    push(-1, good.level, "", line);
    push(i64::MAX, good.level, "", line);
    push(5, None, "", line);
    push(5, good.level, &"x".repeat(MAX_TRACE_ID_BYTES + 1), line);
    push(5, good.level, "", &line[..line.len() - 1]);
    push(5, good.level, "", &[line, b"\n"].concat());
    push(5, good.level, "", &[&line[..line.len() - 2], b"\xff\"}"].concat());
    let empty = BatchBuilder::new(&TenantName::parse("t").unwrap(), 0, Origin::None);
    assert_eq!(empty.finish().unwrap_err().kind(), ErrorKind::Internal);
    for (received_at_ns, part) in [(-1, 0), (0, 3)] {
        let mut builder = BatchBuilder::new(&TenantName::parse("t").unwrap(), received_at_ns, session());
        builder.push(&good.service, good.timestamp_ns, good.level, "", &good.line).unwrap();
        builder.set_part(part, 3);
        assert_eq!(builder.finish().unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[test]
fn what_was_not_written_leaves_nothing_behind() {
    let record = plain("api", 5, Some(Level::Warn), "t", "hello");
    let service = Service::parse("web").unwrap();
    let mut builder = BatchBuilder::new(&TenantName::parse("t").unwrap(), 0, Origin::None);
    builder.push(&record.service, 5, record.level, "t", &record.line).unwrap();
    let before = builder.encoded_len();
    let long = "x".repeat(MAX_TRACE_ID_BYTES + 1);
    let head = |service, timestamp_ns, trace_id| Head { service, timestamp_ns, level: None, trace_id };
    for service in [&record.service, &service] {
        for (head, rest) in [
            (head(service, -1, ""), "\"}".to_owned()),
            (head(service, i64::MAX, ""), "\"}".to_owned()),
            (head(service, 1, &long), "\"}".to_owned()),
            (head(service, 1, ""), String::new()),
            (head(service, 1, ""), "}".to_owned()),
            (head(service, 1, ""), "a\nb\"}".to_owned()),
            (head(service, 1, ""), "x".repeat(512 * 1024) + "\"}"),
        ] {
            let error = builder.write(head, None, |out| out.extend_from_slice(rest.as_bytes())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        }
        let error = builder.write(head(service, 1, ""), Some(7), |out| out.extend_from_slice(b"\xff\"}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert_eq!((builder.encoded_len(), builder.records()), (before, 1));
    }
    assert_eq!(unpack(&LogBatch::decode(builder.finish().unwrap()).unwrap()), [record]);
}

#[test]
fn a_message_never_grows_past_its_limit_and_takes_any_single_record() {
    let mut builder = BatchBuilder::new(&TenantName::parse(&"t".repeat(64)).unwrap(), 0, session());
    let largest =
        plain(&"s".repeat(128), 5, Some(Level::Error), &"x".repeat(MAX_TRACE_ID_BYTES), &"y".repeat(512 * 1024));
    assert!(builder.fits(&largest.service, &largest.trace_id, largest.line.len()));
    let small = plain("api", 5, None, "", &"z".repeat(1000));
    let mut count = 0;
    while builder.fits(&small.service, &small.trace_id, small.line.len()) {
        builder.push(&small.service, small.timestamp_ns, small.level, &small.trace_id, &small.line).unwrap();
        count += 1;
    }
    let error = builder.push(&small.service, small.timestamp_ns, small.level, "", &small.line).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(builder.records(), count);
    assert!(!builder.fits(&small.service, "", usize::MAX));
    let payload = builder.finish().unwrap();
    assert!(payload.len() <= MAX_BYTES && payload.len() + small.line.len() + 15 > MAX_BYTES);
    assert_eq!(LogBatch::decode(payload).unwrap().record_count() as usize, count);
}

fn records() -> impl Strategy<Value = Vec<Plain>> {
    let service = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[a-zà-ÿ/ ]{1,12}"];
    let record = (service, 0..i64::MAX, 0_usize..7, "[ -~à-ÿ]{0,40}", any::<String>()).prop_map(
        |(service, ns, slot, trace_id, message)| plain(&service, ns, Level::from_slot(slot), &trace_id, &message),
    );
    proptest::collection::vec(record, 1..40)
}

proptest! {
    #[test]
    fn what_was_built_is_decoded(records in records(), kind in 0..3) {
        let origin = match kind { 0 => Origin::None, 1 => session(), _ => key() };
        let batch = LogBatch::decode(build(origin.clone(), &records)).unwrap();
        prop_assert_eq!(batch.origin(), &origin);
        prop_assert_eq!(unpack(&batch), grouped(&records));
    }

    #[test]
    fn a_line_written_in_place_is_the_line_pushed(records in records(), hints in proptest::collection::vec(0..4_usize, 40)) {
        let mut builder =
            BatchBuilder::new(&TenantName::parse("tenant-1").unwrap(), 1_700_000_000_000_000_001, Origin::None);
        for (record, hint) in records.iter().zip(hints) {
            let mut head = Vec::new();
            line::begin(&mut head, record.timestamp_ns, record.level, record.service.as_str());
            let rest = &record.line[head.len() + ",\"message\":\"".len()..];
            let (timestamp_ns, level) = (record.timestamp_ns, record.level);
            let head = Head { service: &record.service, timestamp_ns, level, trace_id: &record.trace_id };
            let written = builder.write(head, hint.checked_sub(1), |out| out.extend_from_slice(rest)).unwrap();
            prop_assert_eq!(written.line_bytes, record.line.len());
        }
        prop_assert_eq!(builder.finish().unwrap(), build(Origin::None, &records));
    }

    #[test]
    fn forged_bytes_never_panic(records in records(), at in any::<prop::sample::Index>(), with in any::<[u8; 4]>()) {
        let payload = build(session(), &records);
        let forged = forge(&payload, |body| {
            let at = at.index(body.len());
            for (slot, byte) in body[at..].iter_mut().zip(with) {
                *slot = byte;
            }
        });
        if let Ok(batch) = LogBatch::decode(Bytes::from(forged)) {
            unpack(&batch);
        }
    }

    #[test]
    fn random_bytes_are_no_message(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        corrupt_at(forge(&[b"LLB1\x01".as_slice(), &bytes].concat(), |_| {}));
    }
}
