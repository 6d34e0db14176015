use loglake_model::{Service, Window};

use super::*;
use crate::tests::lake::tenant;

fn metrics() -> Metrics {
    Metrics::register(&prometheus::Registry::new(), 0).unwrap()
}

fn meta(key: &str) -> ChunkMeta {
    ChunkMeta {
        key: key.to_owned(),
        length: 0,
        footer_offset: 0,
        checksum: 0,
        tenant: TenantName::parse("acme").unwrap(),
        service: Service::parse("api").unwrap(),
        window: Window { start_ns: 0, length_ns: Window::HOUR_NS },
        min_ns: 0,
        max_ns: 0,
        records: 0,
        bytes: 0,
        levels: Default::default(),
        lowest_offset: 0,
        highest_offset: 0,
    }
}

/// Waits until all that is being written is.
async fn settle(cache: &DiskCache) {
    drop(cache.writes.acquire_many(WRITES as u32).await.unwrap());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()).collect()
}

fn disk_bytes(folder: &Path) -> u64 {
    files(folder).iter().map(|path| fs::metadata(path).unwrap().len().next_multiple_of(FILE_BYTES)).sum()
}

#[tokio::test]
async fn what_is_kept_is_there_also_after_a_restart_and_for_its_tenant_key_and_range_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(DiskCache::open(folder.path(), 1 << 20, metrics()).unwrap());
    let (acme, other) = (tenant("acme"), tenant("other"));
    cache.keep(&acme, &meta("k"), &(10..15), Bytes::from_static(b"12345"));
    settle(&cache).await;
    assert_eq!(cache.get(&acme, &meta("k"), &(10..15)).await.as_deref(), Some(b"12345".as_slice()));
    assert_eq!(cache.get(&other, &meta("k"), &(10..15)).await, None);
    assert_eq!(cache.get(&acme, &meta("l"), &(10..15)).await, None);
    assert_eq!(cache.get(&acme, &meta("k"), &(10..14)).await, None);
    assert!(DiskCache::open(folder.path(), 1 << 20, metrics()).is_err(), "it is in use");
    drop(cache);
    fs::write(folder.path().join("ab.tmp"), b"not in a folder").unwrap();
    let stray = files(folder.path())[0].with_extension(format!("7.{UNFINISHED}"));
    fs::write(&stray, b"half a pie").unwrap();
    let cache = DiskCache::open(folder.path(), 1 << 20, metrics()).unwrap();
    assert_eq!(cache.get(&acme, &meta("k"), &(10..15)).await.as_deref(), Some(b"12345".as_slice()));
    assert!(!stray.exists(), "what was half written is removed");
}

#[tokio::test]
async fn damage_of_any_byte_is_a_miss_and_the_file_goes() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(DiskCache::open(folder.path(), 1 << 20, metrics()).unwrap());
    let (acme, meta) = (tenant("acme"), meta("k"));
    let keep = async || {
        cache.keep(&acme, &meta, &(0..4), Bytes::from_static(b"abcd"));
        settle(&cache).await;
        let [path] = files(folder.path()).try_into().unwrap();
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    let (_, whole) = keep().await;
    for at in 0..whole.len() {
        let (path, mut bytes) = keep().await;
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(cache.get(&acme, &meta, &(0..4)).await, None, "byte {at}");
        assert!(!path.exists());
    }
    for length in [0, 3, whole.len() - 1] {
        let (path, bytes) = keep().await;
        fs::write(&path, &bytes[..length]).unwrap();
        assert_eq!(cache.get(&acme, &meta, &(0..4)).await, None, "{length} bytes");
    }
    let (path, _) = keep().await;
    fs::remove_file(path).unwrap();
    assert_eq!(cache.get(&acme, &meta, &(0..4)).await, None, "somebody tidied up");
    let (_, bytes) = keep().await;
    assert_eq!(bytes, whole, "and it can be kept again");
}

#[tokio::test]
async fn it_holds_no_more_than_it_may_also_when_it_is_opened_with_less() {
    const LIMIT: u64 = 2 << 20;
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(DiskCache::open(folder.path(), LIMIT, metrics()).unwrap());
    let acme = tenant("acme");
    for number in 0..200_u64 {
        cache.keep(&acme, &meta("k"), &(number..number + 30_000), Bytes::from(vec![7; 30_000]));
        settle(&cache).await;
        assert!(disk_bytes(folder.path()) <= LIMIT);
    }
    assert!(disk_bytes(folder.path()) > LIMIT / 2, "and most of what it may");
    assert_eq!(cache.metrics.disk_cache_bytes.get().cast_unsigned(), disk_bytes(folder.path()));
    drop(cache);
    let cache = DiskCache::open(folder.path(), LIMIT / 4, metrics()).unwrap();
    assert!(disk_bytes(folder.path()) <= LIMIT / 4);
    assert_eq!(cache.metrics.disk_cache_bytes.get().cast_unsigned(), disk_bytes(folder.path()));
}
