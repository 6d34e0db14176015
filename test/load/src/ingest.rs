use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use loglake_agent::{Options, Tally, Target, deliver, render_line};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::corpus::{Corpus, records};

/// Batches and bodies under way at once.
const IN_FLIGHT: usize = 8;

/// Sends the whole corpus over one gRPC stream; returns how long it took until the last record was acknowledged.
pub(crate) async fn over_grpc(corpus: &Corpus, server: &str) -> anyhow::Result<Duration> {
    let target = Target::new(server, None, None)?;
    let options = Options {
        in_flight: IN_FLIGHT,
        retry_for: Duration::ZERO,
        answer_timeout: Duration::from_secs(60),
        jitter_seed: corpus.settings.seed,
    };
    let tally = Arc::new(Tally::default());
    let (sender, batches) = mpsc::channel(1);
    let started = Instant::now();
    let feed = async move {
        for batch in &corpus.batches {
            if sender.send(batch.clone()).await.is_err() {
                break;
            }
        }
    };
    let ((), outcome) = tokio::join!(feed, deliver(&target, &options, batches, &tally));
    let took = started.elapsed();
    if let Some(failure) = outcome.failure {
        return Err(failure.context("sending over gRPC"));
    }
    let counts = tally.counts();
    ensure!(
        counts.accepted == corpus.settings.records && counts.rejected == 0,
        "{} of {} records were accepted over gRPC: {:?}",
        counts.accepted,
        corpus.settings.records,
        tally.refusals(),
    );
    Ok(took)
}

#[derive(Deserialize)]
struct Answer {
    accepted: u64,
    rejected: u64,
}

/// Sends the whole corpus as bodies of NDJSON, a batch each; returns how long it took until the last was acknowledged.
pub(crate) async fn over_http(corpus: &Arc<Corpus>, url: &str) -> anyhow::Result<Duration> {
    let client =
        reqwest::Client::builder().timeout(Duration::from_secs(60)).build().context("making an HTTP client")?;
    let (next, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (corpus, client, url) = (Arc::clone(corpus), client.clone(), url.to_owned());
        let (next, accepted) = (Arc::clone(&next), Arc::clone(&accepted));
        senders.spawn(async move {
            while let Some(batch) = corpus.batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut body = Vec::new();
                for record in records(batch)? {
                    render_line(&mut body, &record);
                }
                let request = client.post(&url).header("content-type", "application/x-ndjson").body(body);
                let response = request.send().await.context("sending over HTTP")?;
                let status = response.status();
                let text = response.text().await.context("reading an answer over HTTP")?;
                ensure!(status.is_success(), "POST /v1/ingest answered {status}: {text}");
                let answer: Answer =
                    serde_json::from_str(&text).with_context(|| format!("reading the answer {text}"))?;
                ensure!(answer.rejected == 0, "POST /v1/ingest refused records: {text}");
                accepted.fetch_add(answer.accepted, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.context("a sender panicked")??;
    }
    let took = started.elapsed();
    let accepted = accepted.load(Ordering::Relaxed);
    ensure!(
        accepted == corpus.settings.records,
        "{accepted} of {} records were accepted over HTTP",
        corpus.settings.records
    );
    Ok(took)
}
