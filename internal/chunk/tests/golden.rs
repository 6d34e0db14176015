//! The golden chunk of version 1: it is read for ever, and written the same as long as the compressor does not change.

mod common;

use bytes::Bytes;
use common::{build, head, read, realistic, source};
use loglake_chunk::{Footer, Probe};

const GOLDEN: &[u8] = include_bytes!("../testdata/chunk-v1.ndjson.gz");
const LINES: &str = include_str!("../testdata/chunk-v1.ndjson");

#[test]
fn the_golden_chunk_is_read() {
    let chunk = Bytes::from_static(GOLDEN);
    let lines = read(&chunk).unwrap();
    assert_eq!(String::from_utf8(lines.concat()).unwrap(), LINES);
    let footer = Footer::of_chunk(&chunk).unwrap();
    assert_eq!((footer.head(), footer.source()), (&head(), &source()));
    assert_eq!(footer.blocks().iter().map(|row| row.records).collect::<Vec<_>>(), [60, 40, 20]);
    assert_eq!(footer.totals().levels.iter().sum::<u64>(), 120);
    for (at, row) in realistic(120, 0).iter().enumerate() {
        let block = [0, 60, 100].iter().filter(|first| **first <= at).count() - 1;
        let probe = Probe::new(&[row.message.as_bytes()], row.trace_id.as_ref().map(String::as_bytes));
        assert!(footer.may_match(&probe) && footer.block_may_match(block, &probe));
    }
    assert!(!footer.may_match(&Probe::new(&[b"nowhere to be found"], None)));
    assert!(!footer.may_match(&Probe::new(&[], Some(b"0af7651916cd43dd8448eb211c80319c"))));
}

#[test]
fn the_golden_chunk_is_written_again_byte_for_byte() {
    let (chunk, lines) = build(&[realistic(60, 0), realistic(40, 60), realistic(20, 100)]);
    if std::env::var_os("LOGLAKE_TEST_WRITE_GOLDEN").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
        std::fs::write(format!("{folder}/chunk-v1.ndjson.gz"), &chunk.bytes).unwrap();
        std::fs::write(format!("{folder}/chunk-v1.ndjson"), lines.concat()).unwrap();
    }
    assert_eq!(
        &chunk.bytes[..],
        GOLDEN,
        "the format or the compressor changed: a new format needs a new version and golden file"
    );
}
