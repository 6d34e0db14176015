use loglake_model::{Service, TenantName, Window};

/// The folder of all chains' objects of `partition`, with its closing slash.
pub(crate) fn chain_folder(cluster: &str, incarnation: u32, partition: u32) -> String {
    format!("commits/{cluster}/{incarnation}/{partition:05}/")
}

/// The key of entry `seq` in `folder`.
pub(crate) fn entry_key(folder: &str, seq: u64) -> String {
    format!("{folder}{seq:020}.json")
}

/// What the keys of checkpoints in `folder` begin with.
pub(crate) fn checkpoint_prefix(folder: &str) -> String {
    format!("{folder}checkpoint-")
}

/// The key of the checkpoint at `seq` in `folder`.
pub(crate) fn checkpoint_key(folder: &str, seq: u64) -> String {
    format!("{folder}checkpoint-{seq:020}.json")
}

/// The sequence number in the key of a checkpoint in `folder`; `None` for any other key.
pub(crate) fn checkpoint_seq(folder: &str, key: &str) -> Option<u64> {
    number(key.strip_prefix(folder)?.strip_prefix("checkpoint-")?.strip_suffix(".json")?)
}

/// What the keys of segments in `folder` begin with.
pub(crate) fn segment_prefix(folder: &str) -> String {
    format!("{folder}segment-")
}

/// The key of a segment of `day` (`YYYY-MM-DD`), made for the checkpoint at `seq`.
pub(crate) fn segment_key(folder: &str, day: &str, seq: u64, nonce: &str) -> String {
    format!("{folder}segment-{day}-{seq}-{nonce}.json.gz")
}

/// The number of the checkpoint that the segment at `key` was made for; `None` for any other key.
pub(crate) fn segment_seq(folder: &str, key: &str) -> Option<u64> {
    let rest = key.strip_prefix(folder)?.strip_prefix("segment-")?.strip_suffix(".json.gz")?;
    // Years have four digits until 2262, when the time of records ends.
    let (seq, _nonce) = rest.get(10..)?.strip_prefix('-')?.split_once('-')?;
    seq.parse().ok()
}

/// The sequence number in the key of an entry in `folder`; `None` for any other key.
pub(crate) fn entry_seq(folder: &str, key: &str) -> Option<u64> {
    number(key.strip_prefix(folder)?.strip_suffix(".json")?)
}

/// Twenty digits as a number.
fn number(digits: &str) -> Option<u64> {
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// The folder of the topic's incarnations, with its closing slash.
pub(crate) fn incarnations_folder(cluster: &str) -> String {
    format!("commits/{cluster}/incarnations/")
}

/// The key of a chunk: its Hive folder, then `<k>-<partition>-<target seq>-<nonce>.ndjson.gz`. `target` is the sequence
/// number that the entry naming it first aims at: the collector deletes by it.
#[must_use]
pub fn chunk_key(
    tenant: &TenantName,
    service: &Service,
    window: Window,
    incarnation: u32,
    partition: u32,
    target: u64,
    nonce: &str,
) -> String {
    format!("{}/{incarnation}-{partition}-{target}-{nonce}.ndjson.gz", window.folder(tenant, service))
}

/// Whose object a key names: what a collector decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The incarnation of the topic.
    pub incarnation: u32,
    /// The partition.
    pub partition: u32,
    /// The sequence number that the entry naming it first aims at.
    pub target: u64,
}

/// Reads what [`chunk_key`] wrote; `None` for any other key.
#[must_use]
pub fn chunk_origin(key: &str) -> Option<Origin> {
    let (folder, name) = key.rsplit_once('/')?;
    if !folder.starts_with("data/") {
        return None;
    }
    let mut parts = name.strip_suffix(".ndjson.gz")?.splitn(4, '-');
    let incarnation = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    let target = parts.next()?.parse().ok()?;
    parts.next().filter(|nonce| !nonce.is_empty())?;
    Some(Origin { incarnation, partition, target })
}

/// Reads what [`quarantine_key`] wrote for `cluster`; `None` for any other key.
#[must_use]
pub fn quarantine_origin(cluster: &str, key: &str) -> Option<Origin> {
    let mut parts = key.strip_prefix(&quarantine_prefix(cluster))?.splitn(3, '/');
    let incarnation = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    let (target, nonce) = parts.next()?.strip_suffix(".ndjson.gz")?.split_once('-')?;
    if nonce.is_empty() || nonce.contains('/') {
        return None;
    }
    Some(Origin { incarnation, partition, target: target.parse().ok()? })
}

/// What the keys of all quarantine objects of `cluster` begin with.
#[must_use]
pub fn quarantine_prefix(cluster: &str) -> String {
    format!("quarantine/{cluster}/")
}

/// The key of the object that holds what could not be read of an entry's range.
#[must_use]
pub fn quarantine_key(cluster: &str, incarnation: u32, partition: u32, target: u64, nonce: &str) -> String {
    format!("quarantine/{cluster}/{incarnation}/{partition:05}/{target:020}-{nonce}.ndjson.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_entries_come_back_and_sort_by_number() {
        let folder = chain_folder("default", 0, 7);
        assert_eq!(folder, "commits/default/0/00007/");
        assert_eq!(entry_seq(&folder, &entry_key(&folder, 42)), Some(42));
        assert_eq!(entry_seq(&folder, &format!("{}1.json", checkpoint_prefix(&folder))), None);
        assert!(entry_key(&folder, 9) < entry_key(&folder, 10));
        assert!(entry_key(&folder, u64::MAX) < checkpoint_prefix(&folder));
        assert!(checkpoint_key(&folder, u64::MAX) < segment_prefix(&folder));
        assert_eq!(checkpoint_seq(&folder, &checkpoint_key(&folder, 42)), Some(42));
        assert_eq!(checkpoint_seq(&folder, &entry_key(&folder, 42)), None);
        let segment = segment_key(&folder, "2026-03-01", 64, "ab-cd");
        assert_eq!(segment, "commits/default/0/00007/segment-2026-03-01-64-ab-cd.json.gz");
        assert_eq!(segment_seq(&folder, &segment), Some(64));
        assert_eq!(segment_seq(&folder, &entry_key(&folder, 42)), None);
    }

    #[test]
    fn keys_of_objects_tell_whose_they_are() {
        let origin = Origin { incarnation: 2, partition: 11, target: 1_234 };
        let (tenant, service) = (TenantName::parse("t").unwrap(), Service::parse("a/b-1-2").unwrap());
        for window in [Window::HOUR_NS, Window::HOUR_NS / 4] {
            let window = Window::holding(1_700_000_000_000_000_000, window);
            let key = chunk_key(&tenant, &service, window, 2, 11, 1_234, "0a-ff");
            assert_eq!(chunk_origin(&key), Some(origin), "{key}");
            assert_eq!(chunk_origin(&key.replace("data/", "other/")), None);
        }
        let key = quarantine_key("c", 2, 11, 1_234, "0aff");
        assert_eq!(quarantine_origin("c", &key), Some(origin));
        assert_eq!(quarantine_origin("other", &key), None);
        for key in ["data/x.ndjson.gz", "data/t/1-2-3.ndjson.gz", "data/t/1-2-x-n.ndjson.gz", "data/t/1-2-3-n.txt", ""]
        {
            assert_eq!(chunk_origin(key), None, "{key}");
        }
    }
}
