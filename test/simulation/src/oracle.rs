//! Knows what was sent and what was acknowledged, and says what an answer may be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use loglake_model::{RecordId, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;

/// The tenants of a run.
pub const TENANTS: [&str; 2] = ["acme", "umbrella"];
/// Their services.
pub const SERVICES: [&str; 3] = ["api", "db", "web"];

/// A record as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Place in [`TENANTS`].
    pub tenant: usize,
    /// Its service.
    pub service: &'static str,
    /// Its time, ns UTC.
    pub timestamp_ns: i64,
    /// Whether the client was told that it is durable.
    pub is_acknowledged: bool,
}

/// All that was sent, by number. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Oracle(Arc<Mutex<BTreeMap<u64, Sent>>>);

/// What a reader asks for, on all of its pages.
#[derive(Clone, Debug)]
pub struct Question {
    /// Place in [`TENANTS`].
    pub tenant: usize,
    /// Only this service.
    pub service: Option<&'static str>,
    /// Only this range of time.
    pub range: Option<(i64, i64)>,
    /// Oldest first.
    pub is_forward: bool,
}

/// What a reader has seen so far.
#[derive(Debug)]
pub struct Reading {
    question: Question,
    /// What had to be there when the first page was asked for.
    due: BTreeSet<u64>,
    seen: BTreeSet<u64>,
    last: Option<(i64, RecordId)>,
}

impl Sent {
    fn answers(&self, question: &Question) -> bool {
        self.tenant == question.tenant
            && question.service.is_none_or(|service| service == self.service)
            && question.range.is_none_or(|(from, to)| (from..to).contains(&self.timestamp_ns))
    }
}

/// The message of record `number`.
#[must_use]
pub fn message(tenant: usize, number: u64) -> String {
    format!("{}#{number}#", TENANTS[tenant])
}

impl Oracle {
    /// Writes down what is about to be sent; returns its number.
    pub fn send(&self, sent: Sent) -> u64 {
        let mut all = self.0.lock();
        let number = all.len() as u64;
        all.insert(number, sent);
        number
    }

    /// Writes down that `numbers` were acknowledged.
    pub fn acknowledge(&self, numbers: &[u64]) {
        let mut all = self.0.lock();
        for number in numbers {
            if let Some(sent) = all.get_mut(number) {
                sent.is_acknowledged = true;
            }
        }
    }

    /// How many records were sent, and how many of them acknowledged.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let all = self.0.lock();
        (all.len(), all.values().filter(|sent| sent.is_acknowledged).count())
    }

    /// How many of `stored` are of `tenant`.
    #[must_use]
    pub fn stored(&self, tenant: usize, stored: &BTreeMap<u64, RecordId>) -> usize {
        let all = self.0.lock();
        stored.keys().filter(|number| all.get(number).is_some_and(|sent| sent.tenant == tenant)).count()
    }

    /// What was acknowledged and is not among `stored`.
    #[must_use]
    pub fn lost(&self, stored: &BTreeSet<u64>) -> Vec<u64> {
        let all = self.0.lock();
        all.iter().filter(|(number, sent)| sent.is_acknowledged && !stored.contains(number)).map(|(n, _)| *n).collect()
    }

    /// A reading that begins now.
    #[must_use]
    pub fn begin(&self, question: Question) -> Reading {
        let all = self.0.lock();
        let due = all.iter().filter(|(_, sent)| sent.is_acknowledged && sent.answers(&question));
        let due = due.map(|(number, _)| *number).collect();
        drop(all);
        Reading { question, due, seen: BTreeSet::new(), last: None }
    }

    /// The number of the record in a stored line, which must be one that was sent, with its id.
    ///
    /// # Errors
    /// A line that nobody sent so.
    pub fn recognise(&self, row: &Value) -> Result<(u64, Sent, RecordId)> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).with_context(|| format!("no {name} in {row}"));
        let message_text = text("message")?;
        let number = message_text.split('#').nth(1).and_then(|number| number.parse().ok());
        let number: u64 = number.with_context(|| format!("a message that nobody sent: {row}"))?;
        let sent = self.0.lock().get(&number).cloned();
        let sent = sent.with_context(|| format!("a record that nobody sent: {row}"))?;
        let timestamp = Timestamp::parse(text("timestamp")?).context("a timestamp")?;
        ensure!(
            message_text.starts_with(&message(sent.tenant, number))
                && text("service")? == sent.service
                && timestamp.0 == sent.timestamp_ns,
            "record {number} is not as it was sent: {row}"
        );
        Ok((number, sent, text("id")?.parse().context("an id")?))
    }
}

impl Reading {
    /// Takes the rows of a page.
    ///
    /// # Errors
    /// What no page may hold: another tenant's rows, rows not asked for, out of order, or seen before.
    pub fn take(&mut self, oracle: &Oracle, rows: &[Value]) -> Result<()> {
        for row in rows {
            let (number, sent, id) = oracle.recognise(row)?;
            ensure!(sent.tenant == self.question.tenant, "record {number} is another tenant's: {row}");
            ensure!(sent.answers(&self.question), "record {number} was not asked for: {row}");
            let position = (sent.timestamp_ns, id);
            if let Some(last) = self.last {
                let is_next = if self.question.is_forward { position > last } else { position < last };
                ensure!(is_next, "record {number} at {position:?} comes after {last:?}");
            }
            self.last = Some(position);
            ensure!(self.seen.insert(number), "record {number} comes twice: {row}");
        }
        Ok(())
    }

    /// All pages came, and each said that it is complete.
    ///
    /// # Errors
    /// What was acknowledged before and is not there.
    pub fn finish(&self) -> Result<usize> {
        let lost: Vec<&u64> = self.due.difference(&self.seen).take(10).collect();
        if !lost.is_empty() {
            bail!("an answer that says it is complete lacks {lost:?} (acknowledged before it was asked for)");
        }
        Ok(self.seen.len())
    }
}
