//! One `Ingest` stream: read, gather, append, answer, all at once and each within its bound.
//!
//! The reader takes messages in order and turns each batch into messages for the broker; the appender has many of them in
//! flight and answers as they become durable. What bounds them: the right to an answer, a place in the queue, bytes of this
//! stream, then bytes of this process, each waited for before the next message is read. A batch gives its bytes back when its append
//! ends, not when the client takes the answer: a slow reader of answers holds up nobody but itself.
//!
//! A tenant over its rate is slowed down: its streams are read as fast as the rate allows. Only where that would take too long the
//! stream ends, and the client, who has all answers so far, comes again with what has none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use loglake_api::ingest::raw::IngestRequest;
use loglake_api::ingest::raw::ingest_request::Kind;
use loglake_api::ingest::v1::{BatchResult, IngestResponse, Open, Opened, ingest_response};
use loglake_api::{RawBatch, Refusal};
use loglake_auth::Caller;
use loglake_auth::limits::Quota;
use loglake_batch::Origin;
use loglake_model::{ErrorKind, Fault, FaultCode};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::{Status, Streaming};

use super::PROTOCOL;
use super::service::{Ungathered, gather, result, size};
use crate::budget::{Budget, Held};
use crate::intake::Gathered;
use crate::origins::Session;
use crate::shared::{Shared, going_down, too_busy, unwelcome};

/// How many batches of a stream may be without an answer that was taken.
const MAX_UNANSWERED: usize = 256;
/// How many batches wait to be appended.
const QUEUE: usize = 16;
/// How often the credential of a stream that sends nothing is looked at.
const CREDENTIAL_CHECK: Duration = Duration::from_secs(5);

/// How long a batch may wait for its tenant's rate.
const MAX_HELD_BACK: Duration = Duration::from_secs(5);

/// A stream from its opening to its end.
pub(super) struct Stream {
    shared: Arc<Shared>,
    caller: Caller,
    request_id: String,
    budget: Budget,
    answers: mpsc::Sender<Result<IngestResponse, Status>>,
    /// Answers that the client may still leave untaken.
    unanswered: Arc<Semaphore>,
}

/// A batch with the right to one answer.
type Unanswered = (OwnedSemaphorePermit, Pending);

/// A batch on its way to the broker.
struct Pending {
    number: u64,
    /// Or why it is to be sent again.
    gathered: Result<Gathered, Refusal>,
    began: Instant,
    held: [Held; 2],
}

impl Stream {
    pub(super) fn new(
        shared: Arc<Shared>,
        caller: Caller,
        request_id: String,
        answers: mpsc::Sender<Result<IngestResponse, Status>>,
    ) -> Self {
        let budget = Budget::new(shared.config.stream_in_flight_bytes, None);
        let unanswered = Arc::new(Semaphore::new(MAX_UNANSWERED));
        Self { shared, caller, request_id, budget, answers, unanswered }
    }

    /// Serves the stream to its end: the client's, a fault of its own, or ours. Every batch that was read is answered first.
    pub(super) async fn run(self, inbound: Streaming<IngestRequest>) {
        let (queue, pending) = mpsc::channel::<Unanswered>(QUEUE);
        let both = async { tokio::join!(self.read(inbound, queue), self.append(pending)) };
        tokio::select! {
            // Nobody is there to answer.
            () = self.answers.closed() => {}
            (read, ()) = both => {
                if let Err(status) = read {
                    // If the client is gone now, it does not want to know.
                    let _ = self.answers.send(Err(status)).await;
                }
            }
        }
    }

    /// Reads batches until the client ends the stream or breaks its rules.
    async fn read(&self, mut inbound: Streaming<IngestRequest>, queue: mpsc::Sender<Unanswered>) -> Result<(), Status> {
        let mut session = match self.next(&mut inbound).await? {
            None => return Ok(()),
            Some(Kind::Open(open)) => self.open(&open).await?,
            Some(Kind::Batch(_)) => return Err(self.wrong("open", "the first message of a stream is `open`")),
        };
        let mut last: Option<u64> = None;
        while let Some(kind) = self.next(&mut inbound).await? {
            let batch = match kind {
                Kind::Batch(batch) => batch,
                Kind::Open(_) => return Err(self.wrong("open", "the stream is open already")),
            };
            self.check()?;
            let origin = match &mut session {
                Some(session) => {
                    let now_ns = self.shared.intake.log_time.now_ns();
                    let origin = session.origin(batch.number, batch.oldest_unacknowledged, now_ns);
                    origin.map_err(|refusal| self.refused(&refusal))?
                }
                None if last.is_some_and(|last| last.checked_add(1) != Some(batch.number)) => {
                    let before = last.unwrap_or(0);
                    let message = format!("numbers rise by one: {} does not follow {before}", batch.number);
                    return Err(self.wrong("number", &message));
                }
                None => Origin::None,
            };
            last = Some(batch.number);
            // Taken before any bytes: a client that reads no answers must not keep what all share.
            let Ok(answer) = Arc::clone(&self.unanswered).acquire_owned().await else { return Ok(()) };
            // Only the appender closes the queue, when nobody listens any more.
            let Ok(place) = queue.reserve().await else { return Ok(()) };
            place.send((answer, self.prepare(batch, origin).await?));
        }
        Ok(())
    }

    async fn prepare(&self, batch: RawBatch, origin: Origin) -> Result<Pending, Status> {
        let (began, number, bytes) = (Instant::now(), batch.number, batch.encoded_len());
        // A batch is in memory as soon as it was read: many streams that each wait with one must not add up.
        let waiting = self.shared.waiting.try_take(bytes).ok_or_else(|| self.refused(&too_busy()))?;
        // Before any bytes that others need as well.
        let quota = self.within_rate(&batch).await?;
        let held = [self.budget.take(bytes).await, self.shared.budget.take(bytes).await];
        drop(waiting);
        let gathered = match gather(&self.shared, self.caller.tenant(), origin, &quota, batch).await {
            Ok(gathered) => Ok(gathered),
            // Of this batch alone, which may be taken later: the stream goes on.
            Err(Ungathered::Refused(refusal)) if refusal.kind == ErrorKind::Exhausted => Err(refusal),
            Err(failed) => return Err(failed.to_grpc(&self.request_id)),
        };
        Ok(Pending { number, gathered, began, held })
    }

    /// Takes what `batch` has of the tenant's rates, and waits until it is there.
    async fn within_rate(&self, batch: &RawBatch) -> Result<Quota, Status> {
        let tenant = self.caller.tenant();
        let (quota, (bytes, records)) = (self.shared.quota(tenant), size(batch));
        let wait = quota.take(bytes, records, self.shared.clock.now_ns(), MAX_HELD_BACK);
        let wait = wait.map_err(|over| self.refused(&self.shared.over(tenant, &over)))?;
        if wait > Duration::ZERO {
            self.shared.metrics.held_back.inc();
            tokio::select! {
                () = self.shared.draining.cancelled() => {
                    quota.give_back(bytes, records);
                    return Err(self.status(&going_down()));
                }
                () = tokio::time::sleep(wait) => self.check()?,
            }
        }
        Ok(quota)
    }

    /// The next message; `None` at the end of the stream.
    async fn next(&self, inbound: &mut Streaming<IngestRequest>) -> Result<Option<Kind>, Status> {
        let message = loop {
            tokio::select! {
                biased;
                () = self.shared.draining.cancelled() => return Err(self.status(&going_down())),
                message = inbound.message() => break message?,
                () = tokio::time::sleep(CREDENTIAL_CHECK) => self.check()?,
            }
        };
        match message.map(|message| message.kind) {
            None => Ok(None),
            Some(Some(kind)) => Ok(Some(kind)),
            Some(None) => Err(self.wrong("kind", "a message is `open` or `batch`; this one is neither")),
        }
    }

    /// Ends the stream once its credential has expired or was revoked.
    fn check(&self) -> Result<(), Status> {
        self.caller.check(self.shared.clock.now_ns()).map_err(|error| self.status(&unwelcome(&error)))
    }

    /// Answers the opening; returns the session that was opened or resumed, if one was asked for.
    async fn open(&self, open: &Open) -> Result<Option<Session>, Status> {
        let (origins, tenant) = (&self.shared.origins, self.caller.tenant());
        let now_ns = self.shared.intake.log_time.now_ns();
        let session = match open.session_token.as_str() {
            "" if open.session => Some(origins.open(tenant, now_ns)),
            "" => None,
            token => Some(origins.resume(tenant, token, now_ns)),
        };
        let session = session.transpose().map_err(|refusal| self.refused(&refusal))?;
        let opened = Opened {
            session_token: session.as_ref().map(Session::text).unwrap_or_default().to_owned(),
            max_in_flight_bytes: self.shared.config.stream_in_flight_bytes as u64,
            session_seconds_left: session.as_ref().map_or(0, |session| session.seconds_left(now_ns)),
        };
        let opened = IngestResponse { kind: Some(ingest_response::Kind::Opened(opened)) };
        // A client that is gone is noticed by `run`.
        let _ = self.answers.send(Ok(opened)).await;
        Ok(session)
    }

    /// Appends what the reader has prepared and answers as it becomes durable.
    async fn append(&self, mut pending: mpsc::Receiver<Unanswered>) {
        let mut in_flight = FuturesUnordered::new();
        let mut done: VecDeque<(OwnedSemaphorePermit, BatchResult)> = VecDeque::new();
        let mut is_open = true;
        while is_open || !in_flight.is_empty() || !done.is_empty() {
            tokio::select! {
                next = pending.recv(), if is_open => match next {
                    Some((answer, pending)) => in_flight.push(async move { (answer, self.append_one(pending).await) }),
                    None => is_open = false,
                },
                Some(result) = in_flight.next() => done.push_back(result),
                place = self.answers.reserve(), if !done.is_empty() => match (place, done.pop_front()) {
                    (Ok(place), Some((_answer, result))) => {
                        place.send(Ok(IngestResponse { kind: Some(ingest_response::Kind::Result(result)) }));
                    }
                    _ => return,
                },
            }
        }
    }

    async fn append_one(&self, pending: Pending) -> BatchResult {
        let Pending { number, gathered, began, held } = pending;
        let gathered = match gathered {
            Ok(gathered) => gathered,
            Err(refusal) => {
                self.shared.count(PROTOCOL, Some(refusal.kind), Some(began));
                return BatchResult { number, retry_reason: refusal.fault.message, ..BatchResult::default() };
            }
        };
        let outcome = self.shared.intake.append(gathered).await;
        drop(held);
        self.shared.count(PROTOCOL, outcome.failure, Some(began));
        result(number, outcome)
    }

    fn wrong(&self, field: &str, message: &str) -> Status {
        self.refused(&Fault::new(FaultCode::Invalid, field, message).into())
    }

    fn refused(&self, refusal: &Refusal) -> Status {
        self.shared.count(PROTOCOL, Some(refusal.kind), None);
        self.status(refusal)
    }

    fn status(&self, refusal: &Refusal) -> Status {
        refusal.to_grpc(&self.request_id)
    }
}
