use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::needles::{LIMIT, Needle};
use crate::stats::median;

/// How often a query is repeated after the first time.
const REPEATS: usize = 15;
/// Records a page when a service is read to its end: the most that is allowed.
const PAGE: u64 = 10_000;

/// How long a query took.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    pub(crate) name: &'static str,
    /// The first time after the server's start.
    pub(crate) cold: Duration,
    /// The median of the times after it.
    pub(crate) warm: Duration,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
    complete: bool,
    missing: Value,
}

async fn ask(client: &reqwest::Client, url: &str, query: &Value) -> anyhow::Result<(Page, Duration)> {
    let started = Instant::now();
    let response = client.post(url).json(query).send().await.context("asking a query")?;
    let status = response.status();
    let body = response.bytes().await.context("reading an answer")?;
    let took = started.elapsed();
    ensure!(status.is_success(), "POST /v1/query answered {status} to {query}: {}", String::from_utf8_lossy(&body));
    let page: Page = serde_json::from_slice(&body).context("reading an answer")?;
    ensure!(page.complete, "the answer to {query} is not complete: {}", page.missing);
    Ok((page, took))
}

/// Asks one query of a server that has just started, again and again, and checks how many records it returns.
pub(crate) async fn measure(needle: &Needle, url: &str) -> anyhow::Result<Latency> {
    let client = reqwest::Client::new();
    // Not the query's time: making the connection, on a path that touches no data.
    let ready = url.replace("/v1/query", "/ready");
    client.get(ready).send().await.context("connecting")?;
    let mut times = Vec::new();
    for _ in 0..=REPEATS {
        let (page, took) = ask(&client, url, &needle.query).await?;
        let wanted = needle.matches.min(LIMIT);
        ensure!(
            page.items.len() as u64 == wanted,
            "{} returned {} records where {wanted} match: {}",
            needle.name,
            page.items.len(),
            needle.query,
        );
        times.push(took);
    }
    let warm = median(times[1..].iter().map(Duration::as_secs_f64));
    Ok(Latency { name: needle.name, cold: times[0], warm: Duration::from_secs_f64(warm) })
}

/// Checks that the server holds what was sent: the count of every service, and one service page by page to its end, no id twice.
pub(crate) async fn check_counts(corpus: &Corpus, query_url: &str, services_url: &str) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Services {
        services: Vec<Service>,
        complete: bool,
    }
    #[derive(Deserialize)]
    struct Service {
        service: String,
        records: u64,
    }
    let client = reqwest::Client::new();
    let response = client.get(services_url).send().await.context("asking for the services")?;
    let body = response.bytes().await.context("reading the services")?;
    let found: Services = serde_json::from_slice(&body)
        .with_context(|| format!("reading the services: {}", String::from_utf8_lossy(&body)))?;
    ensure!(found.complete, "the list of services is not complete");
    let found: BTreeMap<String, u64> =
        found.services.into_iter().map(|service| (service.service, service.records)).collect();
    ensure!(found == corpus.services, "the server holds {found:?}, sent were {:?}", corpus.services);

    // The smallest service: read whole, in a bearable time.
    let (name, sent) =
        corpus.services.iter().min_by_key(|(_, records)| **records).context("a corpus without services")?;
    let mut ids = std::collections::HashSet::new();
    let mut query = json!({ "service": name, "limit": PAGE });
    loop {
        let (page, _) = ask(&client, query_url, &query).await?;
        for item in &page.items {
            let id = item["id"].as_str().context("a record without an id")?;
            ensure!(ids.insert(id.to_owned()), "the record {id} came twice");
        }
        match page.next_cursor {
            Some(cursor) => query["cursor"] = json!(cursor),
            None => break,
        }
    }
    ensure!(ids.len() as u64 == *sent, "{} records of {name} came back, {sent} were sent", ids.len());
    Ok(())
}
