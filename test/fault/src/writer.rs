//! The three kinds of writers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::ingest_response::Kind as Answer;
use loglake_api::ingest::v1::ingest_service_client::IngestServiceClient;
use loglake_api::ingest::v1::{Batch, BatchResult, IngestRequest, LogRecord, Open};
use loglake_integration::oracle::{LEVELS, rfc3339};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;

use crate::entry::Record;
use crate::ledger::{Draft, Ledger};
use crate::load::Source;
use crate::site::{Ingest, Site};

/// After a failure, before the next attempt.
const AGAIN: Duration = Duration::from_millis(100);
/// How many batches a stream has on the way.
const IN_FLIGHT: usize = 4;

fn target(source: &Source, turn: usize) -> Option<Ingest> {
    let all = source.site.ingestors();
    all.get(turn % all.len().max(1)).cloned()
}

fn numbers(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.number).collect()
}

/// Notes an answer of a server that took some of `records` and refused those at `refused` (places, from 0) for what they
/// say. Anything else stays unknown.
fn note(ledger: &Ledger, records: &[u64], accepted: u64, rejected: u64, refused: &[usize]) {
    if accepted + rejected != records.len() as u64 || refused.len() as u64 != rejected {
        return;
    }
    let (bad, good): (Vec<_>, Vec<_>) = records.iter().enumerate().partition(|(place, _)| refused.contains(place));
    ledger.acknowledge(good.into_iter().map(|(_, number)| *number));
    ledger.retract(bad.into_iter().map(|(_, number)| *number));
}

/// Sends NDJSON over HTTP.
pub(crate) async fn http(mut source: Source) {
    let client = reqwest::Client::new();
    let mut turn = source.writer;
    while !source.is_stopped() {
        let Some(to) = target(&source, turn) else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let records = source.batch();
        let sent = numbers(&records);
        let lines: Vec<String> = records
            .iter()
            .map(|record| {
                let mut line = json!({
                    "timestamp": rfc3339(record.timestamp_ns), "service": record.service, "message": record.message,
                });
                if let Some(level) = record.level {
                    line["level"] = json!(level);
                }
                line.to_string()
            })
            .collect();
        source.ledger.attempt(sent.iter().copied());
        let request = client
            .post(format!("{}/v1/ingest", to.http))
            .timeout(source.plan.patience)
            .header("content-type", "application/x-ndjson")
            .header("x-scope-orgid", source.tenant())
            .body(lines.join("\n"));
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                if let Ok(answer) = answer.json::<Value>().await {
                    let count = |key: &str| answer[key].as_u64().unwrap_or_default();
                    let refused: Vec<usize> = answer["errors"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|error| Some(usize::try_from(error["line"].as_u64()?).ok()? - 1))
                        .collect();
                    note(&source.ledger, &sent, count("accepted"), count("rejected"), &refused);
                }
                tokio::time::sleep(source.plan.pause).await;
            }
            Ok(_refused) => {
                turn += 1;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                if error.is_connect() {
                    source.ledger.retract(sent);
                }
                turn += 1;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn wire(record: &Record) -> LogRecord {
    let level = record.level.and_then(|level| LEVELS.iter().position(|other| *other == level));
    LogRecord {
        timestamp_ns: u64::try_from(record.timestamp_ns).unwrap_or(1),
        level: level.and_then(|at| i32::try_from(at + 1).ok()).unwrap_or_default(),
        service: record.service.clone(),
        message: record.message.clone(),
        ..LogRecord::default()
    }
}

fn with_tenant<T>(source: &Source, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(tenant) = source.tenant().parse() {
        request.metadata_mut().insert("x-scope-orgid", tenant);
    }
    request
}

fn note_result(source: &Source, sent: &[u64], result: &BatchResult) {
    if !result.retry_reason.is_empty() {
        return;
    }
    let refused: Vec<usize> =
        result.errors.iter().filter_map(|error| usize::try_from(error.record_index).ok()).collect();
    note(&source.ledger, sent, result.accepted, result.rejected, &refused);
}

type Client = IngestServiceClient<tonic::transport::Channel>;

async fn connect(to: &Ingest) -> Option<Client> {
    let connecting = tokio::time::timeout(Duration::from_secs(5), Client::connect(to.grpc.clone()));
    connecting.await.ok()?.ok()
}

/// Sends single batches over gRPC.
pub(crate) async fn unary(mut source: Source) {
    let mut turn = source.writer;
    let mut client: Option<Client> = None;
    while !source.is_stopped() {
        let Some(connected) = &mut client else {
            turn += 1;
            client = match target(&source, turn) {
                Some(to) => connect(&to).await,
                None => None,
            };
            if client.is_none() {
                tokio::time::sleep(AGAIN).await;
            }
            continue;
        };
        let records = source.batch();
        let sent = numbers(&records);
        source.ledger.attempt(sent.iter().copied());
        let request =
            with_tenant(&source, Batch { number: 1, records: records.iter().map(wire).collect(), ..Batch::default() });
        match tokio::time::timeout(source.plan.patience, connected.ingest_batch(request)).await {
            Ok(Ok(result)) => {
                note_result(&source, &sent, result.get_ref());
                tokio::time::sleep(source.plan.pause).await;
            }
            // Whatever it was: the outcome is unknown, and another ingestor may be better.
            _failed => {
                client = None;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Sends batches over a gRPC stream, some on the way at a time.
pub(crate) async fn stream(mut source: Source) {
    let mut turn = source.writer;
    while !source.is_stopped() {
        turn += 1;
        let connected = match target(&source, turn) {
            Some(to) => connect(&to).await,
            None => None,
        };
        if let Some(mut client) = connected {
            // The end of a stream, in order or not, leaves what was on the way unknown.
            let _ended = one_stream(&mut source, &mut client).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn one_stream(source: &mut Source, client: &mut Client) -> Option<()> {
    let (to_server, outgoing) = mpsc::channel(IN_FLIGHT);
    let open = IngestRequest { kind: Some(Kind::Open(Open::default())) };
    to_server.send(open).await.ok()?;
    let request = with_tenant(source, ReceiverStream::new(outgoing));
    let patience = source.plan.patience;
    let mut results = tokio::time::timeout(patience, client.ingest(request)).await.ok()?.ok()?.into_inner();
    let mut on_the_way = HashMap::<u64, Vec<u64>>::new();
    let mut number = 0;
    let mut heard = Instant::now();
    let mut to_server = Some(to_server);
    loop {
        if source.is_stopped() {
            // Half-close: the server answers what it has and ends.
            to_server = None;
            if on_the_way.is_empty() {
                return Some(());
            }
        }
        if let Some(to_server) = &to_server
            && on_the_way.len() < IN_FLIGHT
        {
            let records = source.batch();
            number += 1;
            let sent = numbers(&records);
            source.ledger.attempt(sent.iter().copied());
            on_the_way.insert(number, sent);
            let batch = Batch { number, records: records.iter().map(wire).collect(), ..Batch::default() };
            to_server.send(IngestRequest { kind: Some(Kind::Batch(batch)) }).await.ok()?;
        }
        let wait = if on_the_way.len() < IN_FLIGHT { source.plan.pause } else { Duration::from_secs(1) };
        match tokio::time::timeout(wait, results.message()).await {
            Ok(Ok(Some(answer))) => {
                heard = Instant::now();
                if let Some(Answer::Result(result)) = answer.kind
                    && let Some(sent) = on_the_way.remove(&result.number)
                {
                    note_result(source, &sent, &result);
                    tokio::time::sleep(source.plan.pause).await;
                }
            }
            Ok(_ended) => return None,
            Err(_quiet) if heard.elapsed() > patience && !on_the_way.is_empty() => return None,
            Err(_quiet) => {}
        }
    }
}

/// Writes one record over HTTP, by the first ingestor that takes it. Returns its number once it is acknowledged.
pub(crate) async fn one(ledger: &Ledger, site: &Site, tenant: usize) -> Option<u64> {
    let draft = Draft {
        tenant,
        writer: usize::MAX,
        service: "probe".to_owned(),
        timestamp_ns: time::OffsetDateTime::now_utc().unix_timestamp_nanos() as i64,
        level: Some("info"),
        text: "after healing",
        is_deduplicated: false,
    };
    for to in site.ingestors() {
        let record = ledger.number(draft.clone());
        ledger.attempt([record.number]);
        let line = json!({
            "timestamp": rfc3339(record.timestamp_ns), "service": record.service, "level": "info", "message": record.message,
        });
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/ingest", to.http))
            .timeout(Duration::from_secs(10))
            .header("content-type", "application/x-ndjson")
            .header("x-scope-orgid", &ledger.tenants()[tenant])
            .body(line.to_string())
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => {
                ledger.acknowledge([record.number]);
                return Some(record.number);
            }
            Err(error) if error.is_connect() => ledger.retract([record.number]),
            _unknown => {}
        }
    }
    None
}
