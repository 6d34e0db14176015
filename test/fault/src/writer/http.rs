use std::time::Duration;

use loglake_integration::oracle::rfc3339;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::answer::note_json;
use super::letter::Letter;
use super::post::{Courier, Sent};
use super::target;
use crate::entry::Record;
use crate::ledger::{Draft, Ledger};
use crate::load::Source;
use crate::site::Site;

/// Carries NDJSON over HTTP.
#[derive(Debug, Default)]
pub(super) struct Http {
    client: reqwest::Client,
    turn: usize,
}

impl Courier for Http {
    async fn send(&mut self, source: &Source, letter: &Letter) -> Sent {
        let sent = self.post(source, letter).await;
        if sent != Sent::Answered {
            self.turn += 1;
        }
        sent
    }
}

impl Http {
    async fn post(&self, source: &Source, letter: &Letter) -> Sent {
        let Some(to) = target(source, self.turn) else { return Sent::Not };
        let lines: Vec<String> = letter.records.iter().map(line).collect();
        let mut request = self
            .client
            .post(format!("{}/v1/ingest", to.http))
            .timeout(source.plan.patience)
            .header("content-type", "application/x-ndjson")
            .header("x-scope-orgid", source.tenant())
            .body(lines.join("\n"));
        if let Some(key) = &letter.key {
            request = request.header("idempotency-key", key);
        }
        source.ledger.attempt(letter.numbers());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => match answer.json::<Value>().await {
                Ok(answer) => {
                    note_json(&source.ledger, letter, &answer);
                    Sent::Answered
                }
                Err(_cut) => Sent::Unknown,
            },
            // For what it says; nothing of it is kept.
            Ok(answer) if answer.status() == StatusCode::BAD_REQUEST => {
                source.ledger.retract(letter.numbers());
                Sent::Answered
            }
            Ok(_refused) => Sent::Unknown,
            Err(error) if error.is_connect() => {
                source.ledger.retract(letter.numbers());
                Sent::Not
            }
            Err(_broken) => Sent::Unknown,
        }
    }
}

fn line(record: &Record) -> String {
    let mut line = json!({
        "timestamp": rfc3339(record.timestamp_ns), "service": record.service, "message": record.message,
    });
    if let Some(level) = record.level {
        line["level"] = json!(level);
    }
    line.to_string()
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
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/ingest", to.http))
            .timeout(Duration::from_secs(10))
            .header("content-type", "application/x-ndjson")
            .header("x-scope-orgid", &ledger.tenants()[tenant])
            .body(line(&record))
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
