//! No damaged byte makes another row.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use bytes::Bytes;
use common::{build, read, realistic};
use loglake_chunk::{Contents, Error, FORMAT_VERSION, Footer, Probe, Summary};

fn check(damaged: Vec<u8>, good: &[Vec<u8>], what: &str) {
    match read(&Bytes::from(damaged)) {
        Ok(rows) => assert_eq!(rows, good, "{what}: other rows"),
        Err(Error::Corrupt { .. }) => {}
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn every_flipped_byte_is_corrupt() {
    let (chunk, lines) = build(&[realistic(3, 0), realistic(2, 3)]);
    for at in 0..chunk.bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = chunk.bytes.to_vec();
            damaged[at] ^= flip;
            assert!(matches!(read(&damaged.into()), Err(Error::Corrupt { .. })), "byte {at} ^ {flip:#x}");
        }
    }
    assert_eq!(read(&chunk.bytes).unwrap(), lines);
}

#[test]
fn every_truncation_and_extension_is_corrupt() {
    let (chunk, lines) = build(&[realistic(3, 0), realistic(2, 3)]);
    for length in 0..chunk.bytes.len() {
        assert!(matches!(read(&chunk.bytes.slice(..length)), Err(Error::Corrupt { .. })), "cut to {length}");
        check(chunk.bytes[length..].to_vec(), &lines, &format!("cut before {length}"));
        check([&chunk.bytes[..length], &chunk.bytes[length + 1..]].concat(), &lines, &format!("without byte {length}"));
    }
    for extra in [&b"\0"[..], b"\n", &[0; 200], &chunk.bytes] {
        check([&chunk.bytes, extra].concat(), &lines, "longer");
    }
}

#[test]
fn the_directory_alone_is_read_off_the_end_whole_or_not_at_all() {
    let (chunk, _) = build(&[realistic(3, 0), realistic(2, 3)]);
    let (offset, length) = (chunk.footer_offset, chunk.bytes.len() as u64);
    let footer = Footer::of_chunk(&chunk.bytes).unwrap();
    let told = |contents: &Contents| {
        let of = (contents.head().clone(), contents.source().clone(), contents.blocks().to_vec());
        (of, *contents.totals(), contents.profile().clone())
    };
    let mut shortest = None;
    for cut in 0..=chunk.bytes.len() - Footer::LOCATOR_BYTES {
        let tail = &chunk.bytes[cut..];
        if let Some(contents) = Contents::parse(tail, offset, length).unwrap() {
            assert_eq!(told(&contents), told(footer.contents()));
            shortest = Some(cut);
        } else {
            assert!(cut as u64 > offset, "{cut}");
        }
    }
    let tail = &chunk.bytes[shortest.unwrap()..];
    for at in 0..tail.len() {
        let mut damaged = tail.to_vec();
        damaged[at] ^= 1;
        match Contents::parse(&damaged, offset, length) {
            // What says where other sections are is under the locator's checksum, too.
            Err(Error::Corrupt { .. }) => {}
            other => panic!("byte {at}: {other:?}"),
        }
    }
    for (offset, length) in [(offset + 1, length), (offset, length + 1), (offset, 5)] {
        assert!(matches!(Contents::parse(tail, offset, length), Err(Error::Corrupt { .. })), "{offset} {length}");
    }
    assert!(matches!(Contents::parse(&[], offset, length), Err(Error::Corrupt { .. })));
}

#[test]
fn the_summary_is_read_off_the_end_whole_or_not_at_all_and_the_rest_completes_it() {
    let (chunk, _) = build(&[realistic(3, 0), realistic(2, 3)]);
    let (offset, length) = (chunk.footer_offset, chunk.bytes.len() as u64);
    let footer = Footer::of_chunk(&chunk.bytes).unwrap();
    let mut shortest = None;
    for cut in 0..=chunk.bytes.len() - Footer::LOCATOR_BYTES {
        let Some(summary) = Summary::parse(&chunk.bytes[cut..], offset, length).unwrap() else {
            assert!(cut as u64 > offset, "{cut}");
            continue;
        };
        shortest = Some(cut);
        let range = summary.block_filters_range();
        assert_eq!((range.start, summary.contents().totals()), (offset, footer.totals()));
        let stored = &chunk.bytes[range.start as usize..range.end as usize];
        assert!(summary.block_filters(&stored[1..]).is_err() && summary.block_filters(&[]).is_err());
        let whole = Footer::new(summary.clone(), summary.block_filters(stored).unwrap());
        for needle in ["user 1", "user 4", "nowhere to be found", "GET /api"] {
            let probe = Probe::new(&[needle.as_bytes()], None);
            assert_eq!(summary.may_match(&probe), footer.may_match(&probe), "{needle}");
            for block in 0..2 {
                assert_eq!(whole.block_may_match(block, &probe), footer.block_may_match(block, &probe), "{needle}");
            }
        }
    }
    let shortest = shortest.unwrap();
    let range = Summary::parse(&chunk.bytes[shortest..], offset, length).unwrap().unwrap().block_filters_range();
    assert_eq!(shortest as u64, range.end, "no more than the chunk's filter, the directory and the locator is needed");
    for at in shortest..chunk.bytes.len() {
        let mut damaged = chunk.bytes[shortest..].to_vec();
        damaged[at - shortest] ^= 1;
        assert!(matches!(Summary::parse(&damaged, offset, length), Err(Error::Corrupt { .. })), "byte {at}");
    }
    let summary = Summary::parse(&chunk.bytes[shortest..], offset, length).unwrap().unwrap();
    // The same by its two parts.
    let contents = summary.contents().clone();
    let filter = contents.chunk_filter_range();
    let stored = &chunk.bytes[filter.start as usize..filter.end as usize];
    let of_parts = Summary::new(contents.clone(), stored).unwrap();
    for probe in [Probe::new(&[b"nowhere to be found"], None), Probe::new(&[], Some(b"no trace")), Probe::default()] {
        assert_eq!(of_parts.may_match(&probe), summary.may_match(&probe));
    }
    for at in 0..stored.len() {
        let mut damaged = stored.to_vec();
        damaged[at] ^= 1;
        assert!(matches!(Summary::new(contents.clone(), &damaged), Err(Error::Corrupt { .. })), "byte {at}");
    }
    assert!(matches!(Summary::new(contents, &stored[1..]), Err(Error::Corrupt { .. })));
    for at in range.start..range.end {
        let mut damaged = chunk.bytes[range.start as usize..range.end as usize].to_vec();
        damaged[(at - range.start) as usize] ^= 1;
        assert!(matches!(summary.block_filters(&damaged), Err(Error::Corrupt { .. })), "byte {at}");
    }
}

#[test]
fn two_chunks_joined_are_no_chunk() {
    let (first, _) = build(&[realistic(3, 0)]);
    let (second, _) = build(&[realistic(3, 3)]);
    let joined = Bytes::from([&first.bytes[..], &second.bytes].concat());
    assert!(matches!(read(&joined), Err(Error::Corrupt { .. })));
}

#[test]
fn a_footer_of_wrong_place_or_length_is_corrupt() {
    let (chunk, _) = build(&[realistic(3, 0)]);
    let (offset, length) = (chunk.footer_offset, chunk.bytes.len() as u64);
    let footer = chunk.bytes.slice(offset as usize..);
    assert!(Footer::parse(&footer, offset, length).is_ok());
    for (offset, length) in [
        (offset - 1, length),
        (offset, length + 1),
        (offset + 1, length + 1),
        (0, footer.len() as u64),
        (u64::MAX, length),
    ] {
        assert!(matches!(Footer::parse(&footer, offset, length), Err(Error::Corrupt { .. })), "{offset} {length}");
    }
    assert_eq!(Footer::offset_of(&chunk.bytes[chunk.bytes.len() - Footer::LOCATOR_BYTES..], length), Ok(offset));
}

/// Puts `change` into a payload under a right checksum: what a faulty writer could leave.
fn rewrite_locator(chunk: &[u8], change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut bytes = chunk.to_vec();
    let from = bytes.len() - Footer::LOCATOR_BYTES + 16;
    let payload = &mut bytes[from..from + 84];
    change(&mut payload[..80]);
    let checksum = crc32c::crc32c(&payload[..80]);
    payload[80..].copy_from_slice(&checksum.to_le_bytes());
    bytes.into()
}

#[test]
fn a_newer_version_is_refused_as_such_and_lies_are_corrupt() {
    let (chunk, lines) = build(&[realistic(3, 0), realistic(2, 3)]);
    assert_eq!(read(&rewrite_locator(&chunk.bytes, |_| {})).unwrap(), lines);
    let newer =
        rewrite_locator(&chunk.bytes, |payload| payload[8..10].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes()));
    assert_eq!(read(&newer).unwrap_err(), Error::Unsupported { version: FORMAT_VERSION + 1 });
    for at in (0..80).filter(|at| !(8..10).contains(at)) {
        for byte in [0x00, 0x01, 0x7f, 0xff] {
            let lie = rewrite_locator(&chunk.bytes, |payload| payload[at] = byte);
            check(lie.to_vec(), &lines, &format!("locator byte {at} = {byte}"));
        }
    }
}

/// Changes a byte of the members of section `at` (0 block filters, 1 chunk filter, 2 directory) and puts checksums right.
fn rewrite_section(chunk: &[u8], at: usize, byte: usize, value: u8) -> Option<Bytes> {
    let entry = chunk.len() - Footer::LOCATOR_BYTES + 16 + 20 + 20 * at;
    let offset = u64::from_le_bytes(chunk[entry..entry + 8].try_into().unwrap()) as usize;
    let stored = u32::from_le_bytes(chunk[entry + 8..entry + 12].try_into().unwrap()) as usize;
    let mut bytes = chunk.to_vec();
    *bytes[offset..offset + stored].get_mut(byte)? = value;
    let checksum = crc32c::crc32c(&bytes[offset..offset + stored]);
    Some(rewrite_locator(&bytes, |payload| {
        payload[20 + 20 * at + 16..20 + 20 * at + 20].copy_from_slice(&checksum.to_le_bytes())
    }))
}

#[test]
fn lies_under_right_checksums_never_panic_or_make_other_rows() {
    let (chunk, lines) = build(&[realistic(3, 0), realistic(2, 3)]);
    for section in 0..3 {
        for byte in 0.. {
            let mut within = false;
            for value in [0x00, 0x01, 0x10, 0x7f, 0xff] {
                if let Some(lie) = rewrite_section(&chunk.bytes, section, byte, value) {
                    check(lie.to_vec(), &lines, &format!("section {section} byte {byte} = {value}"));
                    within = true;
                }
            }
            if !within {
                assert!(byte > 30, "section {section} has members");
                break;
            }
        }
    }
}
