use loglake_index::{Change, Gap, SessionChange, Watermark};
use loglake_model::ChunkMeta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, sealed};

/// The version of the entry's format that this program writes. Version 1, which it reads too, has no checksum.
pub const ENTRY_VERSION: u32 = 2;
/// A flush is cut before its entry would outgrow this: one small PUT.
pub const TARGET_ENTRY_BYTES: usize = 4 << 20;
/// No entry is larger. Only a message of an ingestor that did not know [`TARGET_ENTRY_BYTES`] makes one past that.
pub const MAX_ENTRY_BYTES: usize = 32 << 20;

/// One change of a partition's live set. Stored as JSON with a checksum at its end; created, never replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`ENTRY_VERSION`].
    pub version: u32,
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// The predecessor's `next`: the first offset this entry covers.
    pub start: u64,
    /// The offset to consume from after it; equal to `start` for jobs, which take nothing from the broker.
    pub next: u64,
    /// Chunks that become live.
    pub adds: Vec<ChunkMeta>,
    /// Chunks that are live at the predecessor and no more afterwards.
    pub removes: Vec<ChunkMeta>,
    /// Names this attempt: an object read back with it is this writer's own.
    pub nonce: String,
    /// Who wrote it, for people: role, host, process.
    pub writer: String,
    /// The highest leader epoch among the messages covered; `None` where the broker has none.
    pub leader_epoch: Option<i32>,
    /// What changed of client sessions.
    pub sessions: Vec<SessionChange>,
    /// Where the messages of this range that could not be read are.
    pub quarantine: Option<QuarantineRef>,
    /// A range of offsets given up on purpose.
    pub gap: Option<Gap>,
    /// SHA-256 of the predecessor's stored bytes, in hex; empty for the first. Only checks read it.
    pub previous_hash: String,
}

/// The object that holds an entry's unreadable messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantineRef {
    /// The object's key.
    pub key: String,
    /// Its length, in bytes.
    pub length: u64,
    /// CRC-32C of the whole object.
    pub checksum: u32,
    /// The offsets of the messages in it, ascending.
    pub offsets: Vec<u64>,
}

impl Entry {
    /// The stored bytes. The same entry always gives the same bytes, so a retry sends what the first attempt did.
    ///
    /// # Errors
    /// `TooLarge` over [`MAX_ENTRY_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::Corrupt { key: format!("entry {}", self.seq), what: error.to_string() })?;
        let bytes = sealed::seal(bytes);
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(Error::TooLarge { what: "entry", bytes: bytes.len(), max: MAX_ENTRY_BYTES });
        }
        Ok(bytes)
    }

    /// Reads stored bytes of the object at `key`, which should be entry `seq`.
    ///
    /// # Errors
    /// `Newer` for a later version, `Corrupt` for everything else that is not such an entry.
    pub fn decode(key: &str, seq: u64, bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |what: String| Error::Corrupt { key: key.to_owned(), what };
        let (json, is_sealed) = sealed::open(bytes).map_err(corrupt)?;
        crate::version::check(key, "entry", ENTRY_VERSION, &json)?;
        let entry: Self = serde_json::from_slice(&json).map_err(|error| corrupt(error.to_string()))?;
        if !is_sealed && entry.version > 1 {
            return Err(corrupt("its checksum is missing".to_owned()));
        }
        if entry.seq != seq {
            return Err(corrupt(format!("it says that it is entry {}", entry.seq)));
        }
        if entry.next < entry.start {
            return Err(corrupt(format!("next {} lies before start {}", entry.next, entry.start)));
        }
        Ok(entry)
    }

    /// SHA-256 of stored bytes, in hex: the successor's `previous_hash`.
    #[must_use]
    pub fn hash(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the index needs of it.
    #[must_use]
    pub fn change(&self) -> Change {
        Change {
            seq: self.seq,
            next: self.next,
            adds: self.adds.clone(),
            removes: self.removes.clone(),
            sessions: self.sessions.clone(),
            gap: self.gap.clone(),
        }
    }

    /// The index's watermark once it is applied.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        Watermark { seq: self.seq, next: self.next }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(seq: u64, start: u64, next: u64) -> Entry {
        Entry {
            version: ENTRY_VERSION,
            seq,
            start,
            next,
            adds: Vec::new(),
            removes: Vec::new(),
            nonce: format!("nonce-{seq}-{start}-{next}"),
            writer: "test".to_owned(),
            leader_epoch: Some(3),
            sessions: Vec::new(),
            quarantine: None,
            gap: None,
            previous_hash: String::new(),
        }
    }

    #[test]
    fn entries_come_back_and_strangers_are_refused() {
        let entry = entry(4, 10, 20);
        let bytes = entry.encode().unwrap();
        assert_eq!(Entry::decode("k", 4, &bytes).unwrap(), entry);
        assert!(matches!(Entry::decode("k", 5, &bytes), Err(Error::Corrupt { .. })));
        assert!(matches!(Entry::decode("k", 4, &bytes[..bytes.len() - 1]), Err(Error::Corrupt { .. })));
        let json = String::from_utf8(sealed::open(&bytes).unwrap().0.into_owned()).unwrap();
        let sealed = |text: String| sealed::seal(text.into_bytes());
        let newer = sealed(json.replace("\"version\":2", "\"version\":3"));
        assert!(matches!(Entry::decode("k", 4, &newer), Err(Error::Newer { .. })));
        let unknown = sealed(json.replace("\"seq\"", "\"extra\":1,\"seq\""));
        assert!(matches!(Entry::decode("k", 4, &unknown), Err(Error::Corrupt { .. })));
        assert!(matches!(Entry::decode("k", 4, json.as_bytes()), Err(Error::Corrupt { .. })), "it lacks the checksum");
    }

    #[test]
    fn a_flipped_bit_never_gives_another_entry() {
        let bytes = entry(4, 5_000, 5_001).encode().unwrap();
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(Entry::decode("k", 4, &flipped).is_err(), "bit {at}");
        }
    }

    #[test]
    fn the_stored_form_of_version_2_stays() {
        let text = String::from_utf8(entry(1, 0, 5).encode().unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"version":2,"seq":1,"start":0,"next":5,"adds":[],"removes":[],"nonce":"nonce-1-0-5","writer":"test","leader_epoch":3,"sessions":[],"quarantine":null,"gap":null,"previous_hash":"","crc32c":"51e4bda3"}"#
        );
    }

    #[test]
    fn version_1_is_still_read() {
        let text = r#"{"version":1,"seq":1,"start":0,"next":5,"adds":[],"removes":[],"nonce":"nonce-1-0-5","writer":"test","leader_epoch":3,"sessions":[],"quarantine":null,"gap":null,"previous_hash":""}"#;
        let read = Entry::decode("k", 1, text.as_bytes()).unwrap();
        assert_eq!(read, Entry { version: 1, ..entry(1, 0, 5) });
    }
}
