//! A tenant with what it has sent, which all is the other's too, but for its marks.

use loglake_api::ingest::v1::LogRecord;
use loglake_integration::Session;
use loglake_integration::oracle::LEVELS;
use rand::prelude::*;
use serde_json::{Value, json};

pub(crate) const START_NS: i64 = 1_772_323_200_000_000_000;
/// Traces that both have.
pub(crate) const TRACES: [&str; 3] =
    ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000007"];
/// Services that both have.
pub(crate) const SERVICES: [&str; 3] = ["checkout", "payment", "søk"];

#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    /// Stands in everything that is its own, and is a word of hexadecimal digits.
    pub(crate) canary: String,
    /// Ingest and query.
    pub(crate) token: String,
    pub(crate) admin: String,
    pub(crate) sent: Vec<Record>,
    pub(crate) session: Option<(Session, u64)>,
    /// A cursor that it was given last, and the query that it is of.
    pub(crate) cursor: Option<(String, Value)>,
}

/// What another one may try.
#[derive(Clone, Debug)]
pub(crate) struct Mine {
    pub(crate) canary: String,
    pub(crate) cursor: Option<String>,
}

/// A record as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) n: i64,
    pub(crate) service: String,
    pub(crate) level: Option<&'static str>,
    /// A level that nobody knows stands in the attributes.
    pub(crate) level_text: Option<String>,
    pub(crate) message: String,
    pub(crate) trace_id: String,
    pub(crate) timestamp_ns: i64,
    canary: String,
}

impl Tenant {
    pub(crate) fn new(name: &str, rng: &mut StdRng) -> Self {
        let canary = format!("{:016x}", rng.random::<u64>());
        Self {
            name: format!("{name}-{:08x}", rng.random::<u32>()),
            canary,
            token: String::new(),
            admin: String::new(),
            sent: Vec::new(),
            session: None,
            cursor: None,
        }
    }

    pub(crate) fn what_is_mine(&self) -> Mine {
        Mine { canary: self.canary.clone(), cursor: self.cursor.as_ref().map(|(cursor, _)| cursor.clone()) }
    }

    /// Records that were not sent yet.
    pub(crate) fn records(&self, count: usize, is_json: bool, rng: &mut StdRng) -> Vec<Record> {
        let first = self.sent.len();
        (first..first + count).map(|n| Record::new(n as i64, &self.canary, is_json, rng)).collect()
    }
}

impl Record {
    fn new(n: i64, canary: &str, is_json: bool, rng: &mut StdRng) -> Self {
        let service = if rng.random_ratio(1, 5) {
            format!("only-{canary}")
        } else {
            (*SERVICES.choose(rng).expect("some")).to_owned()
        };
        let own_trace = format!("{canary}{canary}");
        let trace_id = if rng.random_ratio(1, 4) { own_trace } else { (*TRACES.choose(rng).expect("some")).to_owned() };
        let level_text = (is_json && rng.random_ratio(1, 6)).then(|| format!("level-{canary}"));
        let level = if level_text.is_some() { None } else { LEVELS.choose(rng).copied() };
        Self {
            n,
            service,
            level,
            level_text,
            message: format!("order number {n} of {canary}"),
            trace_id,
            // The same moments for everybody; some twice.
            timestamp_ns: START_NS + n / 2 * 1_000_000_000,
            canary: canary.to_owned(),
        }
    }

    fn attributes(&self) -> Value {
        let canary = &self.canary;
        json!({"n": self.n, "same": "for all", "common": format!("value {canary}"), (format!("key-{canary}")): [canary]})
    }

    pub(crate) fn json(&self) -> Value {
        let mut json = json!({
            "service": self.service,
            "message": self.message,
            "trace_id": self.trace_id,
            "span_id": self.canary,
            "parent_span_id": format!("parent-{}", self.canary),
            "host": format!("host-{}", self.canary),
            "tags": ["same", format!("tag-{}", self.canary)],
            "ts": self.timestamp_ns,
            "attributes": self.attributes(),
        });
        if let Some(level) = self.level_text.as_deref().or(self.level) {
            json["level"] = json!(level);
        }
        json
    }

    pub(crate) fn wire(&self) -> LogRecord {
        let level = self.level.and_then(|level| LEVELS.iter().position(|other| *other == level));
        LogRecord {
            timestamp_ns: self.timestamp_ns as u64,
            level: level.map_or(0, |at| at as i32 + 1),
            service: self.service.clone(),
            message: self.message.clone(),
            trace_id: self.trace_id.clone(),
            span_id: self.canary.clone(),
            parent_span_id: format!("parent-{}", self.canary),
            host: format!("host-{}", self.canary),
            tags: vec!["same".to_owned(), format!("tag-{}", self.canary)],
            attributes_json: self.attributes().to_string().into_bytes().into(),
        }
    }
}
