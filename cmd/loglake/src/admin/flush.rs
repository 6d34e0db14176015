use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, ensure};
use loglake_auth::internal::InternalKey;
use loglake_auth::keys::ClusterSecret;
use loglake_model::{Clock as _, SystemClock};
use loglake_process::{FlushedPartition, ask_to_flush};
use serde::Serialize;

use super::args::FlushArgs;
use super::place::{self, Want};
use crate::data_folder::DataFolder;
use crate::processor::tail_url;

/// Leases looked for: more partitions than any topic of ours begins with.
const MAX_PARTITIONS: u32 = 10_000;

/// What became of one partition.
#[derive(Serialize)]
struct Row {
    partition: u32,
    is_done: bool,
    before: u64,
    until: u64,
    flushed: u64,
    problem: Option<String>,
}

/// `loglake admin flush`: whether everything is in chunks that was to be.
pub(crate) async fn run(args: FlushArgs) -> anyhow::Result<bool> {
    let (is_folder, config) = place::config(args.place)?;
    let secret = match &config.cluster_secret {
        Some(secret) => secret.clone(),
        None if is_folder => DataFolder::existing(&config.data)?.secret()?,
        None => anyhow::bail!("cluster_secret is not set; set LOGLAKE_CLUSTER_SECRET, or cluster_secret in the file"),
    };
    let key = InternalKey::new(&ClusterSecret::from_text(secret.expose())?);
    let owners = match &args.tail {
        Some(address) => BTreeMap::from([(url(address, config.is_tail_secured()), args.partition.clone())]),
        None if is_folder => BTreeMap::from([(tail_url(&config), args.partition.clone())]),
        None => owners(&config, &args.partition).await?,
    };
    let trust = loglake_service::trust(&config)?;
    let asks = owners.iter().map(|(address, partitions)| {
        let (key, trust) = (&key, &trust);
        async move {
            let answer = ask_to_flush(address, trust, key, SystemClock.now_ns(), partitions, args.wait).await;
            (partitions, answer)
        }
    });
    let mut rows = Vec::new();
    for (partitions, answer) in futures_util::future::join_all(asks).await {
        match answer {
            Ok(flushed) => rows.extend(flushed.iter().map(row)),
            // Nobody else is asked: then there is nothing to report.
            Err(error) if owners.len() == 1 => {
                let hint = if is_folder { "; is `loglake dev` running? --tail names another address" } else { "" };
                return Err(anyhow::Error::new(error).context(format!("not flushed{hint}")));
            }
            Err(error) => rows.extend(partitions.iter().map(|partition| failed(*partition, error.to_string()))),
        }
    }
    for partition in &args.partition {
        if !rows.iter().any(|row| row.partition == *partition) {
            rows.push(failed(*partition, "nobody holds it; is a processor running?".to_owned()));
        }
    }
    rows.sort_by_key(|row| row.partition);
    let is_done = rows.iter().all(|row| row.is_done);
    show(&rows, args.output.json)?;
    Ok(is_done)
}

fn url(address: &str, is_secured: bool) -> String {
    let scheme = if is_secured { "https" } else { "http" };
    if address.contains("://") { address.to_owned() } else { format!("{scheme}://{address}") }
}

/// The processors that say in the index that they hold partitions, with those partitions that are wanted.
async fn owners(config: &loglake_service::Config, wanted: &[u32]) -> anyhow::Result<BTreeMap<String, Vec<u32>>> {
    let place = place::cluster(config, Want::Index).await?;
    let none = || place.lake.not_checked.first().cloned().unwrap_or_else(|| "there is no index".to_owned());
    let live = place.lake.index.as_ref().with_context(none)?;
    let partitions: Vec<u32> = if wanted.is_empty() { (0..MAX_PARTITIONS).collect() } else { wanted.to_vec() };
    let names: Vec<String> =
        partitions.iter().map(|partition| format!("owner:{}:{partition}", live.incarnation)).collect();
    let mut owners = BTreeMap::<String, Vec<u32>>::new();
    for (partition, lease) in partitions.into_iter().zip(live.index.leases(&names).await?) {
        if let Some(lease) = lease {
            owners.entry(lease.value).or_default().push(partition);
        }
    }
    ensure!(!owners.is_empty(), "no processor holds a partition of this cluster; is one running?");
    Ok(owners)
}

fn row(of: &FlushedPartition) -> Row {
    let problem = match (of.is_held, of.is_done()) {
        (_, true) => None,
        (false, _) => Some("it went to another processor, or nobody holds it: try again".to_owned()),
        (true, false) => Some("not within the time; --wait gives it more".to_owned()),
    };
    let FlushedPartition { partition, before, until, flushed, .. } = *of;
    Row { partition, is_done: of.is_done(), before, until, flushed, problem }
}

fn failed(partition: u32, why: String) -> Row {
    Row { partition, is_done: false, before: 0, until: 0, flushed: 0, problem: Some(why) }
}

fn show(rows: &[Row], is_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if is_json {
        serde_json::to_writer(&mut out, rows)?;
        writeln!(out)?;
        return Ok(());
    }
    for Row { partition, before, flushed, problem, .. } in rows {
        match problem {
            Some(why) => writeln!(out, "partition {partition:>4}  NOT FLUSHED  {why}")?,
            None if flushed == before => {
                writeln!(out, "partition {partition:>4}  nothing to flush, at offset {flushed}")?
            }
            None => writeln!(
                out,
                "partition {partition:>4}  flushed  offsets {before} to {flushed}, {} of them",
                flushed.saturating_sub(*before)
            )?,
        }
    }
    Ok(())
}
