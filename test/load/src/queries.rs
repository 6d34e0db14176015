//! Asking the set of queries, and checking what comes back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::needles::{Ask, LIMIT, Needle};
use crate::server::Urls;
use crate::stats::median;

/// How often a query is repeated after the first time; a slow one less often.
const REPEATS: usize = 15;
const REPEAT_FOR: Duration = Duration::from_secs(4);
/// Records a page when everything is read to its end: the most that is allowed.
const PAGE: u64 = 10_000;

/// How long a query took.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// The query's name.
    pub name: &'static str,
    /// How it was asked.
    pub way: Way,
    /// The first time after the server's start, milliseconds; NaN when the server has no such query.
    pub cold_ms: f64,
    /// The median of the times after it, milliseconds.
    pub warm_ms: f64,
}

/// How a query was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// One page of `POST /v1/query`.
    Page,
    /// `POST /v1/aggregate`.
    Aggregate,
    /// `POST /v1/query` page by page to its end, as the server has no `/v1/aggregate`.
    Paged,
    /// Not at all: the server has no `/v1/aggregate`.
    NotThere,
}

#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    next_cursor: Option<String>,
    complete: bool,
    missing: Value,
    #[serde(default)]
    pub(crate) stats: Stats,
}

/// What an answer says of its own cost.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    /// Chunks that were read from.
    pub(crate) objects_read: u64,
    /// Bytes that were read from the store.
    pub(crate) bytes_read: u64,
}

#[derive(Deserialize)]
struct Series {
    series: Vec<Points>,
    complete: bool,
    missing: Value,
    #[serde(default)]
    stats: Stats,
}

#[derive(Deserialize)]
struct Points {
    points: Vec<(String, u64)>,
}

/// Asks a server's queries.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    client: reqwest::Client,
    query: String,
    tenant: Option<String>,
}

impl Asker {
    pub(crate) fn new(urls: &Urls, tenant: Option<&str>) -> Self {
        let client = reqwest::Client::new();
        Self { client, query: urls.query.clone(), tenant: tenant.map(ToOwned::to_owned) }
    }

    fn request(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.tenant {
            Some(tenant) => request.header("x-scope-orgid", tenant),
            None => request,
        }
    }

    /// Makes the connection, on a path that touches no data.
    pub(crate) async fn connect(&self) -> anyhow::Result<()> {
        self.client.get(format!("{}/ready", self.query)).send().await.context("connecting")?;
        Ok(())
    }

    /// Posts a body; `None` when the server has no such path.
    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Option<bytes::Bytes>> {
        let request = self.request(self.client.post(format!("{}{path}", self.query)).json(body));
        let response = request.send().await.with_context(|| format!("asking {path}"))?;
        let status = response.status();
        let answer = response.bytes().await.context("reading an answer")?;
        if status == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ensure!(status.is_success(), "POST {path} answered {status} to {body}: {}", String::from_utf8_lossy(&answer));
        Ok(Some(answer))
    }

    /// A page of `POST /v1/query`, which must be complete.
    pub(crate) async fn page(&self, query: &Value) -> anyhow::Result<Page> {
        let answer = self.post("/v1/query", query).await?.context("the server has no /v1/query")?;
        let page: Page = serde_json::from_slice(&answer).context("reading an answer")?;
        ensure!(page.complete, "the answer to {query} is not complete: {}", page.missing);
        Ok(page)
    }

    /// The sum of all points of `POST /v1/aggregate`, which must be complete, and its cost; `None` when the server has none.
    pub(crate) async fn aggregate(&self, query: &Value) -> anyhow::Result<Option<(u64, Stats)>> {
        let Some(answer) = self.post("/v1/aggregate", query).await? else { return Ok(None) };
        let found: Series = serde_json::from_slice(&answer)
            .with_context(|| format!("reading the answer {}", String::from_utf8_lossy(&answer)))?;
        ensure!(found.complete, "the answer to {query} is not complete: {}", found.missing);
        let count = found.series.iter().flat_map(|series| &series.points).map(|(_, count)| count).sum();
        Ok(Some((count, found.stats)))
    }

    /// Counts the matches page by page, and gives each id to `each`.
    pub(crate) async fn paged(&self, filters: &Value, each: &mut (dyn FnMut(&str) + Send)) -> anyhow::Result<u64> {
        let mut query = filters.clone();
        query["limit"] = json!(PAGE);
        let mut count = 0;
        loop {
            let page = self.page(&query).await?;
            count += page.items.len() as u64;
            for item in &page.items {
                each(item["id"].as_str().context("a record without an id")?);
            }
            match page.next_cursor {
                Some(cursor) => query["cursor"] = json!(cursor),
                None => return Ok(count),
            }
        }
    }

    /// Asks a query once: how, and how many records it found.
    async fn ask(&self, ask: &Ask) -> anyhow::Result<(Way, u64)> {
        Ok(match ask {
            Ask::Page(query) => (Way::Page, self.page(query).await?.items.len() as u64),
            Ask::Histogram(query) => match self.aggregate(query).await? {
                Some((count, _)) => (Way::Aggregate, count),
                None => (Way::NotThere, 0),
            },
            Ask::Count(filters) => match self.aggregate(filters).await? {
                Some((count, _)) => (Way::Aggregate, count),
                None => (Way::Paged, self.paged(filters, &mut |_| {}).await?),
            },
        })
    }

    /// Records by service, of `GET /v1/services`, which must be complete.
    pub(crate) async fn services(&self) -> anyhow::Result<BTreeMap<String, u64>> {
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
        let request = self.request(self.client.get(format!("{}/v1/services", self.query)));
        let answer = request.send().await.context("asking for the services")?;
        let body = answer.bytes().await.context("reading the services")?;
        let found: Services = serde_json::from_slice(&body)
            .with_context(|| format!("reading the services: {}", String::from_utf8_lossy(&body)))?;
        ensure!(found.complete, "the list of services is not complete");
        Ok(found.services.into_iter().map(|service| (service.service, service.records)).collect())
    }
}

/// Asks one query of a server that has just started, again and again, and checks how many records it returns.
pub(crate) async fn measure(needle: &Needle, urls: &Urls) -> anyhow::Result<Latency> {
    let asker = Asker::new(urls, None);
    asker.connect().await?;
    let wanted = if matches!(needle.ask, Ask::Page(_)) { needle.matches.min(LIMIT) } else { needle.matches };
    let mut times = Vec::new();
    let began = Instant::now();
    let mut way = Way::NotThere;
    while times.len() <= REPEATS && (times.len() < 3 || began.elapsed() < REPEAT_FOR) {
        let started = Instant::now();
        let (asked, found) = asker.ask(&needle.ask).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        way = asked;
        if way == Way::NotThere {
            return Ok(Latency { name: needle.name, way, cold_ms: f64::NAN, warm_ms: f64::NAN });
        }
        ensure!(found == wanted, "{} found {found} records where {wanted} match: {:?}", needle.name, needle.ask);
    }
    Ok(Latency { name: needle.name, way, cold_ms: times[0], warm_ms: median(times[1..].iter().copied()) })
}

/// Checks that a server holds what was sent: the count of every service, and one service page by page to its end, no id twice.
pub(crate) async fn check_counts(sent: &BTreeMap<String, u64>, asker: &Asker) -> anyhow::Result<()> {
    let found = asker.services().await?;
    if found != *sent {
        let wrong: Vec<String> = sent
            .iter()
            .filter_map(|(name, count)| {
                let got = found.get(name).copied().unwrap_or(0);
                (got != *count).then(|| format!("{name}: {got} of {count}"))
            })
            .collect();
        bail!("the server does not hold what it acknowledged: {}", wrong.join(", "));
    }
    // The smallest service: read whole, in a bearable time.
    let (name, sent) = sent.iter().min_by_key(|(_, records)| **records).context("nothing was sent")?;
    let mut ids = std::collections::HashSet::new();
    let mut repeated = None;
    let count = asker
        .paged(&json!({ "service": name }), &mut |id| {
            if !ids.insert(id.to_owned()) {
                repeated = Some(id.to_owned());
            }
        })
        .await?;
    ensure!(repeated.is_none(), "the record {} came twice", repeated.unwrap_or_default());
    ensure!(count == *sent, "{count} records of {name} came back, {sent} were acknowledged");
    Ok(())
}
