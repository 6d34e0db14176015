//! The format against a naive model.

mod common;

use std::collections::BTreeMap;
use std::io::Read;

use common::{Row, START_NS, build, head, read, realistic, source, window};
use loglake_chunk::{
    ChunkBuilder, Error, Footer, Libdeflate, Probe, Source, decode_block, encode_block, encode_block_with,
};
use loglake_model::{Level, LevelCounts, Window};
use proptest::prelude::*;

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        ".{0,24}".prop_map(serde_json::Value::from),
        "[a-eA-E \"\\\\\n]{0,24}".prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    let tree = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    });
    proptest::collection::vec((".{0,8}", tree), 0..4)
        .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()))
}

fn row() -> impl Strategy<Value = Row> {
    let message =
        prop_oneof![".{0,40}", "[a-cA-C \"\\\\\u{1}é]{0,40}", "(GET|PUT) /items/[0-9]{1,9} took [0-9]{1,4}ms"];
    let trace = proptest::option::of(prop_oneof!["[0-9a-f]{32}", ".{0,12}", "[ab\"]{1,3}"]);
    (0..Window::HOUR_NS, 0_usize..7, message, trace, proptest::option::of(json())).prop_map(
        |(since, slot, message, trace_id, attributes)| Row {
            at_ns: START_NS + since,
            level: Level::from_slot(slot),
            message,
            trace_id,
            attributes,
        },
    )
}

fn blocks() -> impl Strategy<Value = Vec<Vec<Row>>> {
    proptest::collection::vec(proptest::collection::vec(row(), 1..12), 1..5).prop_map(|mut blocks| {
        blocks.iter_mut().for_each(|rows| rows.sort_by_key(|row| row.at_ns));
        blocks
    })
}

/// Some needles that occur in `value`, in another case.
fn needles(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut out = vec![bytes.to_ascii_uppercase()];
    for (from, length) in [(0, 5), (1, 6), (3, 9), (bytes.len() / 2, 5), (bytes.len().saturating_sub(5), 5)] {
        if let Some(part) = bytes.get(from..from + length) {
            out.push(part.to_ascii_lowercase());
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lines_come_back_and_nothing_that_occurs_is_pruned(blocks in blocks()) {
        let (chunk, lines) = build(&blocks);
        prop_assert_eq!(&read(&chunk.bytes).unwrap(), &lines);
        prop_assert_eq!(crc32c::crc32c(&chunk.bytes), chunk.checksum);

        let mut plain = Vec::new();
        #[allow(clippy::disallowed_methods, reason = "test: a small chunk of our own")]
        flate2::read::MultiGzDecoder::new(&chunk.bytes[..]).read_to_end(&mut plain).unwrap();
        prop_assert_eq!(plain, lines.concat());

        let footer = Footer::parse(&chunk.bytes[chunk.footer_offset as usize..], chunk.footer_offset, chunk.bytes.len() as u64).unwrap();
        for (at, rows) in blocks.iter().enumerate() {
            for row in rows {
                let values = row.values();
                let all: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
                let whole = Probe::new(&all, row.trace_id.as_ref().map(String::as_bytes));
                prop_assert!(footer.may_match(&whole) && footer.block_may_match(at, &whole));
                for needle in values.iter().flat_map(|value| needles(value)) {
                    let probe = Probe::new(&[&needle], None);
                    prop_assert!(footer.may_match(&probe) && footer.block_may_match(at, &probe), "{:?}", String::from_utf8_lossy(&needle));
                    // As one of several, whatever the others are.
                    let choices = [vec![b"quite another text".to_vec(), needle.clone()], vec![needle]];
                    let probe = Probe::new(&[], None).and_any_of(&choices);
                    prop_assert!(footer.may_match(&probe) && footer.block_may_match(at, &probe));
                }
            }
        }
    }

    #[test]
    fn counts_equal_those_of_a_scan(blocks in blocks()) {
        let (chunk, lines) = build(&blocks);
        let footer = Footer::of_chunk(&chunk.bytes).unwrap();
        let rows: Vec<&Row> = blocks.iter().flatten().collect();
        let mut profile: BTreeMap<i64, LevelCounts> = BTreeMap::new();
        for row in &rows {
            let minute = row.at_ns - row.at_ns % 60_000_000_000;
            profile.entry(minute).or_default()[Level::slot(row.level)] += 1;
        }
        let found: BTreeMap<i64, LevelCounts> = footer.profile().steps().map(|(start, counts)| (start, *counts)).collect();
        prop_assert_eq!(found, profile);

        let meta = chunk.meta("k".to_owned(), &head(), 3, 4);
        prop_assert_eq!(meta.records, rows.len() as u64);
        prop_assert_eq!(meta.bytes, lines.concat().len() as u64);
        prop_assert_eq!(Some(meta.min_ns), rows.iter().map(|row| row.at_ns).min());
        prop_assert_eq!(Some(meta.max_ns), rows.iter().map(|row| row.at_ns).max());
        prop_assert_eq!((footer.totals().records, footer.totals().levels), (meta.records, meta.levels));
        prop_assert_eq!((meta.length, meta.footer_offset), (chunk.bytes.len() as u64, chunk.footer_offset));
        for (block, rows) in footer.blocks().iter().zip(&blocks) {
            let mut levels = [0_u32; 7];
            rows.iter().for_each(|row| levels[Level::slot(row.level)] += 1);
            prop_assert_eq!(block.levels, levels);
            prop_assert_eq!((block.min_ns, block.max_ns), (rows[0].at_ns, rows[rows.len() - 1].at_ns));
        }
        prop_assert_eq!(footer.head(), &head());
        prop_assert_eq!(footer.source(), &source());
    }

    #[test]
    fn any_bytes_as_a_block_or_footer_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(encode_block(&bytes, window()).is_err());
        prop_assert!(Footer::of_chunk(&bytes).is_err());
        prop_assert!(Footer::parse(&bytes, 1_000, 1_000 + bytes.len() as u64).is_err());
    }

    #[test]
    fn a_damaged_line_is_an_error_or_another_line_and_no_panic(row in row(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = row.line(0);
        let at = at.index(line.len());
        line[at] = byte;
        if let Ok(block) = encode_block(&line, window()) {
            let mut builder = ChunkBuilder::new(head(), source());
            builder.push(block);
            prop_assert_eq!(read(&builder.finish().unwrap().bytes).unwrap(), vec![line]);
        }
    }
}

/// A chunk of `records` realistic records in blocks of about a mebibyte.
fn large(records: u64) -> (Vec<Vec<Row>>, loglake_chunk::FinishedChunk) {
    let mut rows = realistic(records, 0);
    rows.sort_by_key(|row| row.at_ns);
    let blocks: Vec<Vec<Row>> = rows.chunks(3_000).map(<[Row]>::to_vec).collect();
    let (chunk, _) = build(&blocks);
    (blocks, chunk)
}

#[test]
fn filters_are_small_and_seldom_wrong() {
    let (blocks, chunk) = large(30_000);
    let footer = Footer::of_chunk(&chunk.bytes).unwrap();
    assert!(footer.blocks().len() >= 10);
    let share = (chunk.bytes.len() as u64 - chunk.footer_offset) as f64 / chunk.footer_offset as f64;
    assert!(share < 0.16, "the footer takes {:.1} % of the blocks", share * 100.0);

    let (mut absent, mut wrong, mut wrong_chunk) = (0, 0, 0);
    for n in 0..2_000_u64 {
        let stranger = format!("{:016x}", n.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let probe = Probe::new(&[stranger.as_bytes()], None);
        wrong_chunk += usize::from(footer.may_match(&probe));
        for block in 0..footer.blocks().len() {
            absent += 1;
            wrong += usize::from(footer.block_may_match(block, &probe));
        }
    }
    assert!(wrong * 50 < absent, "{wrong} of {absent} absent texts are not pruned");
    assert!(wrong_chunk < 100, "{wrong_chunk} of 2000 absent texts are not pruned by the chunk filter");

    let (mut absent, mut wrong) = (0, 0);
    for n in 0..2_000 {
        let probe = Probe::new(&[], Some(format!("stranger-{n}").as_bytes()));
        for block in 0..footer.blocks().len() {
            absent += 1;
            wrong += usize::from(footer.block_may_match(block, &probe));
        }
    }
    assert!(wrong * 100 < absent, "{wrong} of {absent} absent traces are not pruned");

    // Every block's own rare values lead to few other blocks.
    let needle = blocks[4].iter().find(|row| row.message.contains("blk_")).unwrap();
    let probe = Probe::new(&[needle.message.split(' ').nth(2).unwrap().as_bytes()], None);
    let hits: Vec<usize> = (0..footer.blocks().len()).filter(|block| footer.block_may_match(*block, &probe)).collect();
    assert!(hits.contains(&4) && hits.len() <= 3, "{hits:?}");
}

#[test]
fn no_member_of_a_large_footer_has_a_long_extra_field() {
    let (_, chunk) = large(30_000);
    let mut rest = &chunk.bytes[chunk.footer_offset as usize..];
    let mut members = 0;
    while !rest.is_empty() {
        assert_eq!(rest[..4], [0x1f, 0x8b, 8, 4]);
        let extra = u16::from_le_bytes([rest[10], rest[11]]);
        assert!(extra <= 32_000, "{extra}");
        rest = &rest[12 + usize::from(extra) + 10..];
        members += 1;
    }
    assert!(members > 4, "{members}");
}

#[test]
fn values_that_are_left_out_are_pruned_and_short_needles_are_not() {
    let (chunk, _) = build(&[realistic(40, 0)]);
    let footer = Footer::of_chunk(&chunk.bytes).unwrap();
    for absent in ["only in tags", "b7ad6b7169203331", "request.id", "2023-11-14"] {
        assert!(!footer.may_match(&Probe::new(&[absent.as_bytes()], None)), "{absent}");
    }
    for short in ["", "z", "zzzz"] {
        assert!(Probe::new(&[short.as_bytes()], None).is_empty());
        assert!(footer.may_match(&Probe::new(&[short.as_bytes()], None)));
    }
    assert!(
        footer.may_match(&Probe::new(&["C:\\users\\U".as_bytes(), b"\tfrom "], None)),
        "escaped in the line, plain in the needle"
    );
    assert!(!footer.may_match(&Probe::new(&[b"Connection", b"disconnection"], None)), "all needles must occur");
    let one_of = |texts: &[&str]| {
        Probe::new(&[], None).and_any_of(&[texts.iter().map(|text| text.as_bytes().to_vec()).collect()])
    };
    assert!(!footer.may_match(&one_of(&["only in tags", "b7ad6b7169203331"])), "none of them occurs");
    assert!(!footer.may_match(&one_of(&["disconnection"])));
    assert!(footer.may_match(&one_of(&["only in tags", "C:\\users\\U"])), "one is enough");
    assert!(footer.may_match(&one_of(&["only in tags", "zzzz"])) && one_of(&[]).is_empty(), "short ones may occur");
    assert!(
        footer.block_may_match(99, &Probe::new(&[b"disconnection"], None)),
        "of a block that is not there nothing is known"
    );
}

#[test]
fn a_very_long_needle_is_tested_by_its_beginning() {
    let message = "abcdefghij ".repeat(20_000);
    let row = Row { at_ns: START_NS, level: None, message: message.clone(), trace_id: None, attributes: None };
    let (chunk, _) = build(&[vec![row]]);
    let footer = Footer::of_chunk(&chunk.bytes).unwrap();
    assert!(footer.may_match(&Probe::new(&[message.as_bytes()], None)));
    assert!(!footer.may_match(&Probe::new(&[format!("quite another beginning {message}").as_bytes()], None)));
}

#[test]
fn lines_that_break_the_contract_are_refused_with_their_place() {
    let rows = realistic(2, 0);
    let (first, second) = (rows[0].line(0), rows[1].line(1));
    let swapped = [second.clone(), first.clone()].concat();
    assert_eq!(
        encode_block(&swapped, window()).unwrap_err(),
        Error::Line { at: second.len(), what: "is earlier than the one before it" }
    );
    let mut late = rows[0].clone();
    late.at_ns += Window::HOUR_NS;
    assert_eq!(
        encode_block(&late.line(0), window()).unwrap_err(),
        Error::Line { at: 0, what: "lies outside the window" }
    );
    assert_eq!(
        encode_block(&first[..first.len() - 1], window()).unwrap_err(),
        Error::Line { at: 0, what: "does not end with a line feed" }
    );
    assert_eq!(encode_block(b"", window()).unwrap_err(), Error::Empty);
    assert_eq!(encode_block(&first, Window { start_ns: 1, length_ns: Window::HOUR_NS }).unwrap_err(), Error::Window);
    assert!(matches!(
        encode_block(&vec![b' '; loglake_chunk::MAX_RAW_BLOCK_BYTES + 1], window()),
        Err(Error::TooLarge { .. })
    ));
}

#[test]
fn chunks_that_break_the_contract_are_not_finished() {
    assert_eq!(ChunkBuilder::new(head(), source()).finish().unwrap_err(), Error::Empty);
    let day = Window { start_ns: START_NS - START_NS % (24 * Window::HOUR_NS), length_ns: 24 * Window::HOUR_NS };
    let mut builder = ChunkBuilder::new(head(), source());
    builder.push(encode_block(&realistic(1, 0)[0].line(0), day).unwrap());
    assert_eq!(builder.finish().unwrap_err(), Error::Window);
    let job = Source::Job { inputs: vec!["k".repeat(loglake_chunk::MAX_INPUT_BYTES + 1)] };
    assert!(matches!(ChunkBuilder::new(head(), job).finish(), Err(Error::TooLarge { .. })));
}

#[test]
fn a_job_names_its_inputs_and_compacts_better() {
    let lines: Vec<u8> =
        realistic(3_000, 0).iter().enumerate().flat_map(|(index, row)| row.line(index as u32)).collect();
    let inputs = Source::Job { inputs: vec!["data/a".to_owned(), "data/b".to_owned()] };
    let mut builder = ChunkBuilder::new(head(), inputs.clone());
    let block = encode_block_with(&lines, window(), &mut Libdeflate::compacted()).unwrap();
    let hot = encode_block(&lines, window()).unwrap();
    assert_eq!((block.records(), block.raw_bytes() as usize), (3_000, lines.len()));
    builder.push(block);
    let chunk = builder.finish().unwrap();
    let footer = Footer::of_chunk(&chunk.bytes).unwrap();
    assert_eq!(footer.source(), &inputs);
    assert_eq!(read(&chunk.bytes).unwrap(), [lines]);
    let mut hot_builder = ChunkBuilder::new(head(), inputs);
    hot_builder.push(hot);
    assert!(chunk.bytes.len() < hot_builder.finish().unwrap().bytes.len());
    assert!(footer.memory_bytes() > 1_000);
}

#[test]
fn the_last_moment_of_time_can_be_stored() {
    let window = Window::holding(i64::MAX, Window::HOUR_NS);
    let lines: Vec<u8> = [i64::MAX - 1, i64::MAX]
        .into_iter()
        .flat_map(|at_ns| Row { at_ns, level: None, message: String::new(), trace_id: None, attributes: None }.line(0))
        .collect();
    let mut builder = ChunkBuilder::new(loglake_chunk::ChunkHead { window, ..head() }, source());
    builder.push(encode_block(&lines, window).unwrap());
    let chunk = builder.finish().unwrap();
    assert_eq!((chunk.min_ns, chunk.max_ns), (i64::MAX - 1, i64::MAX));
    assert_eq!(read(&chunk.bytes).unwrap(), [lines]);
}

#[test]
fn a_row_of_another_block_does_not_fit() {
    let (chunk, _) = build(&[realistic(10, 0), realistic(10, 10)]);
    let footer = Footer::of_chunk(&chunk.bytes).unwrap();
    let [first, second] = footer.blocks() else { panic!("two blocks were written") };
    let member = &chunk.bytes[second.offset as usize..][..second.length as usize];
    assert!(decode_block(second, member).is_ok());
    assert!(matches!(decode_block(first, member), Err(Error::Corrupt { offset: 0, .. })));
    let claims = loglake_chunk::BlockRow { raw_length: u32::MAX, ..*second };
    assert!(matches!(decode_block(&claims, member), Err(Error::Corrupt { .. })));
    let claims = loglake_chunk::BlockRow { raw_length: second.raw_length + 1, ..*second };
    assert!(matches!(decode_block(&claims, member), Err(Error::Corrupt { .. })));
}
