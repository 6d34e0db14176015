//! An index that is wrong, and what `--repair` makes of it.

use std::sync::Arc;

use loglake_commit::{Claim, Entry};
use loglake_index::{ChunkIndex as _, EmbeddedIndex, SessionChange, Snapshot};
use loglake_model::ManualClock;

use super::lake::{PARTITION, Small, T0};
use crate::{Code, LiveIndex, Outcome};

impl Small {
    /// Makes the index say something else.
    async fn lie(&self, change: impl FnOnce(&mut Snapshot)) {
        let token = self.index.begin_rebuild(PARTITION).await.unwrap();
        let mut says = self.index.dump(PARTITION).await.unwrap().unwrap();
        let before = says.watermark;
        change(&mut says);
        assert!(self.index.replace(PARTITION, &token, Some(before), &says).await.unwrap());
    }

    /// Finds exactly `codes`, mends all of it, and then finds nothing.
    async fn is_mended(&self, codes: &[Code]) {
        assert_eq!(self.codes().await, codes);
        let report = self.check(false, true).await;
        assert!(report.is_clean() && report.findings.len() == codes.len(), "{report}");
        assert!(report.findings.iter().all(|finding| finding.outcome == Outcome::Mended), "{report}");
        assert!(report.to_string().contains("MENDED"), "{report}");
        assert_eq!(self.codes().await, []);
        let says = self.index.dump(PARTITION).await.unwrap().unwrap();
        let state = self.chain().read().await.unwrap();
        assert_eq!(says.live.len(), state.live.len());
        assert_eq!(says.watermark, state.snapshot().watermark);
    }
}

#[tokio::test]
async fn an_index_that_lies_about_a_chunk_is_replaced() {
    let small = Small::new().await;
    small.lie(|says| says.live[1].records += 1).await;
    let found = small.check(false, false).await.findings;
    assert!(found[0].what.contains("is wrong about 1 chunk(s)") && found[0].can_repair, "{found:?}");
    small.is_mended(&[Code::IndexDiffers]).await;
}

#[tokio::test]
async fn an_index_that_lacks_a_chunk_or_has_one_too_many_is_replaced() {
    let small = Small::new().await;
    small.lie(|says| drop(says.live.remove(0))).await;
    small.is_mended(&[Code::IndexDiffers]).await;
    let extra = small.chunk(1, 0..10, |id| id.index == 0).await;
    small.lie(|says| says.live.push(extra.clone())).await;
    let found = small.check(false, false).await.findings;
    assert!(found[0].what.contains("has too many 1 chunk(s)") && found[0].what.contains(&extra.key), "{found:?}");
    small.store.delete(&extra.key).await.unwrap();
    small.is_mended(&[Code::IndexDiffers]).await;
}

#[tokio::test]
async fn watermarks_and_sessions_must_be_the_chains() {
    let small = Small::new().await;
    small.lie(|says| says.watermark.next += 5).await;
    small.is_mended(&[Code::IndexDiffers]).await;
    small.lie(|says| says.sessions[0].state = Some("{\"other\":1}".to_owned())).await;
    small.is_mended(&[Code::IndexDiffers]).await;
    small.lie(|says| says.sessions.push(SessionChange { session: "ff".to_owned(), state: Some("1".to_owned()) })).await;
    small.is_mended(&[Code::IndexDiffers]).await;
}

#[tokio::test]
async fn an_index_ahead_of_the_chain_is_brought_back() {
    let small = Small::new().await;
    small.lie(|says| (says.watermark.seq, says.watermark.next) = (9, 90)).await;
    small.is_mended(&[Code::IndexAhead]).await;
    // A partition that has no chain at all.
    let token = small.index.begin_rebuild(0).await.unwrap();
    let mut says = small.index.dump(PARTITION).await.unwrap().unwrap();
    says.live.clear();
    assert!(small.index.replace(0, &token, None, &says).await.unwrap());
    small.is_mended(&[Code::IndexAhead]).await;
}

#[tokio::test]
async fn an_index_that_is_behind_is_caught_up() {
    let small = Small::new().await;
    let entry = small.entry(30..40).await;
    assert!(matches!(small.chain().claim(&entry).await.unwrap(), Claim::Won(_)));
    assert!(small.check(false, false).await.is_clean(), "it is only behind");
    small.is_mended(&[Code::IndexBehind]).await;
}

#[tokio::test]
async fn a_missing_index_is_rebuilt() {
    let small = Small::new().await;
    // What the chain removes and the index lacks makes the index drop what it has.
    let mut bad = small.entry(30..40).await.change();
    let key = bad.adds[0].key.clone();
    bad.removes = std::mem::take(&mut bad.adds);
    small.index.apply(PARTITION, &bad).await.unwrap();
    small.store.delete(&key).await.unwrap();
    assert!(!small.check(false, false).await.is_clean());
    small.is_mended(&[Code::IndexMissing]).await;
}

#[tokio::test]
async fn nothing_is_mended_from_a_broken_chain() {
    let small = Small::new().await;
    small.lie(|says| says.watermark.seq = 2).await;
    small.alter_entry(2, |entry: &mut Entry| entry.writer = "x".to_owned()).await;
    let report = small.check(false, true).await;
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::WrongPreviousHash]);
    assert!(!report.is_clean() && report.not_checked[0].contains("broken"), "{report}");
    assert_eq!(small.index.watermark(PARTITION).await.unwrap().unwrap().seq, 2, "left as it was");
}

#[tokio::test]
async fn the_index_of_an_older_life_is_looked_at_and_mended_too() {
    let mut small = Small::new().await;
    let clock = Arc::new(ManualClock::at(T0));
    let next =
        loglake_commit::incarnation(&*small.store, "default", "topic made anew", 2, &*clock, true).await.unwrap();
    assert_eq!(next, 1);
    let folder = tempfile::tempdir().unwrap();
    // A new index, which knows nothing of the first life's chain.
    let index = Arc::new(EmbeddedIndex::open(folder.path(), "default", next, clock).unwrap());
    let live = LiveIndex::new(next, 2, index.clone()).with_older(&*small.store, "default").await.unwrap();
    small.lake.index = Some(live);
    let found = small.check(false, false).await.findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].code, found[0].incarnation, found[0].partition),
        (Code::IndexMissing, Some(0), Some(PARTITION))
    );
    assert!(small.check(false, true).await.is_clean());
    assert_eq!(small.codes().await, []);
    let older = index.older(0).await.unwrap().dump(PARTITION).await.unwrap().unwrap();
    assert_eq!(older.live.len(), 3);
}
