//! What a noisy neighbour costs: a quiet tenant's acknowledgements and queries alone, then beside one that sends many times its
//! quota and asks without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use loglake_agent::{render_line, thousands};
use serde::Serialize;
use serde_json::{Value, json};

use crate::corpus::{Corpus, records};
use crate::queries::Asker;
use crate::server::Urls;
use crate::stats::Percentiles;

/// The tenants.
const QUIET: &str = "quiet";
const NOISY: &str = "noisy";
/// Records of a body of the quiet one, and how often it sends one and asks a query.
const QUIET_RECORDS: usize = 50;
const SENDS_EVERY: Duration = Duration::from_millis(50);
const ASKS_EVERY: Duration = Duration::from_millis(100);
/// Bodies of the noisy one that are under way at once, at most.
const NOISY_SENDERS: usize = 64;
/// Clients of the noisy one that ask, each without a pause.
const NOISY_ASKERS: usize = 16;
/// How long a limit may take to be known to all roles.
const KNOWN: Duration = Duration::from_secs(30);

/// How loud, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Records a second that the noisy tenant may send.
    pub quota: u64,
    /// How many times that it sends.
    pub times: u64,
    /// How long each of the two parts lasts.
    pub span: Duration,
}

/// The quiet tenant's times in one part, milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Part {
    /// From when a body was due to its acknowledgement.
    pub acknowledgements: Percentiles,
    /// From when a query was due to its answer.
    pub queries: Percentiles,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome {
    /// The quiet tenant alone.
    pub alone: Part,
    /// Beside the noisy one.
    pub beside: Part,
    /// Bodies of the noisy tenant that were kept, and refused.
    pub kept: u64,
    /// As above.
    pub refused: u64,
    /// Records a second that it sent.
    pub offered: f64,
    /// Records a second of it that were kept.
    pub passed: f64,
}

impl Outcome {
    /// How many times longer the quiet tenant's slowest hundredth takes beside the noisy one: acknowledgements, queries.
    #[must_use]
    pub fn ratios(&self) -> [f64; 2] {
        let of = |part: fn(&Part) -> Percentiles| part(&self.beside).p99 / part(&self.alone).p99;
        [of(|part| part.acknowledgements), of(|part| part.queries)]
    }
}

/// Runs both parts.
///
/// # Errors
/// The server fails, refuses something of the quiet tenant, or nothing of the noisy one.
pub async fn run(settings: Settings, corpus: &Arc<Corpus>, urls: &Urls) -> anyhow::Result<Outcome> {
    limit(settings, urls).await?;
    let bodies = Arc::new(bodies(corpus)?);
    // What the caches and connections cost at first is in neither part.
    quiet(&bodies.1, urls, settings.span.min(Duration::from_secs(2))).await?;
    let alone = quiet(&bodies.1, urls, settings.span).await?;
    let noise = Noise::begin(settings, &bodies.0, urls);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let beside = quiet(&bodies.1, urls, settings.span).await?;
    let (kept, refused, took) = noise.end().await?;
    ensure!(
        refused > 0,
        "nothing of the noisy tenant was refused: the server may not take {}x its quota",
        settings.times
    );
    let a_second = |bodies: u64| bodies as f64 * bodies_records(corpus) / took.as_secs_f64();
    Ok(Outcome { alone, beside, kept, refused, offered: a_second(kept + refused), passed: a_second(kept) })
}

fn bodies_records(corpus: &Corpus) -> f64 {
    corpus.settings.records as f64 / corpus.batches.len().max(1) as f64
}

/// Adds the noisy tenant with its quota, and waits until that holds.
async fn limit(settings: Settings, urls: &Urls) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        let answer = client.post(format!("{}{path}", urls.query)).json(&body).send().await.context("asking")?;
        let (status, text) = (answer.status(), answer.text().await.context("reading an answer")?);
        ensure!(status.is_success() || status == reqwest::StatusCode::CONFLICT, "{path} answered {status}: {text}");
        anyhow::Ok(())
    };
    post("/v1/tenants", json!({ "tenant_id": NOISY })).await?;
    let limits = json!({
        "ingest_records": settings.quota, "ingest_burst_ms": 2_000, "query_concurrency": 2, "ingest_bytes": 0,
    });
    post(&format!("/v1/tenants/{NOISY}/limits"), limits).await?;
    // More than a burst is refused as soon as the ingestor knows.
    let many = usize::try_from(settings.quota * 2 + 1).context("a quota of a test")?;
    let body: Bytes = "{\"service\":\"probe\",\"message\":\"m\"}\n".repeat(many).into();
    let began = Instant::now();
    loop {
        let request = client.post(format!("{}/v1/ingest", urls.http)).header("x-scope-orgid", NOISY);
        let answer = request.body(body.clone()).send().await.context("sending")?;
        if answer.status() == reqwest::StatusCode::PAYLOAD_TOO_LARGE {
            return Ok(());
        }
        ensure!(began.elapsed() < KNOWN, "the ingestor does not know the limit after {KNOWN:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The bodies of the noisy tenant, and one of the quiet.
fn bodies(corpus: &Corpus) -> anyhow::Result<(Vec<Bytes>, Bytes)> {
    let mut one = Vec::new();
    let batch = corpus.batches.first().context("an empty corpus")?;
    for record in records(batch)?.into_iter().take(QUIET_RECORDS) {
        render_line(&mut one, &record);
    }
    Ok((corpus.bodies()?.to_vec(), one.into()))
}

/// The quiet tenant sends and asks for a while.
async fn quiet(body: &Bytes, urls: &Urls, span: Duration) -> anyhow::Result<Part> {
    let (client, url) = (reqwest::Client::new(), format!("{}/v1/ingest", urls.http));
    let sending = every(span, SENDS_EVERY, async || {
        let request = client.post(&url).header("x-scope-orgid", QUIET).body(body.clone());
        let answer = request.send().await.context("sending")?;
        let status = answer.status();
        let text = answer.text().await.context("reading an answer")?;
        ensure!(status.is_success(), "the quiet tenant was answered {status}: {text}");
        Ok(())
    });
    let asker = Asker::new(urls, Some(QUIET));
    let asking = every(span, ASKS_EVERY, async || asker.page(&json!({ "limit": 100 })).await.map(drop));
    let (sent, asked) = tokio::join!(sending, asking);
    Ok(Part { acknowledgements: Percentiles::of(&sent?), queries: Percentiles::of(&asked?) })
}

/// Does something again and again, as independent users would: none waits for the one before. Says how long after it was due each
/// was done.
async fn every(
    span: Duration,
    between: Duration,
    work: impl AsyncFn() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Duration>> {
    let (began, work) = (Instant::now(), &work);
    let dues = (0_u32..).map(|at| began + between * at).take_while(|due| *due < began + span);
    let works = dues.map(|due| async move {
        tokio::time::sleep_until(due.into()).await;
        work().await?;
        Ok(due.elapsed())
    });
    futures_util::future::try_join_all(works).await
}

/// The noisy tenant under way.
struct Noise {
    over: Arc<AtomicBool>,
    counts: Arc<[AtomicU64; 2]>,
    tasks: tokio::task::JoinSet<anyhow::Result<()>>,
    began: Instant,
}

impl Noise {
    fn begin(settings: Settings, bodies: &[Bytes], urls: &Urls) -> Self {
        let (over, counts) = (Arc::<AtomicBool>::default(), Arc::<[AtomicU64; 2]>::default());
        let (began, next, bodies) = (Instant::now(), Arc::new(AtomicUsize::new(0)), Arc::<[Bytes]>::from(bodies));
        let lines = bodies.first().map_or(1, |body| body.iter().filter(|byte| **byte == b'\n').count()).max(1);
        let between = Duration::from_secs_f64(lines as f64 / (settings.quota * settings.times) as f64);
        let (client, mut tasks) = (reqwest::Client::new(), tokio::task::JoinSet::new());
        for _ in 0..NOISY_SENDERS {
            let (over, counts, next, bodies) = (over.clone(), counts.clone(), next.clone(), bodies.clone());
            let (client, url) = (client.clone(), format!("{}/v1/ingest", urls.http));
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep_until((began + between.mul_f64(at as f64)).into()).await;
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let request =
                        client.post(&url).header("x-scope-orgid", NOISY).body(bodies[at % bodies.len()].clone());
                    let status = request.send().await.context("sending")?.status();
                    let is_kept = match status.as_u16() {
                        200 => true,
                        429 => false,
                        _ => bail!("the noisy tenant was answered {status}"),
                    };
                    counts[usize::from(!is_kept)].fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        for _ in 0..NOISY_ASKERS {
            let (over, client, url) = (over.clone(), client.clone(), format!("{}/v1/query", urls.query));
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let body = json!({ "contains": "no such text", "limit": 100 });
                    let request = client.post(&url).header("x-scope-orgid", NOISY).json(&body);
                    let answer = request.send().await.context("asking")?;
                    if answer.status() == reqwest::StatusCode::TOO_MANY_REQUESTS {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    answer.bytes().await.context("reading an answer")?;
                }
                Ok(())
            });
        }
        Self { over, counts, tasks, began }
    }

    /// Ends it: bodies kept, bodies refused, how long it was.
    async fn end(mut self) -> anyhow::Result<(u64, u64, Duration)> {
        let took = self.began.elapsed();
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a sender panicked")??;
        }
        let count = |at: usize| self.counts[at].load(Ordering::Relaxed);
        Ok((count(0), count(1), took))
    }
}

/// The outcome as a table of Markdown.
#[must_use]
pub fn table(settings: Settings, outcome: &Outcome) -> String {
    let Outcome { alone, beside, kept, refused, offered, passed } = outcome;
    let mut text = format!(
        "A tenant that sends {} records/s ({}x its quota of {}) and asks with {NOISY_ASKERS} clients: {} records/s passed, {kept} bodies \
         kept, {refused} refused. The quiet one was refused nothing. {:.0} s each.\n\n",
        thousands(*offered as u64),
        settings.times,
        thousands(settings.quota),
        thousands(*passed as u64),
        settings.span.as_secs_f64(),
    );
    text += "| quiet tenant | alone p50, ms | p99 | beside p50, ms | p99 | p99 ratio |\n|---|---|---|---|---|---|\n";
    let [acks, queries] = outcome.ratios();
    let rows = [
        ("acknowledgement", alone.acknowledgements, beside.acknowledgements, acks),
        ("newest 100", alone.queries, beside.queries, queries),
    ];
    for (name, alone, beside, ratio) in rows {
        let Percentiles { p50, p99, .. } = alone;
        text += &format!("| {name} | {p50:.1} | {p99:.1} | {:.1} | {:.1} | {ratio:.2} |\n", beside.p50, beside.p99);
    }
    text
}
