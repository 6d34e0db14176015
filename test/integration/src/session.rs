//! A client session on the native stream, at any ingestor, with its numbers in the test's hand.

use std::time::Duration;

use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::ingest_service_client::IngestServiceClient;
use loglake_api::ingest::v1::{Batch, BatchResult, IngestRequest, IngestResponse, LogRecord, Open, ingest_response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream in a session.
#[derive(Debug)]
pub struct Session {
    /// Good at every ingestor of the cluster.
    pub token: String,
    requests: mpsc::Sender<IngestRequest>,
    answers: Streaming<IngestResponse>,
}

impl Session {
    /// Opens a session of `tenant` (open mode) at `server`, or resumes the one of `token` unless it is empty.
    ///
    /// # Errors
    /// The server's refusal.
    ///
    /// # Panics
    /// When the server does not listen, or answers something else.
    pub async fn open(server: &str, tenant: &str, token: &str) -> Result<Self, Status> {
        Self::open_as(server, ("x-scope-orgid", tenant), token).await
    }

    /// The same with a header that says who it is.
    ///
    /// # Errors
    /// The server's refusal.
    ///
    /// # Panics
    /// When the server does not listen, or answers something else.
    pub async fn open_as(server: &str, header: (&'static str, &str), token: &str) -> Result<Self, Status> {
        let mut client = IngestServiceClient::connect(server.to_owned()).await.expect("the server listens");
        let (requests, receiver) = mpsc::channel(1_024);
        let open = Open { session_token: token.to_owned(), session: true };
        requests.send(IngestRequest { kind: Some(Kind::Open(open)) }).await.expect("there is room");
        let mut request = Request::new(ReceiverStream::new(receiver));
        request.metadata_mut().insert(header.0, header.1.parse().expect("a header's value"));
        let mut answers = client.ingest(request).await?.into_inner();
        match next(&mut answers).await? {
            ingest_response::Kind::Opened(opened) => Ok(Self { token: opened.session_token, requests, answers }),
            other => panic!("not opened: {other:?}"),
        }
    }

    /// Sends the batch `number` without waiting for its result.
    pub async fn send(&self, number: u64, oldest_unacknowledged: u64, records: Vec<LogRecord>) {
        let batch = Batch { number, records, oldest_unacknowledged };
        self.requests.send(IngestRequest { kind: Some(Kind::Batch(batch)) }).await.expect("the stream stands");
    }

    /// The next result.
    ///
    /// # Errors
    /// How the server ended the stream.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub async fn result(&mut self) -> Result<BatchResult, Status> {
        match next(&mut self.answers).await? {
            ingest_response::Kind::Result(result) => Ok(result),
            other => panic!("no result: {other:?}"),
        }
    }
}

async fn next(answers: &mut Streaming<IngestResponse>) -> Result<ingest_response::Kind, Status> {
    let message = tokio::time::timeout(PATIENCE, answers.message()).await.expect("an answer within a minute")?;
    let message = message.ok_or_else(|| Status::aborted("the stream ended"))?;
    Ok(message.kind.expect("a kind"))
}
