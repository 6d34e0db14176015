//! The load test of ingest: a rate or all that the server takes, for a while, with probes of freshness beside it; then everything that
//! was acknowledged must be there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use loglake_agent::thousands;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::corpus::Corpus;
use crate::freshness::{self, Freshness};
use crate::queries::{Asker, check_counts};
use crate::send::{Job, Pace, Protocol, send};
use crate::server::Urls;
use crate::stats::Percentiles;

/// What became of the load over one protocol.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome {
    /// How the records came.
    pub protocol: Protocol,
    /// What was wanted, records a second; `None` for all that the server takes.
    pub wanted_rate: Option<f64>,
    /// What was acknowledged, records a second.
    pub rate: f64,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Acknowledgements of batches, milliseconds.
    pub acknowledgements: Percentiles,
    /// From acknowledgement to answer.
    pub freshness: Freshness,
}

/// Sends for a while by `protocol`, and adds what was acknowledged to `held`, by service.
///
/// # Errors
/// The server fails or refuses a record.
pub async fn run(
    corpus: &Arc<Corpus>,
    urls: &Urls,
    job: &Job,
    held: &mut BTreeMap<String, u64>,
) -> anyhow::Result<Outcome> {
    let over = CancellationToken::new();
    let probes = freshness::probe(urls.clone(), job.tenant.clone(), corpus.settings.seed, over.clone());
    let probes = tokio::spawn(probes);
    let sent = send(corpus, urls, job).await;
    over.cancel();
    let freshness = probes.await.context("the probes panicked")??;
    let sent = sent?;
    ensure!(sent.refused == 0, "{} records were refused", sent.refused);
    for (service, count) in corpus.services_of(sent.acknowledgements.len())? {
        *held.entry(service).or_default() += count;
    }
    *held.entry(freshness::SERVICE.to_owned()).or_default() += (freshness.milliseconds.count + freshness.lost) as u64;
    Ok(Outcome {
        protocol: job.protocol,
        wanted_rate: if let Pace::Rate(rate) = job.pace { Some(rate) } else { None },
        rate: sent.rate(),
        acknowledged: sent.acknowledged,
        acknowledgements: Percentiles::of(&sent.acknowledgements),
        freshness,
    })
}

/// Checks that all that was acknowledged is returned, no more and no less.
///
/// # Errors
/// It is not: records were dropped or doubled; says which service lacks how many.
pub async fn check(held: &BTreeMap<String, u64>, urls: &Urls, tenant: Option<&str>) -> anyhow::Result<()> {
    check_counts(held, &Asker::new(urls, tenant)).await
}

/// The outcomes as a table of Markdown.
#[must_use]
pub fn table(outcomes: &[Outcome], took: Duration) -> String {
    let mut text = format!("{:.0} s a protocol.\n\n", took.as_secs_f64());
    text += "| ingest | records/s wanted | acknowledged | ack p50, ms | p95 | p99 | max | fresh p50, ms | p95 | p99 | probes | late | lost |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for outcome in outcomes {
        let Outcome { protocol, wanted_rate, rate, acknowledgements: acks, freshness, .. } = outcome;
        let fresh = freshness.milliseconds;
        text += &format!(
            "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} | {} |\n",
            protocol.name(),
            wanted_rate.map_or("all".to_owned(), |rate| thousands(rate as u64)),
            thousands(*rate as u64),
            acks.p50,
            acks.p95,
            acks.p99,
            acks.max,
            fresh.p50,
            fresh.p95,
            fresh.p99,
            fresh.count + freshness.lost,
            freshness.late,
            freshness.lost,
        );
    }
    text
}
