use std::collections::BTreeMap;

use loglake_index::Gap;
use serde::{Deserialize, Serialize};

use crate::{Error, QuarantineRef, SegmentRef, sealed};

/// The version of the checkpoint's format that this program writes. Version 1, which it reads too, has no checksum.
pub const CHECKPOINT_VERSION: u32 = 2;
/// No checkpoint is larger: a chain that would need more is not folded.
pub const MAX_CHECKPOINT_BYTES: usize = 64 << 20;

/// A partition's chain folded up to `seq`: what a reader needs in place of the entries up to it. Stored as JSON with a checksum
/// at its end; created, never replaced. The newest one is the boundary: an entry at or below it that somebody creates later is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// [`CHECKPOINT_VERSION`].
    pub version: u32,
    /// The last entry that is folded in.
    pub seq: u64,
    /// Its `next`.
    pub next: u64,
    /// SHA-256 of its stored bytes, in hex.
    pub hash: String,
    /// The highest leader epoch up to it.
    pub leader_epoch: Option<i32>,
    /// How many chunks are live.
    pub chunks: u64,
    /// How many records they hold.
    pub records: u64,
    /// Where the live chunks stand, ascending by day.
    pub segments: Vec<SegmentRef>,
    /// The states of client sessions, as JSON text by session.
    pub sessions: BTreeMap<String, String>,
    /// Chunks that entries up to `seq` removed, by key. An object may be gone already, then its key goes with the next
    /// checkpoint.
    pub removed: BTreeMap<String, Removed>,
    /// Offsets given up, ascending.
    pub gaps: Vec<Gap>,
    /// Objects with messages that could not be read, ascending by entry.
    pub quarantine: Vec<Quarantined>,
}

/// A chunk that is live no more, until its object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// The entry that removed it.
    pub seq: u64,
    /// When a folder first saw the index's watermark at or past that entry, ns UTC: the object is kept for readers for a
    /// while from then on. `None` before.
    pub applied_ns: Option<i64>,
}

/// An object with messages that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// The entry that names it.
    pub seq: u64,
    /// Its key.
    pub key: String,
    /// Its length, in bytes.
    pub length: u64,
    /// CRC-32C of the whole object.
    pub checksum: u32,
    /// How many messages it holds; their offsets stand in its lines.
    pub messages: u64,
}

impl Quarantined {
    /// What entry `seq` says of the object.
    #[must_use]
    pub fn new(seq: u64, object: &QuarantineRef) -> Self {
        let QuarantineRef { key, length, checksum, offsets } = object;
        Self { seq, key: key.clone(), length: *length, checksum: *checksum, messages: offsets.len() as u64 }
    }
}

impl Checkpoint {
    /// The stored bytes.
    ///
    /// # Errors
    /// `TooLarge` over [`MAX_CHECKPOINT_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::Corrupt { key: format!("checkpoint {}", self.seq), what: error.to_string() })?;
        let bytes = sealed::seal(bytes);
        if bytes.len() > MAX_CHECKPOINT_BYTES {
            return Err(Error::TooLarge { what: "checkpoint", bytes: bytes.len(), max: MAX_CHECKPOINT_BYTES });
        }
        Ok(bytes)
    }

    /// Reads stored bytes of the object at `key`, which should be checkpoint `seq`.
    ///
    /// # Errors
    /// `Newer` for a later version, `Corrupt` for everything else that is not such a checkpoint.
    pub fn decode(key: &str, seq: u64, bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |what: String| Error::Corrupt { key: key.to_owned(), what };
        let (json, is_sealed) = sealed::open(bytes).map_err(corrupt)?;
        crate::version::check(key, "checkpoint", CHECKPOINT_VERSION, &json)?;
        let checkpoint: Self = serde_json::from_slice(&json).map_err(|error| corrupt(error.to_string()))?;
        if !is_sealed && checkpoint.version > 1 {
            return Err(corrupt("its checksum is missing".to_owned()));
        }
        if checkpoint.seq != seq {
            return Err(corrupt(format!("it says that it is checkpoint {}", checkpoint.seq)));
        }
        // The numbers are not believed: together they may be more than there is.
        let named = checkpoint.segments.iter().try_fold(0_u64, |sum, segment| sum.checked_add(segment.chunks));
        if named != Some(checkpoint.chunks) {
            return Err(corrupt(format!("its segments name {named:?} chunks, it says {}", checkpoint.chunks)));
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> SegmentRef {
        SegmentRef {
            day: "2026-03-01".to_owned(),
            key: "commits/default/0/00003/segment-2026-03-01-64-aa.json.gz".to_owned(),
            length: 321,
            checksum: 7,
            chunks: 2,
        }
    }

    fn segment_text() -> String {
        serde_json::to_string(&segment()).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        let segment = segment();
        let quarantined = Quarantined { seq: 9, key: "quarantine/q".to_owned(), length: 10, checksum: 11, messages: 2 };
        Checkpoint {
            version: CHECKPOINT_VERSION,
            seq: 64,
            next: 1_000,
            hash: "ab".repeat(32),
            leader_epoch: Some(3),
            chunks: 2,
            records: 600,
            segments: vec![segment],
            sessions: [("0a".to_owned(), r#"{"low":5}"#.to_owned())].into(),
            removed: [
                ("data/a".to_owned(), Removed { seq: 60, applied_ns: Some(1_772_323_200_000_000_000) }),
                ("data/b".to_owned(), Removed { seq: 64, applied_ns: None }),
            ]
            .into(),
            gaps: vec![Gap { from: 5, to: 9, at_ns: 1_772_323_200_000_000_000, reason: "retention".to_owned() }],
            quarantine: vec![quarantined],
        }
    }

    #[test]
    fn the_stored_form_of_version_2_stays_and_version_1_is_still_read() {
        let golden = include_str!("../testdata/checkpoint-v2.json").trim_end();
        assert_eq!(String::from_utf8(checkpoint().encode().unwrap()).unwrap(), golden);
        assert_eq!(Checkpoint::decode("k", 64, golden.as_bytes()).unwrap(), checkpoint());
        let first = include_str!("../testdata/checkpoint-v1.json").trim_end();
        assert_eq!(Checkpoint::decode("k", 64, first.as_bytes()).unwrap(), Checkpoint { version: 1, ..checkpoint() });
    }

    #[test]
    fn strangers_are_refused() {
        let sealed = checkpoint().encode().unwrap();
        assert!(matches!(Checkpoint::decode("k", 64, &sealed[..sealed.len() - 1]), Err(Error::Corrupt { .. })));
        let text = String::from_utf8(sealed::open(&sealed).unwrap().0.into_owned()).unwrap();
        assert!(
            matches!(Checkpoint::decode("k", 64, text.as_bytes()), Err(Error::Corrupt { .. })),
            "it lacks the checksum"
        );
        let decode = |seq, text: &str| Checkpoint::decode("k", seq, &sealed::seal(text.as_bytes().to_vec()));
        assert!(matches!(decode(65, &text), Err(Error::Corrupt { .. })));
        assert!(matches!(
            decode(64, &text.replace("\"chunks\":2,\"rec", "\"chunks\":3,\"rec")),
            Err(Error::Corrupt { .. })
        ));
        let many = format!("\"chunks\":{}}}", u64::MAX);
        let twice =
            text.replace("\"chunks\":2}", &format!("{many},{}", segment_text().replace("\"chunks\":2}", &many)));
        assert!(matches!(decode(64, &twice), Err(Error::Corrupt { .. })));
        assert!(matches!(decode(64, &text.replace("\"hash\"", "\"more\":1,\"hash\"")), Err(Error::Corrupt { .. })));
        assert!(matches!(decode(64, &text.replace("\"version\":2", "\"version\":3")), Err(Error::Newer { .. })));
    }
}
