//! As much of a footer is read as is needed, and no more.

use loglake_chunk::{ChunkBuilder, ChunkHead, Footer, Probe, Source, encode_block};
use loglake_model::{ChunkMeta, RecordId, Service, TenantName, Window, line};
use loglake_store::{FolderStore, MemoryStore, ObjectStore};

use super::lake::tenant;
use crate::footers::{Footers, Known, NoFooter};
use crate::metrics::Metrics;

const BLOCKS: u32 = 8;
const LINES: u32 = 8_000;

/// The word that only the lines of `block` have.
fn word(block: u32) -> String {
    format!("{:016x}", u64::from(block + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A chunk of `blocks` blocks under `key`, each full of the same numbers: filters are large, and the chunk's own rules things out.
async fn chunk(store: &dyn ObjectStore, key: &str, blocks: u32) -> ChunkMeta {
    let window = Window { start_ns: 0, length_ns: Window::HOUR_NS };
    let (tenant, service) = (TenantName::parse("acme").unwrap(), Service::parse("api").unwrap());
    let head = ChunkHead { tenant, service, window };
    let source = Source::Log { incarnation: 0, partition: 0, lowest_offset: 0, highest_offset: 0 };
    let mut builder = ChunkBuilder::new(head.clone(), source);
    for block in 0..blocks {
        let mut lines = Vec::new();
        for number in 0..LINES {
            let index = block * LINES + number;
            let mut text = Vec::new();
            line::begin(&mut text, i64::from(index), None, "api");
            let noise = u64::from(number + 1).wrapping_mul(0xff51_afd7_ed55_8ccd);
            line::text_field(&mut text, "message", &format!("{noise:016x} {}", word(block)));
            text.push(b'}');
            line::append_with_id(&mut lines, &text, RecordId { incarnation: 0, partition: 0, offset: 0, index });
            lines.push(b'\n');
        }
        builder.push(encode_block(&lines, window).unwrap());
    }
    let chunk = builder.finish().unwrap();
    store.put(key, chunk.bytes.clone()).await.unwrap();
    chunk.meta(key.to_owned(), &head, 0, 0)
}

fn footers() -> Footers {
    Footers::new(64 << 20, None, Metrics::register(&prometheus::Registry::new(), 0).unwrap())
}

#[tokio::test]
async fn of_a_large_footer_the_summary_comes_first_and_the_filters_of_blocks_where_it_does_not_rule_out() {
    let store = MemoryStore::new();
    let meta = chunk(&store, "many", BLOCKS).await;
    let (footers, acme) = (footers(), tenant("acme"));
    let length = meta.length - meta.footer_offset;
    let absent = Probe::new(&[b"nowhere to be found"], None);
    let (known, bytes) = footers.get(&store, &acme, &meta, &absent).await.unwrap();
    assert!(matches!(known, Known::Summary(_)));
    assert!(bytes > 0 && bytes < length / 2, "{bytes} of {length}");
    assert_eq!(known.blocks_that_may_match(&absent).count(), 0);
    let (known, bytes) = footers.get(&store, &acme, &meta, &absent).await.unwrap();
    assert!(matches!((&known, bytes), (Known::Summary(_), 0)));

    let word = word(5);
    let present = Probe::new(&[word.as_bytes()], None);
    let (known, bytes) = footers.get(&store, &acme, &meta, &present).await.unwrap();
    assert!(matches!(known, Known::Whole(_)) && bytes > 0 && bytes < length, "{bytes} of {length}");
    let whole = Footer::of_chunk(&store.get("many", u64::MAX).await.unwrap()).unwrap();
    let expected: Vec<usize> = (0..BLOCKS as usize).filter(|at| whole.block_may_match(*at, &present)).collect();
    assert_eq!(known.blocks_that_may_match(&present).collect::<Vec<_>>(), expected);
    assert!(expected.contains(&5) && expected.len() < BLOCKS as usize, "{expected:?}");
    let (_, bytes) = footers.get(&store, &acme, &meta, &present).await.unwrap();
    assert_eq!(bytes, 0, "from memory");
}

#[tokio::test]
async fn without_a_text_to_look_for_the_directory_is_enough_and_a_later_text_reads_on() {
    let store = MemoryStore::new();
    let (footers, acme) = (footers(), tenant("acme"));
    for (key, blocks) in [("many", BLOCKS), ("one", 1)] {
        let meta = chunk(&store, key, blocks).await;
        let (known, bytes) = footers.get(&store, &acme, &meta, &Probe::default()).await.unwrap();
        assert!(matches!(known, Known::Contents(_)));
        assert!(bytes < 8 << 10, "{bytes}");
        assert_eq!(known.blocks_that_may_match(&Probe::default()).count(), blocks as usize);
        let absent = Probe::new(&[b"nowhere to be found"], None);
        let (known, _) = footers.get(&store, &acme, &meta, &absent).await.unwrap();
        assert_eq!(known.blocks_that_may_match(&absent).count(), 0);
    }
}

#[tokio::test]
async fn of_a_local_store_exactly_the_parts_that_are_needed_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path().to_owned()).unwrap();
    let (absent, word) = (Probe::new(&[b"nowhere to be found"], None), word(5));
    let present = Probe::new(&[word.as_bytes()], None);
    for (key, blocks) in [("many", BLOCKS), ("one", 1)] {
        let meta = chunk(&store, key, blocks).await;
        let length = meta.length - meta.footer_offset;
        let whole = Footer::of_chunk(&store.get(key, u64::MAX).await.unwrap()).unwrap();
        let expected: Vec<usize> = (0..blocks as usize).filter(|at| whole.block_may_match(*at, &present)).collect();
        // With nothing in memory, and with the directory.
        for is_known in [false, true] {
            let (footers, acme) = (footers(), tenant("acme"));
            let before = match is_known {
                false => 0,
                true => footers.get(&store, &acme, &meta, &Probe::default()).await.unwrap().1,
            };
            let (known, bytes) = footers.get(&store, &acme, &meta, &absent).await.unwrap();
            assert_eq!(known.blocks_that_may_match(&absent).count(), 0);
            if blocks > 1 {
                let filter = known.contents().chunk_filter_range();
                assert!(matches!(known, Known::Summary(_)));
                let directory = (before + bytes) - (filter.end - filter.start);
                assert!(directory < 8 << 10 && directory < length / 4, "{directory} of {length}");
            }
            let (known, more) = footers.get(&store, &acme, &meta, &present).await.unwrap();
            assert!(matches!(known, Known::Whole(_)));
            assert_eq!(known.blocks_that_may_match(&present).collect::<Vec<_>>(), expected);
            // The directory comes with a little of what stands before it.
            let all = before + bytes + more;
            assert!((length - 200..length + (8 << 10)).contains(&all), "{all} of {length}");
            assert_eq!(footers.get(&store, &acme, &meta, &present).await.unwrap().1, 0, "from memory");
        }
    }
}

#[tokio::test]
async fn another_tenants_chunk_is_refused_and_damage_of_a_filter_named_where_it_is_needed() {
    let store = MemoryStore::new();
    let meta = chunk(&store, "many", BLOCKS).await;
    let (footers, word) = (footers(), word(5));
    let present = Probe::new(&[word.as_bytes()], None);
    let refused = footers.get(&store, &tenant("other"), &meta, &present).await;
    assert!(matches!(refused, Err(NoFooter::Damaged(_))));
    let mut bytes = store.get("many", u64::MAX).await.unwrap().to_vec();
    bytes[meta.footer_offset as usize + 30] ^= 1;
    store.put("many", bytes.into()).await.unwrap();
    let acme = tenant("acme");
    let absent = Probe::new(&[b"nowhere to be found"], None);
    assert!(footers.get(&store, &acme, &meta, &absent).await.is_ok(), "what is damaged is not looked at");
    assert!(matches!(footers.get(&store, &acme, &meta, &present).await, Err(NoFooter::Damaged(_))));
}
