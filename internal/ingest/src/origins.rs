//! What a client's messages are told apart by: opens and resumes sessions, reads idempotency keys. What is remembered of them
//! stands in `loglake_batch::repeats`; an ingestor remembers nothing, so any of them will do.

use http::HeaderMap;
use loglake_api::Refusal;
use loglake_auth::session::{SessionKey, SessionToken};
use loglake_batch::repeats::{KEY_GOOD_NS, MAX_OUTSTANDING, SESSION_GOOD_NS};
use loglake_batch::{IdempotencyKey, Origin, SessionPart};
use loglake_model::{ErrorKind, Fault, FaultCode, TenantId};
use tracing::warn;

use crate::allowance::Allowance;

/// The header, or metadata key, of an idempotency key.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;
/// How far a session may have been opened in the future: by an ingestor whose clock is ahead of ours and the log's.
const MAX_AHEAD_NS: i64 = 300 * 1_000_000_000;
/// Sessions that this process opens in an hour, and requests with keys that it takes in ten minutes, at most: for each the
/// processors remember some hundred bytes.
const MAX_BEGUN: u64 = 100_000;

/// Makes origins.
#[derive(Debug)]
pub(crate) struct Origins {
    key: SessionKey,
    /// The partitions that records without a session are routed to.
    partitions: u32,
    sessions: Allowance,
    keys: Allowance,
}

/// A session that a stream is in.
#[derive(Debug)]
pub(crate) struct Session {
    token: SessionToken,
    text: String,
    /// The highest oldest-unacknowledged number on this stream.
    low: u64,
}

impl Origins {
    pub(crate) fn new(key: SessionKey, partitions: u32) -> Self {
        let sessions = Allowance::new(MAX_BEGUN, SESSION_GOOD_NS);
        Self { key, partitions, sessions, keys: Allowance::new(MAX_BEGUN, KEY_GOOD_NS) }
    }

    /// Opens a session of `tenant` at `now_ns`, by the log's time.
    ///
    /// # Errors
    /// `Exhausted` when too many were opened.
    pub(crate) fn open(&self, tenant: &TenantId, now_ns: i64) -> Result<Session, Refusal> {
        if !self.sessions.take(now_ns) {
            return Err(too_many("sessions were opened here within an hour: go on with one that is open"));
        }
        let token = SessionToken {
            tenant: tenant.name().clone(),
            id: rand::random(),
            opened_at_ns: now_ns,
            partitions: self.partitions,
        };
        let text = self.key.sign(&token);
        Ok(Session { token, text, low: 0 })
    }

    /// Goes on with the session of the token `text`, whichever ingestor opened it.
    ///
    /// # Errors
    /// `NotFound` for what is no token of this cluster, `Forbidden` for another tenant's, `Expired` for one whose hour is over
    /// or has not come.
    pub(crate) fn resume(&self, tenant: &TenantId, text: &str, now_ns: i64) -> Result<Session, Refusal> {
        let refused = |code, message| Err(Fault::new(code, "session_token", message).into());
        let Some(token) = self.key.read(text) else {
            return refused(FaultCode::NotFound, "there is no such session: open one without a token".to_owned());
        };
        if token.tenant != *tenant.name() {
            warn!(%tenant, of = %token.tenant, "session of another tenant refused");
            return refused(FaultCode::Forbidden, "this session is another tenant's".to_owned());
        }
        if token.opened_at_ns > now_ns.saturating_add(MAX_AHEAD_NS) {
            let message = "this session was opened in the future: the clocks of ingestors differ; open another one";
            return refused(FaultCode::Expired, message.to_owned());
        }
        let session = Session { token, text: text.to_owned(), low: 0 };
        session.check(now_ns)?;
        Ok(session)
    }

    /// The origin of a request of `tenant` with `headers`, received at `now_ns`, by the log's time.
    ///
    /// # Errors
    /// `Invalid` for a key that is none, or several; `Exhausted` when too many requests had one.
    pub(crate) fn of_request(&self, tenant: &TenantId, headers: &HeaderMap, now_ns: i64) -> Result<Origin, Refusal> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).into_iter();
        let Some(value) = values.next() else { return Ok(Origin::None) };
        let is_text = |byte: &u8| (0x20..0x7f).contains(byte);
        let key = value.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
        let Some(key) = key.filter(|key| key.as_bytes().iter().all(is_text) && values.next().is_none()) else {
            let message = "a key is one text of 1 to 255 printable ASCII characters";
            return Err(Fault::new(FaultCode::Invalid, IDEMPOTENCY_KEY, message).into());
        };
        if !self.keys.take(now_ns) {
            return Err(too_many("requests with keys came here within ten minutes: send more records in each"));
        }
        Ok(Origin::Key(IdempotencyKey {
            hash: self.key.hash_idempotency_key(tenant, key),
            first_seen_ns: now_ns,
            partitions: self.partitions,
            part: 0,
            parts: 1,
        }))
    }
}

impl Session {
    /// The token, for the client to keep.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// For how many seconds more it is good at `now_ns`, by the log's time.
    pub(crate) fn seconds_left(&self, now_ns: i64) -> u64 {
        let left_ns = self.token.opened_at_ns.saturating_add(SESSION_GOOD_NS).saturating_sub(now_ns);
        u64::try_from(left_ns / 1_000_000_000).unwrap_or(0)
    }

    /// # Errors
    /// `Expired` when its hour is over.
    fn check(&self, now_ns: i64) -> Result<(), Refusal> {
        if now_ns < self.token.opened_at_ns.saturating_add(SESSION_GOOD_NS) {
            return Ok(());
        }
        let message = "the session's hour is over: open another one, and number from 1 again";
        Err(Fault::new(FaultCode::Expired, "session_token", message).into())
    }

    /// The origin of the batch `number`, of which `oldest_unacknowledged` was told, at `now_ns`, by the log's time.
    ///
    /// # Errors
    /// `Expired`; `Invalid` for numbers outside of the window.
    pub(crate) fn origin(&mut self, number: u64, oldest_unacknowledged: u64, now_ns: i64) -> Result<Origin, Refusal> {
        self.check(now_ns)?;
        let wrong = |code, field, message: String| Fault::new(code, field, message);
        if number == 0 {
            let message = "batches of a session are numbered from 1".to_owned();
            return Err(wrong(FaultCode::Invalid, "number", message).into());
        }
        if oldest_unacknowledged == 0 || oldest_unacknowledged > number {
            let message = format!("it is from 1 to the batch's own number, {number}: all below it have their result");
            return Err(wrong(FaultCode::Invalid, "oldest_unacknowledged", message).into());
        }
        if number < self.low {
            let message = format!("{number} lies below {}, the oldest that was said to have no result", self.low);
            return Err(wrong(FaultCode::Invalid, "number", message).into());
        }
        let above = number - oldest_unacknowledged;
        if above >= MAX_OUTSTANDING {
            let message = format!(
                "{number} lies too far above {oldest_unacknowledged}, the oldest without a result: wait for results first"
            );
            let fault = wrong(FaultCode::TooMany, "number", message).with_limit(MAX_OUTSTANDING, above + 1);
            return Err(fault.into());
        }
        self.low = self.low.max(oldest_unacknowledged);
        Ok(Origin::Session(SessionPart {
            id: self.token.id,
            opened_at_ns: self.token.opened_at_ns,
            partitions: self.token.partitions,
            number,
            oldest_unacknowledged,
            part: 0,
            parts: 1,
        }))
    }
}

fn too_many(what: &str) -> Refusal {
    Refusal::new(ErrorKind::Exhausted, format!("too many {what}"))
}

#[cfg(test)]
mod tests;
