use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{ANSWER_TIMEOUT, Job, Schedule, Sent};
use crate::corpus::Corpus;

#[derive(Deserialize)]
struct Answer {
    accepted: u64,
    rejected: u64,
}

pub(super) async fn send(corpus: &Arc<Corpus>, server: &str, job: &Job) -> anyhow::Result<Sent> {
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().context("making an HTTP client")?;
    // Rendered before the clock starts.
    corpus.bodies()?;
    let next = Arc::new(AtomicUsize::new(0));
    let schedule = Schedule::begin(corpus, job);
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..schedule.in_flight.min(job.batches) {
        let (corpus, client, next) = (Arc::clone(corpus), client.clone(), Arc::clone(&next));
        let (url, job) = (format!("{server}/v1/ingest"), job.clone());
        senders.spawn(async move {
            let bodies = corpus.bodies()?;
            let mut sent = Sent { acknowledged: 0, refused: 0, took: Duration::ZERO, acknowledgements: Vec::new() };
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if !schedule.has(at) {
                    return anyhow::Ok(sent);
                }
                let since = match schedule.due(at) {
                    Some(due) => {
                        tokio::time::sleep_until(due.into()).await;
                        due
                    }
                    None => Instant::now(),
                };
                let mut request = client.post(&url).header("content-type", "application/x-ndjson");
                if let Some(tenant) = &job.tenant {
                    request = request.header("x-scope-orgid", tenant);
                }
                let response =
                    request.body(bodies[at % bodies.len()].clone()).send().await.context("sending over HTTP")?;
                let status = response.status();
                let text = response.text().await.context("reading an answer over HTTP")?;
                ensure!(status.is_success(), "POST /v1/ingest answered {status}: {text}");
                let answer: Answer =
                    serde_json::from_str(&text).with_context(|| format!("reading the answer {text}"))?;
                sent.acknowledgements.push(since.elapsed());
                sent.acknowledged += answer.accepted;
                sent.refused += answer.rejected;
            }
        });
    }
    let mut sent = Sent { acknowledged: 0, refused: 0, took: Duration::ZERO, acknowledgements: Vec::new() };
    while let Some(ended) = senders.join_next().await {
        let part = ended.context("a sender panicked")??;
        sent.acknowledged += part.acknowledged;
        sent.refused += part.refused;
        sent.acknowledgements.extend(part.acknowledgements);
    }
    sent.took = schedule.started.elapsed();
    Ok(sent)
}
