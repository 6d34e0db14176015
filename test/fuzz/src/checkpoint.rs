//! Checkpoints of a chain: what is decoded has one stored form.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use loglake_commit::{CHECKPOINT_VERSION, Checkpoint, Quarantined, Removed, SegmentRef};
use loglake_index::Gap;

use crate::edit::Edits;
use crate::memory;
use crate::seal::reseal;

/// A checkpoint to build and then to damage.
#[derive(Arbitrary, Debug)]
struct Plan {
    seq: u64,
    next: u64,
    leader_epoch: Option<i32>,
    records: u64,
    /// With how many chunks each names: any number.
    segments: Vec<(String, String, u64, u32, u64)>,
    sessions: BTreeMap<String, String>,
    removed: BTreeMap<String, (u64, Option<i64>)>,
    gaps: Vec<(u64, u64, i64, String)>,
    quarantine: Vec<(u64, String, u64, u32, u64)>,
    edits: Edits,
}

/// Takes an input.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => read(bytes),
        Some((_, rest)) => {
            if let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(rest)) {
                plan.run();
            }
        }
        None => {}
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let plan = |is_full: bool| Plan {
        seq: 64,
        next: 1_000,
        leader_epoch: is_full.then_some(3),
        records: 600,
        segments: if is_full { vec![("2026-03-01".to_owned(), "commits/s".to_owned(), 321, 7, 2)] } else { vec![] },
        sessions: is_full.then(|| ("0a".to_owned(), r#"{"low":5}"#.to_owned())).into_iter().collect(),
        removed: is_full.then(|| ("data/a".to_owned(), (60, Some(1)))).into_iter().collect(),
        gaps: is_full.then(|| (5, 9, 1, "retention".to_owned())).into_iter().collect(),
        quarantine: is_full.then(|| (9, "quarantine/q".to_owned(), 10, 11, 2)).into_iter().collect(),
        edits: Edits::default(),
    };
    [plan(false), plan(true)].iter().map(|plan| [&[0], &stored(&plan.checkpoint())[..]].concat()).collect()
}

impl Plan {
    fn checkpoint(&self) -> Checkpoint {
        let segment = |(day, key, length, checksum, chunks): &(String, String, u64, u32, u64)| SegmentRef {
            day: day.clone(),
            key: key.clone(),
            length: *length,
            checksum: *checksum,
            chunks: *chunks,
        };
        let segments: Vec<SegmentRef> = self.segments.iter().map(segment).collect();
        let removed = self.removed.iter();
        let removed = removed.map(|(key, &(seq, applied_ns))| (key.clone(), Removed { seq, applied_ns })).collect();
        let gap = |(from, to, at_ns, reason): &(u64, u64, i64, String)| Gap {
            from: *from,
            to: *to,
            at_ns: *at_ns,
            reason: reason.clone(),
        };
        let quarantined = |(seq, key, length, checksum, messages): &(u64, String, u64, u32, u64)| Quarantined {
            seq: *seq,
            key: key.clone(),
            length: *length,
            checksum: *checksum,
            messages: *messages,
        };
        Checkpoint {
            version: CHECKPOINT_VERSION,
            seq: self.seq,
            next: self.next,
            hash: "ab".repeat(32),
            leader_epoch: self.leader_epoch,
            chunks: segments.iter().fold(0, |sum, segment| segment.chunks.wrapping_add(sum)),
            records: self.records,
            segments,
            sessions: self.sessions.clone(),
            removed,
            gaps: self.gaps.iter().map(gap).collect(),
            quarantine: self.quarantine.iter().map(quarantined).collect(),
        }
    }

    fn run(&self) {
        let checkpoint = self.checkpoint();
        let mut bytes = stored(&checkpoint);
        let named: u128 = checkpoint.segments.iter().map(|segment| u128::from(segment.chunks)).sum();
        let decoded = Checkpoint::decode("key", self.seq, &bytes);
        if named == u128::from(checkpoint.chunks) {
            assert_eq!(decoded.expect("what was written can be read"), checkpoint);
        } else {
            assert!(decoded.is_err(), "its segments name {named} chunks");
        }
        self.edits.apply(&mut bytes);
        read(&bytes);
        read(&reseal(&bytes));
    }
}

fn stored(checkpoint: &Checkpoint) -> Vec<u8> {
    checkpoint.encode().expect("a small checkpoint")
}

fn read(bytes: &[u8]) {
    let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let seq = value.and_then(|value| value.get("seq")?.as_u64()).unwrap_or(1);
    let most = 256 * bytes.len() + (64 << 10);
    let Ok(checkpoint) = memory::at_most(most, || Checkpoint::decode("key", seq, bytes)) else { return };
    let again = stored(&checkpoint);
    assert_eq!(Checkpoint::decode("key", seq, &again).expect("what was written can be read"), checkpoint);
    assert!(Checkpoint::decode("key", seq ^ 1, bytes).is_err(), "a checkpoint stands at its own number only");
}
