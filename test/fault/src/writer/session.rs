use std::time::{Duration, Instant};

use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::ingest_response::Kind as Answer;
use loglake_api::ingest::v1::{BatchResult, IngestRequest, IngestResponse, Open, Opened};
use rand::prelude::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::answer::note_result;
use super::letter::Letter;
use super::outstanding::Outstanding;
use super::stream::IN_FLIGHT;
use super::trial::Trial;
use super::wire::{self, Client};
use super::{AGAIN, target};
use crate::load::Source;

/// Batches of a session; then another one is opened.
const LONGEST: u64 = 300;
/// How many seconds of a session are left unused.
const SPARE_SECONDS: u64 = 600;
/// How likely a result is taken as not heard.
const FORGETS: f64 = 0.1;
/// How much later the batch is sent again then, in milliseconds, at most.
const LATER_MS: u64 = 3_000;

/// A session, whichever stream it is on.
#[derive(Debug)]
struct Session {
    token: String,
    good_until: Instant,
    outstanding: Outstanding,
    /// Since the last result.
    trial: Trial,
}

/// Why a stream ended.
enum End {
    /// It broke, or hangs: the session goes on at another ingestor.
    Broken,
    /// The session has done its part, or will not do it any more; what has no result stays unknown.
    Over,
}

/// Sends the numbered batches of one session after another; resumes with the token when the stream breaks.
pub(super) async fn run(mut source: Source) {
    let mut turn = 0;
    let mut session: Option<Session> = None;
    loop {
        if source.is_stopped() && session.as_ref().is_none_or(|session| session.outstanding.is_empty()) {
            return;
        }
        if session.as_mut().is_some_and(|session| !session.trial.goes_on(&source)) {
            session = None;
            continue;
        }
        turn += 1;
        let connected = match target(&source, turn) {
            Some(to) => wire::connect(&to).await,
            None => None,
        };
        if let Some(mut client) = connected
            && let End::Over = one_stream(&mut source, &mut client, &mut session).await
        {
            session = None;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Opens or resumes, and goes on until the end of stream or session.
async fn one_stream(source: &mut Source, client: &mut Client, session: &mut Option<Session>) -> End {
    let (to_server, outgoing) = mpsc::channel(IN_FLIGHT);
    let session_token = session.as_ref().map(|session| session.token.clone()).unwrap_or_default();
    let open = IngestRequest { kind: Some(Kind::Open(Open { session_token, session: true })) };
    if to_server.send(open).await.is_err() {
        return End::Broken;
    }
    let request = wire::request(source, ReceiverStream::new(outgoing));
    let mut results = match tokio::time::timeout(source.plan.patience, client.ingest(request)).await {
        Ok(Ok(results)) => results.into_inner(),
        Ok(Err(status)) => return ended(source, &status),
        Err(_quiet) => return End::Broken,
    };
    match tokio::time::timeout(source.plan.patience, results.message()).await {
        Ok(Ok(Some(IngestResponse { kind: Some(Answer::Opened(opened)) }))) => match session {
            Some(session) => session.outstanding.rewind(),
            None => *session = Some(Session::of(opened)),
        },
        Ok(Err(status)) => return ended(source, &status),
        _silent => return End::Broken,
    }
    match session {
        Some(session) => session.talk(source, &to_server, &mut results).await,
        None => End::Broken,
    }
}

/// What the end of a stream means. Refusals that no client that keeps the rules should get are told to the ledger.
fn ended(source: &Source, status: &Status) -> End {
    match status.code() {
        // Its hour is over, by the log's time.
        Code::FailedPrecondition => End::Over,
        Code::InvalidArgument | Code::NotFound | Code::PermissionDenied | Code::Unauthenticated => {
            source.ledger.complain(format!("a session is refused: {status}"));
            End::Over
        }
        _ => End::Broken,
    }
}

impl Session {
    fn of(opened: Opened) -> Self {
        let seconds = opened.session_seconds_left.saturating_sub(SPARE_SECONDS);
        let good_until = Instant::now() + Duration::from_secs(seconds);
        let outstanding = Outstanding::default();
        Self { token: opened.session_token, good_until, outstanding, trial: Trial::begin() }
    }

    async fn talk(
        &mut self,
        source: &mut Source,
        to_server: &mpsc::Sender<IngestRequest>,
        results: &mut Streaming<IngestResponse>,
    ) -> End {
        let mut heard = Instant::now();
        loop {
            let begins = !source.is_stopped() && Instant::now() < self.good_until && self.outstanding.last() < LONGEST;
            if begins && self.outstanding.has_room() {
                self.outstanding.add(Letter::write(source));
            } else if !begins && self.outstanding.is_empty() {
                return End::Over;
            }
            let oldest = self.outstanding.oldest();
            if let Some((number, letter)) = self.outstanding.take_due() {
                source.ledger.attempt(letter.numbers());
                let batch = wire::batch(letter, number, oldest);
                if to_server.send(IngestRequest { kind: Some(Kind::Batch(batch)) }).await.is_err() {
                    return End::Broken;
                }
            }
            // Not for nothing: what is to be sent later waits for its time.
            let wait = source.plan.pause.max(Duration::from_millis(10));
            match tokio::time::timeout(wait, results.message()).await {
                Ok(Ok(Some(answer))) => {
                    heard = Instant::now();
                    if let Some(Answer::Result(result)) = answer.kind {
                        self.hear(source, &result);
                        tokio::time::sleep(source.plan.pause).await;
                    }
                }
                Ok(Ok(None)) => return End::Broken,
                Ok(Err(status)) => return ended(source, &status),
                Err(_quiet) => {
                    let hangs = heard.elapsed() > source.plan.patience && self.outstanding.is_any_on_the_way();
                    if hangs || !self.trial.goes_on(source) {
                        return End::Broken;
                    }
                }
            }
        }
    }

    fn hear(&mut self, source: &mut Source, result: &BatchResult) {
        let number = result.number;
        let Some(letter) = self.outstanding.get(number) else { return };
        if !note_result(&source.ledger, letter, result) {
            return self.outstanding.again(number, AGAIN);
        }
        self.trial = Trial::begin();
        if source.random.random_bool(FORGETS) {
            let wait = Duration::from_millis(source.random.random_range(0..LATER_MS));
            if self.outstanding.mishear(number, wait) {
                return;
            }
        }
        self.outstanding.remove(number);
    }
}
