//! The other way round: every object in the bucket, and whether some chain names it.

use std::collections::{BTreeMap, HashMap, HashSet};

use loglake_commit::{Origin, TARGET_SLACK, chunk_origin, quarantine_origin, quarantine_prefix};
use loglake_store::{Object, ObjectStore};
use sha2::{Digest as _, Sha256};

use super::{Code, Finding};
use crate::{Error, Lake, Progress};

/// Orphans that are kept in memory for the second look; past it they are only counted.
const MAX_KEPT: usize = 200_000;
/// Strangers named one by one.
const MAX_STRANGERS: usize = 20;

/// What the chains name, in little memory.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Length of each live chunk, by a hash of its key.
    chunks: HashMap<[u8; 16], u64>,
    /// Chunks that are live no more and may be there for a while.
    removed: HashSet<[u8; 16]>,
    /// Quarantine objects.
    quarantine: HashSet<String>,
    /// Where each chain ended.
    tails: BTreeMap<(u32, u32), u64>,
}

fn hash(key: &str) -> [u8; 16] {
    let digest = Sha256::digest(key.as_bytes());
    std::array::from_fn(|at| digest[at])
}

impl Named {
    pub(crate) fn chunk(&mut self, key: &str, length: u64) {
        self.chunks.insert(hash(key), length);
    }

    pub(crate) fn removed(&mut self, key: &str) {
        self.removed.insert(hash(key));
    }

    pub(crate) fn quarantine(&mut self, key: &str) {
        self.quarantine.insert(key.to_owned());
    }

    pub(crate) fn tail(&mut self, incarnation: u32, partition: u32, seq: u64) {
        self.tails.insert((incarnation, partition), seq);
    }
}

/// Objects that nobody names.
#[derive(Debug, Default)]
struct Orphans {
    kept: Vec<(Object, Origin)>,
    uncounted: u64,
    strangers: Vec<String>,
    stranger_count: u64,
}

impl Orphans {
    fn stranger(&mut self, key: String) {
        self.stranger_count += 1;
        if self.strangers.len() < MAX_STRANGERS {
            self.strangers.push(key);
        }
    }

    fn orphan(&mut self, object: Object, origin: Origin) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push((object, origin));
        } else {
            self.uncounted += 1;
        }
    }
}

/// Lists `data/` and the cluster's quarantine. `is_alone`: no other cluster keeps its chunks in this bucket.
pub(crate) async fn look(
    lake: &Lake,
    named: &mut Named,
    is_alone: bool,
    progress: &dyn Progress,
) -> Result<Vec<Finding>, Error> {
    let (mut findings, mut orphans) = (Vec::new(), Orphans::default());
    progress.stage("objects in the bucket", None);
    if is_alone {
        each(lake.store.as_ref(), "data/", progress, |object| match named.chunks.get(&hash(&object.key)) {
            Some(length) if *length != object.length => {
                let what = format!("It has {} bytes; the chain says that it has {length}.", object.length);
                findings.push(Finding::new(Code::ChunkLength, &object.key, what));
            }
            Some(_) => {}
            None if named.removed.contains(&hash(&object.key)) => {}
            None => match chunk_origin(&object.key) {
                Some(origin) => orphans.orphan(object, origin),
                None => orphans.stranger(object.key),
            },
        })
        .await?;
    }
    let folder = quarantine_prefix(&lake.cluster);
    each(lake.store.as_ref(), &folder, progress, |object| {
        if !named.quarantine.contains(&object.key) {
            match quarantine_origin(&lake.cluster, &object.key) {
                Some(origin) => orphans.orphan(object, origin),
                None => orphans.stranger(object.key),
            }
        }
    })
    .await?;
    progress.end();
    claimed_since(lake, named, &mut orphans).await?;
    findings.extend(verdicts(named, &orphans));
    Ok(findings)
}

async fn each(
    store: &dyn ObjectStore,
    prefix: &str,
    progress: &dyn Progress,
    mut object: impl FnMut(Object),
) -> Result<(), Error> {
    let mut after = None::<String>;
    loop {
        let page = store.list(prefix, after.as_deref()).await?;
        progress.advance(page.objects.len() as u64);
        let Some(last) = page.objects.last() else { return Ok(()) };
        after = Some(last.key.clone());
        page.objects.into_iter().for_each(&mut object);
        if !page.has_more {
            return Ok(());
        }
    }
}

/// The second look: what entries written meanwhile name is no orphan.
async fn claimed_since(lake: &Lake, named: &mut Named, orphans: &mut Orphans) -> Result<(), Error> {
    let chains: HashSet<(u32, u32)> = orphans.kept.iter().map(|(_, of)| (of.incarnation, of.partition)).collect();
    let mut claimed = HashSet::new();
    for (incarnation, partition) in chains {
        let tail = named.tails.get(&(incarnation, partition)).copied().unwrap_or(0);
        match lake.chain(incarnation, partition).entries_after(tail).await {
            Ok(None) => {
                // Folded past what is known: its whole state tells.
                let state = lake.chain(incarnation, partition).read().await?;
                named.tail(incarnation, partition, state.tail.seq);
                claimed.extend(state.live.into_keys().chain(state.removed.into_keys()));
                claimed.extend(state.quarantine.into_iter().map(|object| object.key));
            }
            Ok(Some(entries)) => {
                for (entry, _) in entries {
                    claimed.extend(entry.adds.into_iter().map(|chunk| chunk.key));
                    claimed.extend(entry.quarantine.map(|object| object.key));
                    named.tail(incarnation, partition, entry.seq);
                }
            }
            Err(error) if error.kind().is_retryable() => return Err(error.into()),
            // A broken chain was told of already.
            Err(_) => {}
        }
    }
    orphans.kept.retain(|(object, _)| !claimed.contains(&object.key));
    Ok(())
}

fn verdicts(named: &Named, orphans: &Orphans) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_left_over = |of: &Origin| {
        let tail = named.tails.get(&(of.incarnation, of.partition));
        tail.is_some_and(|tail| *tail > of.target.saturating_add(TARGET_SLACK))
    };
    let (left, waiting): (Vec<_>, Vec<_>) = orphans.kept.iter().partition(|(_, origin)| is_left_over(origin));
    let why_left = "their chains are past the point where anybody could still name them";
    let why_waiting = "a flush that runs now, or one that was cut off: a writer might still name them";
    for (code, of, why) in [(Code::LeftOver, left, why_left), (Code::Waiting, waiting, why_waiting)] {
        let Some((first, _)) = of.first() else { continue };
        let bytes: u64 = of.iter().map(|(object, _)| object.length).sum();
        let more = if orphans.uncounted > 0 {
            format!(" ({} more were not looked at)", orphans.uncounted)
        } else {
            String::new()
        };
        let what = format!("{} object(s) of {bytes} bytes{more} that no chain names: {why}.", of.len());
        findings.push(Finding::new(code, &first.key, what));
    }
    for key in &orphans.strangers {
        findings.push(Finding::new(Code::Stranger, key, "No object of this name belongs here."));
    }
    let unnamed = orphans.stranger_count - orphans.strangers.len() as u64;
    if unnamed > 0 {
        findings.push(Finding::new(Code::Stranger, "data/", format!("{unnamed} more objects do not belong here.")));
    }
    findings
}
