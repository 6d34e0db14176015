//! What a block costs: `cargo bench -p loglake-chunk --all-features`. Counts are bytes of lines.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{head, realistic, source};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use loglake_chunk::{ChunkBuilder, Codec, Encoder, Footer, Libdeflate, Probe, decode_block};

fn main() {
    divan::main();
}

/// About a mebibyte of lines.
fn lines() -> Vec<u8> {
    let mut rows = realistic(3_400, 0);
    rows.sort_by_key(|row| row.at_ns);
    (0..).zip(&rows).flat_map(|(index, row)| row.line(index)).collect()
}

/// A compressor that does nothing, so that all the rest is left.
struct Nothing;

impl Codec for Nothing {
    fn bound(&mut self, _: usize) -> usize {
        1
    }

    fn deflate(&mut self, _: &[u8], out: &mut [u8]) -> Result<usize, loglake_chunk::Error> {
        out[0] = 0;
        Ok(1)
    }
}

fn codec(name: &str) -> Box<dyn Codec + Send> {
    match name {
        #[cfg(feature = "isal")]
        "isal-1" => Box::new(loglake_chunk::Isal),
        "libdeflate-6" => Box::new(Libdeflate::compacted()),
        "nothing" => Box::new(Nothing),
        _ => Box::new(Libdeflate::hot()),
    }
}

const CODECS: &[&str] = &[
    "libdeflate-1",
    "libdeflate-6",
    #[cfg(feature = "isal")]
    "isal-1",
];
const ENCODERS: &[&str] = &[
    "nothing",
    "libdeflate-1",
    #[cfg(feature = "isal")]
    "isal-1",
];

/// The compressor alone.
#[divan::bench(args = CODECS)]
fn deflate(bencher: Bencher<'_, '_>, name: &str) {
    let (lines, mut codec) = (lines(), codec(name));
    let mut out = vec![0; codec.bound(lines.len())];
    bencher.counter(BytesCount::of_slice(&lines)).bench_local(|| codec.deflate(black_box(&lines), &mut out));
}

/// A chunk of one block: lines looked at, filtered, compressed (or not), put together.
#[divan::bench(args = ENCODERS)]
fn build(bencher: Bencher<'_, '_>, name: &str) {
    let (lines, mut encoder) = (lines(), Encoder::new(codec(name)));
    bencher.counter(BytesCount::of_slice(&lines)).bench_local(|| {
        let mut builder = ChunkBuilder::new(head(), source());
        builder.encode(black_box(&lines), &mut encoder)?;
        builder.finish()
    });
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let lines = lines();
    let mut builder = ChunkBuilder::new(head(), source());
    builder.encode(&lines, &mut Encoder::hot()).expect("the lines are canonical");
    let chunk = builder.finish().expect("it has a block");
    let footer = Footer::of_chunk(&chunk.bytes).expect("it was just written");
    let row = footer.blocks()[0];
    let member = &chunk.bytes[row.offset as usize..][..row.length as usize];
    bencher.counter(BytesCount::of_slice(&lines)).bench_local(|| decode_block(black_box(&row), member));
}

/// A footer read and asked.
#[divan::bench]
fn footer(bencher: Bencher<'_, '_>) {
    let mut builder = ChunkBuilder::new(head(), source());
    let (lines, mut encoder) = (lines(), Encoder::hot());
    for _ in 0..16 {
        builder.encode(&lines, &mut encoder).expect("the lines are canonical");
    }
    let chunk = builder.finish().expect("it has blocks");
    let footer = chunk.bytes.slice(chunk.footer_offset as usize..);
    let probe = Probe::new(&[b"nowhere to be found"], None);
    bencher.bench_local(|| {
        Footer::parse(black_box(&footer), chunk.footer_offset, chunk.bytes.len() as u64)
            .map(|footer| footer.may_match(&probe))
    });
}
