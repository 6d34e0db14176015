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

/// The sequence number in the key of an entry in `folder`; `None` for any other key.
pub(crate) fn entry_seq(folder: &str, key: &str) -> Option<u64> {
    let digits = key.strip_prefix(folder)?.strip_suffix(".json")?;
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
    }
}
