use std::collections::BTreeSet;
use std::io::Write as _;

use anyhow::{Context as _, ensure};
use loglake_admin::{Reindexed, reindex_partition};
use serde::Serialize;

use super::args::ReindexArgs;
use super::place::{self, Want};
use super::progress;

/// What became of one partition.
#[derive(Serialize)]
struct Row {
    incarnation: u32,
    partition: u32,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
enum Outcome {
    Replaced { before: Option<u64>, entry: u64, next: u64, chunks: u64 },
    Failed { why: String },
}

/// `loglake admin reindex`: whether every partition was done.
pub(crate) async fn run(args: ReindexArgs) -> anyhow::Result<bool> {
    let place = place::open(args.place, Want::Index).await?;
    let refused = || place.lake.not_checked.first().cloned().unwrap_or_else(|| "there is no index".to_owned());
    let live = place.lake.index.as_ref().with_context(refused)?;
    let chains = loglake_commit::chains(place.lake.store.as_ref(), &place.lake.cluster).await?.0;
    // A partition of the topic may have no chain yet: its index then says that it is empty.
    let of_topic = (0..live.partitions).map(|partition| (live.incarnation, partition));
    let all: BTreeSet<(u32, u32)> = of_topic.chain(chains).collect();
    if let Some(unknown) = args.partition.iter().find(|wanted| !all.iter().any(|(_, partition)| partition == *wanted)) {
        let last = all.iter().map(|(_, partition)| partition).max().map_or_else(|| "none".to_owned(), u32::to_string);
        ensure!(false, "--partition {unknown}: the topic has no such partition; the last one is {last}");
    }
    let is_wanted = |partition: u32| args.partition.is_empty() || args.partition.contains(&partition);
    let wanted: Vec<_> = all.into_iter().filter(|(_, partition)| is_wanted(*partition)).collect();
    let is_one_life = wanted.iter().all(|(life, _)| *life == live.incarnation);

    let progress = progress::shown(args.output);
    progress.stage("partitions", Some(wanted.len() as u64));
    let mut rows = Vec::new();
    for (incarnation, partition) in wanted {
        let chain = place.lake.chain(incarnation, partition);
        let Some(index) = live.of(incarnation) else {
            let why = format!("the bucket has a chain of incarnation {incarnation}, which is newer than the topic's");
            rows.push(Row { incarnation, partition, outcome: Outcome::Failed { why } });
            continue;
        };
        let outcome = match reindex_partition(&chain, index).await {
            Ok(Reindexed { before, after, chunks }) => {
                Outcome::Replaced { before: before.map(|mark| mark.seq), entry: after.seq, next: after.next, chunks }
            }
            Err(error) => Outcome::Failed { why: error.to_string() },
        };
        rows.push(Row { incarnation, partition, outcome });
        progress.advance(1);
    }
    progress.end();
    place.close().await;
    let is_done = rows.iter().all(|row| matches!(row.outcome, Outcome::Replaced { .. }));
    let mut out = std::io::stdout().lock();
    if args.output.json {
        serde_json::to_writer(&mut out, &rows)?;
        writeln!(out)?;
        return Ok(is_done);
    }
    for row in &rows {
        if !is_one_life {
            write!(out, "incarnation {:>3}  ", row.incarnation)?;
        }
        match &row.outcome {
            Outcome::Replaced { before, entry, next, chunks } => {
                let before = before.map_or_else(|| "nothing".to_owned(), |seq| format!("entry {seq}"));
                writeln!(
                    out,
                    "partition {:>4}  replaced  {chunks:>8} chunks, at entry {entry} (offset {next}); was at {before}",
                    row.partition
                )?;
            }
            Outcome::Failed { why } => writeln!(out, "partition {:>4}  FAILED    {why}", row.partition)?,
        }
    }
    Ok(is_done)
}
