use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use http::uri::PathAndQuery;
use loglake_api::ingest::v1::{BatchResult, IngestResponse, Opened, ingest_response};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::wire::{Frame, FrameCodec, INGEST};
use super::{Options, Refusal, Tally, Target, Window};
use crate::Batch;

/// How long the server may take to answer the opening of a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// What outlives a connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    token: String,
    /// When to open another one: well before this one ends, so that nothing is left without a result then.
    renew_at: Option<Instant>,
}

impl Session {
    /// Gives it up for a new one.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes what the server said at its opening.
    fn opened(&mut self, token: String, seconds_left: u64) {
        // Ten minutes of the hour are for what is under way, however often it must be sent again.
        let use_for = Duration::from_secs(seconds_left).mul_f64(5.0 / 6.0);
        self.renew_at = (!token.is_empty() && seconds_left > 0).then(|| Instant::now() + use_for);
        self.token = token;
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Everything has its result.
    Delivered,
    /// Trying again would not help.
    Refused(anyhow::Error),
    /// Trying again may help.
    Lost(anyhow::Error),
    /// The session is over: trying again in a new one may help.
    Over(anyhow::Error),
    /// Everything so far has its result, and it is time for another session.
    Renew,
}

/// Opens one stream and delivers over it until everything has its result or the stream breaks.
pub(super) async fn run(
    target: &Target,
    options: &Options,
    session: &mut Session,
    window: &mut Window,
    batches: &mut mpsc::Receiver<Batch>,
    tally: &Arc<Tally>,
    attempt: u64,
) -> Ended {
    let opening = tokio::time::timeout(OPEN_TIMEOUT, open(target, session, attempt)).await;
    let (sender, responses, max_bytes, is_resumed) = match opening {
        Ok(Ok(opened)) => opened,
        Ok(Err(ended)) => return ended,
        Err(_) => {
            return Ended::Lost(anyhow!("the server did not answer the opening of a stream within {OPEN_TIMEOUT:?}"));
        }
    };
    window.connect(is_resumed);
    let renew_at = session.renew_at;
    Stream { responses, max_bytes, is_resumed, renew_at, retry: None, is_closed: false }
        .run(&sender, options, window, batches, tally)
        .await
}

type Opening = (mpsc::Sender<Frame>, Streaming<IngestResponse>, u64, bool);

async fn open(target: &Target, session: &mut Session, attempt: u64) -> Result<Opening, Ended> {
    let channel = target.connect(attempt).await.map_err(not_connected)?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(not_connected)?;
    let (sender, frames) = mpsc::channel(1);
    // The channel is empty and open, so this cannot wait or fail.
    let _ = sender.try_send(Frame::Open { session_token: session.token.clone() });
    let request = target.request(ReceiverStream::new(frames));
    let streaming = client.streaming(request, PathAndQuery::from_static(INGEST), FrameCodec).await;
    let mut responses = streaming.map_err(|status| not_opened(&status, session))?.into_inner();
    match responses.message().await.map_err(|status| not_opened(&status, session))? {
        Some(IngestResponse { kind: Some(ingest_response::Kind::Opened(opened)) }) => {
            let Opened { session_token, max_in_flight_bytes, session_seconds_left } = opened;
            let is_resumed = !session_token.is_empty() && session_token == session.token;
            session.opened(session_token, session_seconds_left);
            Ok((sender, responses, max_in_flight_bytes, is_resumed))
        }
        Some(_) => Err(Ended::Refused(anyhow!("the server answered the opening of a stream with something else"))),
        None => Err(Ended::Lost(anyhow!("the server ended the stream before it was open"))),
    }
}

/// A stream that stands.
struct Stream {
    responses: Streaming<IngestResponse>,
    /// What the server takes without a result; 0 for no bound.
    max_bytes: u64,
    is_resumed: bool,
    renew_at: Option<Instant>,
    /// Why the server wants a batch again: nothing more is sent, and once all results are there the stream ends.
    retry: Option<anyhow::Error>,
    /// The server takes no more messages.
    is_closed: bool,
}

impl Stream {
    async fn run(
        mut self,
        sender: &mpsc::Sender<Frame>,
        options: &Options,
        window: &mut Window,
        batches: &mut mpsc::Receiver<Batch>,
        tally: &Arc<Tally>,
    ) -> Ended {
        let mut is_input_over = false;
        let mut last_progress = Instant::now();
        loop {
            let is_ending = self.renew_at.is_some_and(|renew_at| Instant::now() >= renew_at);
            if !window.is_waiting() {
                if let Some(reason) = self.retry.take() {
                    return Ended::Lost(reason);
                }
                if is_input_over && window.is_empty() {
                    return Ended::Delivered;
                }
                if is_ending && window.is_empty() {
                    return Ended::Renew;
                }
                if !self.is_closed {
                    last_progress = Instant::now();
                }
            }
            let may_send = self.retry.is_none() && !self.is_closed && self.fits(window);
            let may_take =
                self.retry.is_none() && !is_input_over && !is_ending && window.len() < options.in_flight.max(1);
            tokio::select! {
                biased;
                message = self.responses.message() => {
                    last_progress = Instant::now();
                    let message = match message {
                        Ok(Some(message)) => message,
                        Ok(None) => return Ended::Lost(anyhow!("the server ended the stream")),
                        Err(status) => return ended_by(&status),
                    };
                    if let Err(ended) = self.answer(message, window, tally) {
                        return ended;
                    }
                }
                permit = sender.reserve(), if may_send => {
                    let (Ok(permit), Some((number, batch))) = (permit, window.next_unsent()) else {
                        // The stream takes nothing more. Results may still come, and why it ended.
                        self.is_closed = true;
                        continue;
                    };
                    let (oldest_unacknowledged, payload) = (window.oldest(), batch.payload.clone());
                    permit.send(Frame::Batch { number, oldest_unacknowledged, payload });
                    tally.add_doubtful(window.mark_sent(self.is_resumed));
                }
                batch = batches.recv(), if may_take => match batch {
                    Some(batch) => window.push(batch),
                    None => is_input_over = true,
                },
                () = sleep_until(self.renew_at), if !is_ending && !is_input_over => {}
                () = tokio::time::sleep_until(last_progress + options.answer_timeout), if window.is_waiting() || self.is_closed => {
                    return Ended::Lost(anyhow!("the server gave no result for {:?}", options.answer_timeout));
                }
            }
        }
    }

    /// Whether the next batch may be sent now. One larger than the server's bound goes alone.
    fn fits(&self, window: &Window) -> bool {
        let Some((_, batch)) = window.next_unsent() else { return false };
        let in_flight_bytes = window.in_flight_bytes();
        window.has_unsent()
            && (self.max_bytes == 0 || in_flight_bytes == 0 || in_flight_bytes + batch.bytes() <= self.max_bytes)
    }

    /// Takes one message of the server.
    fn answer(&mut self, message: IngestResponse, window: &mut Window, tally: &Tally) -> Result<(), Ended> {
        let broken = |what: String| Err(Ended::Refused(anyhow!("the server broke the protocol: {what}")));
        let Some(ingest_response::Kind::Result(result)) = message.kind else {
            return broken("a message that is no result".to_owned());
        };
        let BatchResult { number, accepted, rejected, errors, retry_reason } = result;
        let Some(batch) = window.awaiting(number) else {
            return if window.is_answered(number) { Ok(()) } else { broken(format!("a result for batch {number}")) };
        };
        if !retry_reason.is_empty() {
            window.fail(number, accepted > 0);
            self.retry = Some(anyhow!("the server could not keep a batch: {}", retry_reason.escape_debug()));
            return Ok(());
        }
        if accepted.checked_add(rejected) != Some(batch.records()) {
            return broken(format!("{accepted} accepted and {rejected} refused of {} records", batch.records()));
        }
        for error in errors {
            let place = usize::try_from(error.record_index).ok().and_then(|at| batch.places.get(at)).copied();
            let at = if error.field.is_empty() { String::new() } else { format!("{}: ", error.field) };
            tally.keep(Refusal {
                origin: batch.origin.to_string(),
                place: place.unwrap_or(0),
                reason: format!("{at}{} ({})", error.message, error.code),
            });
        }
        tally.add_result(accepted, rejected, batch.bytes());
        window.complete(number);
        Ok(())
    }
}

/// The causes between repeat each other; the last one says what happened.
fn not_connected(error: tonic::transport::Error) -> Ended {
    Ended::Lost(anyhow!("the server cannot be reached: {}", anyhow::Error::new(error).root_cause()))
}

/// Why a stream did not open. A session that the server does not know any more is given up for a new one.
fn not_opened(status: &Status, session: &Session) -> Ended {
    match ended_by(status) {
        Ended::Refused(error) if !session.token.is_empty() && status.code() != Code::Unauthenticated => {
            Ended::Over(error)
        }
        ended => ended,
    }
}

/// Sorts out whether trying again may help.
fn ended_by(status: &Status) -> Ended {
    let error = anyhow!("the server answered {:?}: {}", status.code(), status.message().escape_debug());
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss => Ended::Refused(error),
        // Within a stream only its session can end so.
        Code::FailedPrecondition => Ended::Over(error),
        _ => Ended::Lost(error),
    }
}

/// Waits until then; for ever without a time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
