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
    let with_chains = chains.into_iter().filter(|(life, _)| *life == live.incarnation).map(|(_, partition)| partition);
    let all: BTreeSet<u32> = (0..live.partitions).chain(with_chains).collect();
    if let Some(unknown) = args.partition.iter().find(|partition| !all.contains(partition)) {
        let last = all.last().map_or_else(|| "none".to_owned(), u32::to_string);
        ensure!(false, "--partition {unknown}: the topic has no such partition; the last one is {last}");
    }
    let wanted: BTreeSet<u32> = if args.partition.is_empty() { all } else { args.partition.iter().copied().collect() };

    let progress = progress::shown(args.output);
    progress.stage("partitions", Some(wanted.len() as u64));
    let mut rows = Vec::new();
    for partition in wanted {
        let chain = place.lake.chain(live.incarnation, partition);
        let outcome = match reindex_partition(&chain, live.index.as_ref()).await {
            Ok(Reindexed { before, after, chunks }) => {
                Outcome::Replaced { before: before.map(|mark| mark.seq), entry: after.seq, next: after.next, chunks }
            }
            Err(error) => Outcome::Failed { why: error.to_string() },
        };
        rows.push(Row { partition, outcome });
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
