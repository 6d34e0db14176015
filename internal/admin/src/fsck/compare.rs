//! The index against the chain.

use std::collections::{BTreeMap, BTreeSet};

use loglake_index::{Snapshot, stored_by_tenant};
use loglake_model::ChunkMeta;

use super::walk::{IndexView, Said, Walked};
use super::{Code, Finding};

/// What the index says otherwise than the chain, both at the same entry.
pub(crate) fn differences(said: &Said, chain: &Walked) -> Vec<Finding> {
    let (mut found, index) = (Vec::new(), &said.snapshot);
    let seq = index.watermark.seq;
    if index.watermark.next != chain.next {
        let what = format!(
            "At entry {seq} the index says that chunks end at offset {}; the chain says {}.",
            index.watermark.next, chain.next
        );
        found.push(Finding::new(Code::IndexDiffers, "watermark", what));
    }
    let there: BTreeMap<&str, &ChunkMeta> = index.live.iter().map(|chunk| (chunk.key.as_str(), chunk)).collect();
    let lacking: Vec<&str> = chain.live.keys().map(String::as_str).filter(|key| !there.contains_key(key)).collect();
    let extra: Vec<&str> = there.keys().copied().filter(|key| !chain.live.contains_key(*key)).collect();
    let other: Vec<&str> = there
        .iter()
        .filter(|(key, chunk)| chain.live.get(**key).is_some_and(|live| live != **chunk))
        .map(|(key, _)| *key)
        .collect();
    let parts: Vec<String> = [("lacks", lacking), ("has too many", extra), ("is wrong about", other)]
        .into_iter()
        .filter_map(|(verb, keys)| keys.first().map(|first| format!("{verb} {} chunk(s), such as {first}", keys.len())))
        .collect();
    if !parts.is_empty() {
        let what = format!("At entry {seq} the index {}.", parts.join("; it "));
        found.push(Finding::new(Code::IndexDiffers, "chunks", what));
    } else if let Some(finding) = sums(said, index, chain) {
        // Sums of other chunks are others: no news.
        found.push(finding);
    }
    let sessions: BTreeMap<&str, &str> = index
        .sessions
        .iter()
        .filter_map(|session| Some((session.session.as_str(), session.state.as_deref()?)))
        .collect();
    if index.gaps != chain.gaps {
        let what = format!("At entry {seq} the index's gaps are not those of the chain.");
        found.push(Finding::new(Code::IndexDiffers, "gaps", what));
    }
    let is_equal = sessions.len() == chain.sessions.len()
        && sessions.iter().all(|(name, state)| chain.sessions.get(*name).is_some_and(|held| held == state));
    if !is_equal {
        let what = format!(
            "At entry {seq} the index's states of client sessions ({}) are not those of the chain ({}).",
            sessions.len(),
            chain.sessions.len()
        );
        found.push(Finding::new(Code::IndexDiffers, "sessions", what));
    }
    found
}

/// What is wrong with the tenants' stored bytes.
fn sums(said: &Said, index: &Snapshot, chain: &Walked) -> Option<Finding> {
    let (told, right) = (said.stored.as_ref()?, stored_by_tenant(chain.live.values()));
    let tenants = told.keys().chain(right.keys()).collect::<BTreeSet<_>>();
    let wrong: Vec<_> = tenants.into_iter().filter(|tenant| told.get(*tenant) != right.get(*tenant)).collect();
    let of = |sums: &BTreeMap<_, u64>| sums.get(*wrong.first()?).copied();
    let what = format!(
        "At entry {} the index's stored bytes are wrong for {} tenant(s), such as {}: it says {}, the chain's chunks have {}.",
        index.watermark.seq,
        wrong.len(),
        wrong.first()?,
        of(told).unwrap_or(0),
        of(&right).unwrap_or(0),
    );
    Some(Finding::new(Code::IndexDiffers, "stored bytes", what))
}

/// How the index stands to the end of the chain.
pub(crate) fn at_the_end(view: &IndexView, chain: &mut Walked) {
    let finding = match view {
        // A broken chain says nothing for certain.
        _ if !chain.is_whole => return,
        IndexView::None => return,
        IndexView::Unreadable(why) => {
            Finding::new(Code::IndexUnreadable, "entries", format!("The index has entries that cannot be read: {why}."))
        }
        IndexView::Read(None) if chain.seq == 0 => return,
        IndexView::Read(None) => {
            let what = format!(
                "The index has nothing of this partition; the chain has {} entries: queries are refused or incomplete \
                 until it is rebuilt, which its processor does.",
                chain.seq
            );
            Finding::new(Code::IndexMissing, "watermark", what)
        }
        IndexView::Read(Some(said)) if said.snapshot.watermark.seq < chain.seq => {
            let (at, end) = (said.snapshot.watermark.seq, chain.seq);
            let what = format!(
                "The index is at entry {at}, the chain ends at {end}: the partition's processor applies the rest when it \
                 flushes or starts."
            );
            // Named by where it stands: an index that moves between two looks is followed, not stuck.
            Finding::new(Code::IndexBehind, format!("at entry {at}"), what)
        }
        IndexView::Read(Some(said)) if said.snapshot.watermark.seq > chain.seq => {
            let (at, end) = (said.snapshot.watermark.seq, chain.seq);
            let what = format!(
                "The index is at entry {at}, but the chain ends at {end}: either the index belongs to another bucket, or \
                 objects of the chain were removed. Queries skip what lies between."
            );
            Finding::new(Code::IndexAhead, "watermark", what)
        }
        IndexView::Read(Some(_)) => return,
    };
    chain.findings.push(finding);
}
