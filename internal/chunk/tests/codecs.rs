//! What each compressor writes, read by other libraries, and what an encoder leaves from block to block.

mod common;

use std::io::Read as _;

use common::{Row, head, read, realistic, source, window};
use loglake_chunk::{ChunkBuilder, Codec, Encoder, Libdeflate, encode_block};
use proptest::prelude::*;

fn codecs() -> Vec<(&'static str, Box<dyn Codec + Send>)> {
    vec![
        ("libdeflate 1", Box::new(Libdeflate::hot())),
        ("libdeflate 6", Box::new(Libdeflate::compacted())),
        #[cfg(feature = "isal")]
        ("ISA-L 1", Box::new(loglake_chunk::Isal)),
    ]
}

/// Deflates `plain` into exactly as many bytes as the codec asks for.
fn deflate(codec: &mut dyn Codec, plain: &[u8]) -> Vec<u8> {
    // What stood there before must not matter.
    let mut out = vec![0xa5; codec.bound(plain.len())];
    let length = codec.deflate(plain, &mut out).expect("it has as much room as it asked for");
    out.truncate(length);
    out
}

fn plain() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..3_000),
        proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), any::<u8>()], 0..3_000),
        // Longer than what one stored block, and one look back, can hold.
        (any::<u64>(), 0_usize..300_000).prop_map(|(seed, length)| {
            let mut state = seed | 1;
            let mut noise = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            };
            (0..length).map(|_| noise()).collect()
        }),
        ("[a-z ]{1,80}", 1_usize..4_000).prop_map(|(word, times)| word.repeat(times).into_bytes()),
        (0_u64..9_999, 1_u64..600).prop_map(|(first, count)| lines(&realistic(count, first))),
    ]
}

fn lines(rows: &[Row]) -> Vec<u8> {
    (0..).zip(rows).flat_map(|(index, row)| row.line(index)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn every_stream_is_read_by_other_libraries_and_is_the_same_again(plain in plain(), other in plain()) {
        for (name, mut codec) in codecs() {
            let deflated = deflate(codec.as_mut(), &plain);
            let mut inflated = vec![0; plain.len()];
            #[expect(clippy::disallowed_methods, reason = "test")]
            let mut decompressor = libdeflater::Decompressor::new();
            let written = decompressor.deflate_decompress(&deflated, &mut inflated);
            prop_assert_eq!(written.ok(), Some(plain.len()), "{}", name);
            prop_assert!(inflated == plain, "{}", name);
            let mut inflated = Vec::new();
            #[allow(clippy::disallowed_methods, reason = "test: a small stream of our own")]
            flate2::read::DeflateDecoder::new(&deflated[..]).read_to_end(&mut inflated).unwrap();
            prop_assert!(inflated == plain, "{}", name);

            deflate(codec.as_mut(), &other);
            prop_assert!(deflate(codec.as_mut(), &plain) == deflated, "{}: another stream in between changes it", name);
        }
    }

    #[test]
    fn an_encoder_makes_of_every_block_what_a_new_one_makes(counts in proptest::collection::vec(1_u64..400, 1..6)) {
        let mut encoder = Encoder::new(Box::new(Libdeflate::hot()));
        let (mut direct, mut pushed) = (ChunkBuilder::new(head(), source()), ChunkBuilder::new(head(), source()));
        let mut first = 0;
        for count in counts {
            let lines = lines(&realistic(count, first));
            // What is refused must leave nothing behind.
            prop_assert!(direct.encode(&lines[1..], &mut encoder).is_err());
            direct.encode(&lines, &mut encoder).unwrap();
            pushed.push(encode_block(&lines, window()).unwrap());
            first += count;
        }
        prop_assert_eq!(direct.finish().unwrap(), pushed.finish().unwrap());
    }

    #[test]
    fn a_hot_chunk_reads_back(counts in proptest::collection::vec(1_u64..400, 1..4)) {
        let (mut encoder, mut builder) = (Encoder::hot(), ChunkBuilder::new(head(), source()));
        let mut all = Vec::new();
        for count in counts {
            all.push(lines(&realistic(count, all.len() as u64)));
            builder.encode(&all[all.len() - 1], &mut encoder).unwrap();
        }
        let chunk = builder.finish().unwrap();
        prop_assert_eq!(&read(&chunk.bytes).unwrap(), &all);
        let mut plain = Vec::new();
        #[allow(clippy::disallowed_methods, reason = "test: a small chunk of our own")]
        flate2::read::MultiGzDecoder::new(&chunk.bytes[..]).read_to_end(&mut plain).unwrap();
        prop_assert_eq!(plain, all.concat());
        prop_assert_eq!(crc32c::crc32c(&chunk.bytes), chunk.checksum);
    }
}
