//! Writers and readers, over the surfaces of the roles.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use loglake_model::{Readiness, Timestamp};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::clock::BEGIN_NS;
use crate::dice::Dice;
use crate::faults::Life;
use crate::mutation::Mutation;
use crate::oracle::{Question, SERVICES, Sent, TENANTS, message};
use crate::world::{CLUSTER, INCARNATION, World};

/// Hours around the beginning that records are of.
const SPREAD_NS: u64 = 2 * 3_600_000_000_000;
/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a request with a key is sent again, at most: all of it well within the ten minutes of its key.
const REPETITIONS: u64 = 6;

/// The surface of an ingestor.
///
/// # Errors
/// When it refuses its settings.
pub fn ingestor(world: &World, number: u64) -> Result<Router> {
    let life = Life::of(&format!("ingestor-{number}"));
    let parts = loglake_ingest::Parts {
        producer: Arc::new(world.broker_of(&life)),
        partitions: world.partitions,
        clock: Arc::new(world.clock),
        auth: Arc::clone(&world.auth),
        limits: loglake_auth::limits::TenantLimits::none(),
        counters: None,
        stored: None,
        session_key: world.session_key(),
        registry: prometheus::Registry::new(),
        ready: Readiness::default().role("ingestor"),
    };
    let config = loglake_ingest::Config { append_timeout: Duration::from_secs(1), ..Default::default() };
    Ok(loglake_ingest::Ingestor::http_within(config, parts)?)
}

/// The surface of a query service.
///
/// # Errors
/// When it cannot start.
pub async fn query_service(world: &World, number: u64) -> Result<Router> {
    let life = Life::of(&format!("query-{number}"));
    let readiness = Readiness::default();
    let parts = loglake_query::Parts {
        reader: Arc::new(world.broker_of(&life)),
        store: world.store_of(&life),
        index: world.index_of(&life),
        incarnation: INCARNATION,
        clock: Arc::new(world.clock),
        auth: Arc::clone(&world.auth),
        limits: loglake_auth::limits::TenantLimits::none(),
        internal: world.internal_key(),
        cursor_key: [9; 32],
        registry: prometheus::Registry::new(),
        ready: readiness.role("query"),
        readiness,
    };
    let config = loglake_query::Config {
        listen: ([127, 0, 0, 1], 1).into(),
        timeout: world.dice.millis(2_000..20_000),
        page_bytes: usize::try_from(world.dice.within(1_000..40_000))?,
        concurrent: 4,
        plan_bytes: 256 << 20,
        look_ahead_bytes: 8 << 20,
        footer_cache_bytes: 4 << 20,
        cache_memory_bytes: 4 << 20,
        cache_dir: None,
        cache_disk_bytes: 0,
        metric_tenants: 0,
        cluster: CLUSTER.to_owned(),
    };
    let surroundings = loglake_query::Surroundings { dial: Some(world.network.dial()), is_single_threaded: true };
    Ok(loglake_query::QueryService::within(config, parts, surroundings).await?)
}

/// Sends `body` to `path`, with an idempotency key if there is one.
async fn call(
    surface: &Router,
    path: &str,
    token: &str,
    key: Option<&str>,
    body: String,
) -> Result<(StatusCode, Bytes)> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("x-request-id", "simulated");
    let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    let request = request.body(Body::from(body))?;
    let answer = timeout(PATIENCE, async {
        let response = surface.clone().oneshot(request).await?;
        let status = response.status();
        anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
    });
    answer.await.with_context(|| format!("{path} did not answer within {PATIENCE:?}"))?
}

/// Sends a few records of one tenant, in one request, once; or with a key, at any of the ingestors, until it is answered or was
/// sent six times more, and now and then again after that.
///
/// # Errors
/// An answer that no client could read.
pub async fn write(world: &World, dice: &Dice, surfaces: &[Router], who: &str) -> Result<()> {
    let tenant = usize::try_from(dice.within(0..TENANTS.len() as u64))?;
    let mut numbers = Vec::new();
    let mut records = Vec::new();
    for _ in 0..dice.within(1..6) {
        let offset = i64::try_from(dice.within(0..SPREAD_NS))? - i64::try_from(SPREAD_NS / 2)?;
        // Some at the same moment: then the id decides.
        let timestamp_ns = if dice.chance(300) { BEGIN_NS } else { BEGIN_NS.saturating_add(offset) };
        let service = *dice.pick(&SERVICES);
        let number = world.oracle.send(Sent { tenant, service, timestamp_ns, is_acknowledged: false });
        let text = format!("{}{}", message(tenant, number), "x".repeat(usize::try_from(dice.within(0..200))?));
        numbers.push(number);
        records.push(json!({"timestamp": Timestamp(timestamp_ns).to_string(), "service": service, "message": text}));
    }
    let body = Value::Array(records).to_string();
    let key = dice.chance(500).then(|| format!("{who} from record {}", numbers[0]));
    let repetitions = if key.is_some() { REPETITIONS } else { 0 };
    let sent_key = key.as_deref().filter(|_| world.mutation != Some(Mutation::KeysAreLost));
    for repetition in 0..=repetitions {
        if repetition > 0 {
            sleep(dice.millis(1..3_000)).await;
        }
        // Two of a kind at the same time, as of a client that did not wait.
        let count = if repetition > 0 && dice.chance(200) { 2 } else { 1 };
        let calls =
            (0..count).map(|_| call(dice.pick(surfaces), "/v1/ingest", &world.tokens[tenant], sent_key, body.clone()));
        let mut is_answered = false;
        for answered in join_all(calls).await {
            let (status, answer) = answered?;
            is_answered |= take_answer(world, &numbers, status, &answer)?;
            world.trace.say(who, format_args!("sent {numbers:?}, {key:?}, {repetition} -> {status}"));
        }
        if is_answered && dice.chance(800) {
            break;
        }
    }
    Ok(())
}

/// Tells the oracle what an ingestor answered; returns whether all is durable.
fn take_answer(world: &World, numbers: &[u64], status: StatusCode, answer: &[u8]) -> Result<bool> {
    let answer: Value = serde_json::from_slice(answer).context("an answer that is not JSON")?;
    if status == StatusCode::OK {
        ensure!(answer["accepted"] == numbers.len() && answer["rejected"] == 0, "not all was accepted: {answer}");
        world.oracle.acknowledge(numbers);
        return Ok(true);
    }
    ensure!(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS, "{status}: {answer}");
    Ok(false)
}

/// How a reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// All pages came and each was complete: so many rows.
    Complete(usize),
    /// Some page was not complete, or did not come.
    Partial,
}

/// A question at random.
#[must_use]
pub fn question(dice: &Dice) -> Question {
    let tenant = usize::from(dice.chance(500));
    let service = dice.chance(300).then(|| *dice.pick(&SERVICES));
    let range = dice.chance(200).then(|| {
        let at = |of: u64| BEGIN_NS - i64::try_from(SPREAD_NS / 2).unwrap_or(0) + i64::try_from(of).unwrap_or(0);
        let (a, b) = (dice.within(0..SPREAD_NS), dice.within(0..SPREAD_NS));
        (at(a.min(b)), at(a.max(b)))
    });
    Question { tenant, service, range, is_forward: dice.chance(500) }
}

/// Reads all pages of `question`.
///
/// # Errors
/// An answer that may not be.
pub async fn read(world: &World, dice: &Dice, surface: &Router, who: &str, question: &Question) -> Result<Read> {
    let mut reading = world.oracle.begin(question.clone());
    let mut cursor: Option<String> = None;
    let mut is_complete = true;
    let mut failures = 0;
    loop {
        let mut asked = json!({
            "direction": if question.is_forward { "forward" } else { "backward" },
            "limit": dice.within(1..40),
        });
        if let Some(service) = question.service {
            asked["service"] = json!(service);
        }
        if let Some((from, to)) = question.range
            && cursor.is_none()
        {
            asked["from_ts"] = json!(Timestamp(from).to_string());
            asked["to_ts"] = json!(Timestamp(to).to_string());
        }
        if let Some(cursor) = &cursor {
            asked["cursor"] = json!(cursor);
        }
        let token = &world.tokens[question.tenant];
        let (status, body) = call(surface, "/v1/query", token, None, asked.to_string()).await?;
        let answer: Value = serde_json::from_slice(&body).context("an answer that is not JSON")?;
        if status != StatusCode::OK {
            ensure!(status.is_server_error(), "{status}: {answer}");
            world.trace.say(who, format_args!("asked {question:?} -> {status} {}", answer["error"]["message"]));
            failures += 1;
            if failures > 3 {
                return Ok(Read::Partial);
            }
            sleep(dice.millis(10..500)).await;
            continue;
        }
        let rows = answer["items"].as_array().context("no items")?;
        is_complete &= answer["complete"].as_bool().context("it does not say whether it is complete")?;
        world.trace.say(who, format_args!("asked {question:?} -> {} rows, missing {}", rows.len(), answer["missing"]));
        reading.take(&world.oracle, rows)?;
        cursor = answer["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        if dice.chance(300) {
            sleep(dice.millis(1..1_500)).await;
        }
    }
    if is_complete { Ok(Read::Complete(reading.finish()?)) } else { Ok(Read::Partial) }
}
