//! Checks a lake: chains, chunks, quarantine, index, and what else lies in the bucket.

mod bucket;
mod chunk;
mod compare;
mod finding;
mod ids;
mod lines;
mod quarantine;
mod repair;
mod report;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_model::ChunkMeta;

use self::bucket::Named;
use self::chunk::Checked;
pub use self::finding::{Code, Finding, Outcome, Severity};
use self::ids::RecordSet;
pub use self::report::{Report, Totals};
use self::walk::Walked;
use crate::{Error, Lake, Progress};

/// Footers read at a time.
const FOOTERS: usize = 16;
/// Chunks read wholly at a time.
const CHUNKS: usize = 4;

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Read every byte of every live chunk and quarantine object, and count every record.
    pub deep: bool,
    /// Mend what can be mended.
    pub repair: bool,
    /// How long to wait before a finding is looked at again.
    pub second_look: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { deep: false, repair: false, second_look: Duration::from_secs(2) }
    }
}

/// Checks `lake`. Nothing is changed without [`Options::repair`]; with it the index is brought to what the chains say and stale
/// files go. No object is ever deleted or changed.
///
/// Memory: some 50 bytes a live chunk of the bucket, all live chunks of one partition, and, if deep, a bit a record and some
/// 60 bytes a message of those chunks whose offsets overlap.
///
/// # Errors
/// `Unavailable` and the like when the bucket or the index cannot be read: then nothing is known.
pub async fn fsck(lake: &Lake, options: &Options, progress: &dyn Progress) -> Result<Report, Error> {
    let mut check = Check { lake, options, progress, named: Named::default(), report: begin(lake, options) };
    let lives = check.lives().await?;
    for (incarnation, partition) in check.partitions(&lives).await? {
        check.partition(incarnation, partition).await?;
    }
    check.bucket().await?;
    check.files();
    let mut report = check.report;
    if options.repair {
        repair::repair(lake, &mut report.findings).await?;
    }
    report.sum_up();
    Ok(report)
}

fn begin(lake: &Lake, options: &Options) -> Report {
    Report {
        version: 1,
        cluster: lake.cluster.clone(),
        deep: options.deep,
        repair: options.repair,
        clean: false,
        faults: 0,
        notes: 0,
        totals: Totals::default(),
        findings: Vec::new(),
        not_checked: lake.not_checked.clone(),
    }
}

struct Check<'a> {
    lake: &'a Lake,
    options: &'a Options,
    progress: &'a dyn Progress,
    named: Named,
    report: Report,
}

impl Check<'_> {
    /// The lives of the topic that are written down.
    async fn lives(&mut self) -> Result<BTreeSet<u32>, Error> {
        let (mut numbers, mut topics) = (BTreeSet::new(), BTreeSet::new());
        for life in loglake_commit::lives(self.lake.store.as_ref(), &self.lake.cluster).await? {
            match life {
                Ok(life) => {
                    numbers.insert(life.number);
                    if !topics.insert(life.topic_id.clone()) {
                        let what =
                            format!("Life {} is of topic {}, which has another number.", life.number, life.topic_id);
                        self.report.findings.push(Finding::new(Code::LifeTwice, format!("life {}", life.number), what));
                    }
                }
                Err(error) => {
                    let is_newer = matches!(error, loglake_commit::Error::Newer { .. });
                    let code = if is_newer { Code::Newer } else { Code::LifeUnreadable };
                    let what = format!("A life of the topic cannot be read: {error}.");
                    self.report.findings.push(Finding::new(code, "commits/…/incarnations/", what));
                }
            }
        }
        self.report.totals.incarnations = numbers.len() as u64;
        Ok(numbers)
    }

    /// All partitions that have a chain or should have an index.
    async fn partitions(&mut self, lives: &BTreeSet<u32>) -> Result<BTreeSet<(u32, u32)>, Error> {
        let (chains, strangers) = loglake_commit::chains(self.lake.store.as_ref(), &self.lake.cluster).await?;
        for key in strangers {
            self.report.findings.push(Finding::new(
                Code::Stranger,
                key,
                "No object of this name belongs among chains.",
            ));
        }
        self.report.totals.partitions = chains.len() as u64;
        let strays: BTreeSet<u32> = chains.iter().map(|(life, _)| *life).filter(|life| !lives.contains(life)).collect();
        if !strays.is_empty() {
            // A life that began just now is written down before its first chain.
            let now = loglake_commit::lives(self.lake.store.as_ref(), &self.lake.cluster).await?;
            let now: BTreeSet<u32> = now.into_iter().flatten().map(|life| life.number).collect();
            for life in strays.difference(&now) {
                let what = format!("There are chains of life {life} of the topic, which is written down nowhere.");
                self.report.findings.push(Finding::new(Code::LifeMissing, format!("life {life}"), what));
            }
        }
        let mut all: BTreeSet<(u32, u32)> = chains.into_iter().collect();
        if let Some(live) = &self.lake.index {
            all.extend((0..live.partitions).map(|partition| (live.incarnation, partition)));
        }
        Ok(all)
    }

    /// Chain, index and chunks of one partition; what is found is looked at a second time.
    async fn partition(&mut self, incarnation: u32, partition: u32) -> Result<(), Error> {
        let mut walked = walk::walk(self.lake, incarnation, partition).await?;
        let stage = format!("partition {partition} (life {incarnation})");
        self.progress.stage(&stage, Some(walked.live.len() as u64 + walked.quarantine.len() as u64));
        let mut suspects = self.chunks(&walked, incarnation, partition).await?;
        suspects.extend(self.quarantine(&walked, incarnation, partition).await?);
        self.progress.end();
        if !walked.findings.is_empty() || !suspects.is_empty() {
            tokio::time::sleep(self.options.second_look).await;
            let again = walk::walk(self.lake, incarnation, partition).await?;
            let first = std::mem::replace(&mut walked, again).findings;
            walked.findings.retain(|finding| first.iter().any(|before| before.is_same(finding)));
            for suspect in suspects {
                if self.is_still(&walked, &suspect, incarnation, partition).await? {
                    self.report.findings.push(suspect);
                }
            }
            self.report.findings.append(&mut walked.findings);
        }
        if !walked.is_whole && self.lake.index_of(incarnation).is_some() {
            let what = format!("the index of partition {partition} against its chain, which is broken");
            self.report.not_checked.push(what);
        }
        let totals = &mut self.report.totals;
        totals.entries += walked.entries;
        totals.chunks += walked.live.len() as u64;
        totals.quarantine_objects += walked.quarantine.len() as u64;
        for chunk in walked.live.values() {
            totals.records += chunk.records;
            totals.stored_bytes += chunk.length;
            self.named.chunk(&chunk.key, chunk.length);
        }
        for key in &walked.removed {
            self.named.removed(key);
        }
        for object in &walked.quarantine {
            totals.quarantined_messages += object.messages;
            self.named.quarantine(&object.key);
        }
        self.named.tail(incarnation, partition, walked.seq);
        Ok(())
    }

    /// Checks all live chunks, in the order of their lowest offset.
    async fn chunks(&mut self, walked: &Walked, incarnation: u32, partition: u32) -> Result<Vec<Finding>, Error> {
        let (lake, is_deep) = (self.lake, self.options.deep);
        let mut chunks: Vec<&ChunkMeta> = walked.live.values().collect();
        chunks.sort_by_key(|chunk| chunk.lowest_offset);
        let at_once = if is_deep { CHUNKS } else { FOOTERS };
        let checks = chunks.iter().map(|chunk| chunk::check(lake, chunk, incarnation, partition, is_deep));
        let mut checks = stream::iter(checks).buffered(at_once);
        let (mut findings, mut seen, mut at) = (Vec::new(), RecordSet::default(), 0);
        while let Some(Checked { findings: found, ids, read_bytes }) = checks.try_next().await? {
            findings.extend(found);
            self.report.totals.read_bytes += read_bytes;
            let chunk = chunks[at];
            // Chunks to come hold nothing below their lowest offsets.
            seen.forget_below(chunk.lowest_offset);
            let (twice, first) = seen.merge(ids);
            if let Some((offset, index)) = first {
                let what = format!(
                    "{twice} of its records stand in other live chunks too, such as \
                     {incarnation}-{partition}-{offset}-{index}: queries return them twice."
                );
                findings.push(Finding::new(Code::RecordTwice, &chunk.key, what).at(incarnation, partition));
            }
            at += 1;
            self.progress.advance(1);
        }
        Ok(findings)
    }

    async fn quarantine(&mut self, walked: &Walked, incarnation: u32, partition: u32) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for object in &walked.quarantine {
            let found = quarantine::check(self.lake, object).await?;
            findings.extend(found.map(|finding| finding.at(incarnation, partition)));
            self.progress.advance(1);
        }
        Ok(findings)
    }

    /// Whether a suspect is live still, and still what it was found to be.
    async fn is_still(&self, now: &Walked, suspect: &Finding, incarnation: u32, partition: u32) -> Result<bool, Error> {
        if let Some(object) = now.quarantine.iter().find(|object| object.key == suspect.subject) {
            return Ok(quarantine::check(self.lake, object).await?.is_some_and(|finding| finding.code == suspect.code));
        }
        let Some(chunk) = now.live.get(&suspect.subject) else { return Ok(false) };
        // Records never change places while a chunk is live.
        if suspect.code == Code::RecordTwice {
            return Ok(true);
        }
        let again = chunk::check(self.lake, chunk, incarnation, partition, self.options.deep).await?;
        Ok(again.findings.iter().any(|finding| finding.is_same(suspect)))
    }

    async fn bucket(&mut self) -> Result<(), Error> {
        let other = loglake_commit::other_cluster(self.lake.store.as_ref(), &self.lake.cluster).await?;
        if let Some(other) = &other {
            let what =
                format!("objects under data/ that nobody names: another cluster, {other:?}, uses this bucket too");
            self.report.not_checked.push(what);
        }
        let found = bucket::look(self.lake, &mut self.named, other.is_none(), self.progress).await?;
        for finding in found {
            if !self
                .report
                .findings
                .iter()
                .any(|known| (known.code, &known.subject) == (finding.code, &finding.subject))
            {
                self.report.findings.push(finding);
            }
        }
        Ok(())
    }

    /// What only a folder has.
    fn files(&mut self) {
        if let Some((files, bytes)) = self.lake.folder.as_ref().map(|folder| folder.stale_files())
            && files > 0
        {
            let what = format!("{files} file(s) of {bytes} bytes that an earlier process left half written.");
            self.report.findings.push(Finding::new(Code::StaleFiles, ".tmp", what));
        }
    }
}
