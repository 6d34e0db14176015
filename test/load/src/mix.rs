//! The mixed load of queries: 40 % the newest, 25 % a trace, 20 % a word or a part of a number, 14 % a histogram, 1 % a regular
//! expression.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use loglake_agent::Dice;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::corpus::{Corpus, records};
use crate::needles::{LIMIT, histogram, inner_digits};
use crate::queries::{Asker, Stats};
use crate::server::Urls;
use crate::stats::Percentiles;

/// The kinds of queries.
const KINDS: [&str; 5] = ["newest 100", "one trace", "word or substring", "histogram", "regex"];
/// Running sums of their shares.
const SHARES: [u64; 5] = [40, 65, 85, 99, 100];
const HISTOGRAM: usize = 3;
/// Batches that needles are drawn from.
const DRAWN_FROM: usize = 50;
const MIN_WORD: usize = 7;
const REGEXES: [&str; 3] = [
    "PacketResponder [0-2] for block blk_-?[0-9]+[05] terminating",
    "session opened for user [a-z]+ by",
    r"authentication failure; .* rhost=[0-9.]+",
];

/// Queries to draw from.
#[derive(Debug)]
pub struct Pool {
    traces: Vec<String>,
    texts: Vec<String>,
    services: Vec<String>,
    has_aggregate: bool,
}

/// How long queries took, milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Queries a second.
    pub rate: f64,
    /// All of them.
    pub all: Percentiles,
    /// Chunks that a query read from, on average.
    pub objects_per_query: f64,
    /// Bytes that a query read from the store, on average.
    pub bytes_per_query: f64,
    /// By kind.
    pub kinds: Vec<(&'static str, Percentiles)>,
}

impl Pool {
    /// Gathers needles of a corpus that the server at `urls` holds.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn gather(corpus: &Corpus, urls: &Urls) -> anyhow::Result<Self> {
        let asker = Asker::new(urls, None);
        let (mut traces, mut texts) = (Vec::new(), Vec::new());
        for batch in corpus.batches.iter().step_by((corpus.batches.len() / DRAWN_FROM).max(1)) {
            for (at, record) in records(batch)?.into_iter().enumerate().step_by(20) {
                let words = record.message.split(|c: char| !c.is_ascii_alphabetic());
                let word = words.filter(|word| word.len() >= MIN_WORD).max_by_key(|word| word.len());
                let text = if at % 40 == 0 { word.map(ToOwned::to_owned) } else { inner_digits(&record) };
                texts.extend(text);
                traces.push(record.trace_id);
            }
        }
        ensure!(!texts.is_empty(), "nothing to search for in the corpus");
        let has_aggregate = asker.aggregate(&histogram()).await?.is_some();
        if !has_aggregate {
            eprintln!("the server has no POST /v1/aggregate: histograms are left out of the mix");
        }
        Ok(Self { traces, texts, services: corpus.services.keys().cloned().collect(), has_aggregate })
    }

    /// One query: its kind, whether it goes to `/v1/aggregate`, and its body.
    fn draw(&self, dice: &mut Dice) -> (usize, bool, Value) {
        let none = String::new();
        let kind = loop {
            let kind = dice.weighted(&SHARES);
            if kind != HISTOGRAM || self.has_aggregate {
                break kind;
            }
        };
        let service = dice.pick(&self.services).unwrap_or(&none).clone();
        match kind {
            0 => (kind, false, json!({ "service": service, "limit": LIMIT })),
            1 => (kind, false, json!({ "trace_id": dice.pick(&self.traces).unwrap_or(&none), "limit": LIMIT })),
            2 => (kind, false, json!({ "contains": dice.pick(&self.texts).unwrap_or(&none), "limit": LIMIT })),
            HISTOGRAM => {
                let mut query = histogram();
                if dice.below(2) == 0 {
                    query["service"] = json!(service);
                }
                (kind, true, query)
            }
            _ => {
                let regex = dice.pick(&REGEXES).copied().unwrap_or_default();
                let mut query = json!({ "regex": regex });
                if !self.has_aggregate {
                    query["limit"] = json!(LIMIT);
                }
                (kind, self.has_aggregate, query)
            }
        }
    }
}

async fn ask(asker: &Asker, is_aggregate: bool, query: &Value) -> anyhow::Result<Stats> {
    if is_aggregate {
        let (_, stats) = asker.aggregate(query).await?.context("the server has no /v1/aggregate any more")?;
        return Ok(stats);
    }
    Ok(asker.page(query).await?.stats)
}

/// A query that was answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: usize,
    took: Duration,
    stats: Stats,
}

/// As many queries as the server answers to `clients` that each wait for their answer: what saturates it.
///
/// # Errors
/// A query fails, or its answer is not complete.
pub async fn saturate(
    pool: &Arc<Pool>,
    urls: &Urls,
    clients: usize,
    span: Duration,
    seed: u64,
) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let (pool, asker) = (Arc::clone(pool), Asker::new(urls, None));
        let mut dice = Dice::new(seed.wrapping_mul(1_000).wrapping_add(client as u64));
        tasks.spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < span {
                let (kind, is_aggregate, query) = pool.draw(&mut dice);
                let since = Instant::now();
                let stats = ask(&asker, is_aggregate, &query).await?;
                times.push(Asked { kind, took: since.elapsed(), stats });
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        times.extend(ended.context("a client panicked")??);
    }
    Ok(outcome(&times, started.elapsed()))
}

/// Queries at `rate` a second, at random times as many independent callers ask, whether earlier ones were answered or not. Each
/// counts from when it was due.
///
/// # Errors
/// As [`saturate`].
pub async fn at_rate(pool: &Pool, urls: &Urls, rate: f64, span: Duration, seed: u64) -> anyhow::Result<Outcome> {
    let asker = Asker::new(urls, None);
    asker.connect().await?;
    let mut dice = Dice::new(seed);
    let started = Instant::now();
    let mut due = started;
    let mut tasks = JoinSet::new();
    while due.duration_since(started) < span {
        tokio::time::sleep_until(due.into()).await;
        let (kind, is_aggregate, query) = pool.draw(&mut dice);
        let (asker, since) = (asker.clone(), due);
        tasks.spawn(async move {
            let stats = ask(&asker, is_aggregate, &query).await?;
            anyhow::Ok(Asked { kind, took: since.elapsed(), stats })
        });
        // Exponential gaps: never ln(0), as the draw is above 0.
        let draw = (dice.below(1 << 32) + 1) as f64 / (1_u64 << 32) as f64;
        due += Duration::from_secs_f64(-draw.ln() / rate);
    }
    let mut times = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        times.push(ended.context("a query panicked")??);
    }
    Ok(outcome(&times, started.elapsed()))
}

fn outcome(asked: &[Asked], took: Duration) -> Outcome {
    let of = |kind: Option<usize>| {
        let times = asked.iter().filter(|asked| kind.is_none_or(|kind| kind == asked.kind)).map(|asked| asked.took);
        Percentiles::of(&times.collect::<Vec<_>>())
    };
    let average = |pick: fn(&Stats) -> u64| {
        asked.iter().map(|asked| pick(&asked.stats)).sum::<u64>() as f64 / asked.len().max(1) as f64
    };
    let kinds = KINDS.iter().enumerate().map(|(kind, name)| (*name, of(Some(kind))));
    Outcome {
        rate: asked.len() as f64 / took.as_secs_f64().max(1e-9),
        all: of(None),
        objects_per_query: average(|stats| stats.objects_read),
        bytes_per_query: average(|stats| stats.bytes_read),
        kinds: kinds.filter(|(_, percentiles)| percentiles.count > 0).collect(),
    }
}

/// An outcome as a table of Markdown.
#[must_use]
pub fn table(title: &str, outcome: &Outcome) -> String {
    let mut text = format!(
        "| {title}: {:.0} a second | queries | p50, ms | p95 | p99 | max |\n|---|---|---|---|---|---|\n",
        outcome.rate
    );
    for (name, Percentiles { count, p50, p95, p99, max }) in
        std::iter::once(&("all", outcome.all)).chain(&outcome.kinds)
    {
        text += &format!("| {name} | {count} | {p50:.1} | {p95:.1} | {p99:.1} | {max:.1} |\n");
    }
    text += &format!(
        "\nA query read from {:.1} chunks and {:.0} KB, on average.\n",
        outcome.objects_per_query,
        outcome.bytes_per_query / 1e3
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_drawn_by_their_shares() {
        let one = || vec!["x".to_owned()];
        let mut pool = Pool { traces: one(), texts: one(), services: one(), has_aggregate: true };
        let drawn = |pool: &Pool| {
            let mut dice = Dice::new(1);
            let mut counts = [0; 5];
            for _ in 0..10_000 {
                counts[pool.draw(&mut dice).0] += 1;
            }
            counts
        };
        let counts = drawn(&pool);
        for (count, want) in counts.iter().zip([4_000, 2_500, 2_000, 1_400, 100]) {
            assert!((want - want / 4..want + want / 4).contains(count), "{counts:?}");
        }
        pool.has_aggregate = false;
        assert_eq!(drawn(&pool)[HISTOGRAM], 0);
    }

    #[test]
    fn outcomes_tell_each_kind_that_was_asked() {
        let asked = [(0, 2, 9), (4, 8, 0), (0, 4, 3)].map(|(kind, ms, objects_read)| Asked {
            kind,
            took: Duration::from_millis(ms),
            stats: Stats { objects_read, bytes_read: 100 },
        });
        let outcome = outcome(&asked, Duration::from_secs(2));
        assert_eq!((outcome.rate, outcome.all.max, outcome.kinds.len()), (1.5, 8.0, 2));
        assert_eq!((outcome.objects_per_query, outcome.bytes_per_query), (4.0, 100.0));
        assert!(table("load", &outcome).contains("| newest 100 | 2 | 2.0 | 4.0 | 4.0 | 4.0 |"));
    }
}
