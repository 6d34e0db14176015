use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::{Batch, BatchResult, IngestRequest, IngestResponse, LogRecord, Open, ingest_response};
use loglake_auth::Authenticator;
use loglake_ingest::{Config, metrics};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::harness::{Harness, Mode, SOON, record};

/// A stream, seen from its client.
pub(crate) struct Talk {
    pub(crate) requests: mpsc::Sender<IngestRequest>,
    pub(crate) answers: Streaming<IngestResponse>,
}

impl Talk {
    /// Begins a stream without a word.
    pub(crate) async fn silent(harness: &Harness) -> Self {
        let (requests, receiver) = mpsc::channel(1024);
        let answers = harness.client().await.ingest(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { requests, answers }
    }

    /// Begins a stream and opens it.
    pub(crate) async fn open(harness: &Harness) -> (Self, u64) {
        let mut talk = Self::silent(harness).await;
        talk.send(Kind::Open(Open::default())).await;
        let Some(ingest_response::Kind::Opened(opened)) = talk.next().await.unwrap().unwrap().kind else {
            panic!("the first answer is not `opened`");
        };
        assert_eq!(opened.session_token, "");
        (talk, opened.max_in_flight_bytes)
    }

    pub(crate) async fn send(&self, kind: Kind) {
        self.requests.send(IngestRequest { kind: Some(kind) }).await.unwrap();
    }

    pub(crate) async fn batch(&self, number: u64, records: Vec<LogRecord>) {
        self.send(Kind::Batch(Batch { number, records, ..Batch::default() })).await;
    }

    pub(crate) async fn next(&mut self) -> Option<Result<IngestResponse, Status>> {
        tokio::time::timeout(SOON, self.answers.next()).await.unwrap()
    }

    pub(crate) async fn result(&mut self) -> BatchResult {
        match self.next().await.unwrap().unwrap().kind {
            Some(ingest_response::Kind::Result(result)) => result,
            other => panic!("no result: {other:?}"),
        }
    }

    /// The status that ends it, after all answers.
    pub(crate) async fn end(&mut self) -> Option<Status> {
        loop {
            match self.next().await {
                None => return None,
                Some(Err(status)) => return Some(status),
                Some(Ok(_)) => {}
            }
        }
    }
}

#[tokio::test]
async fn batches_of_a_stream_are_in_flight_together_and_answered_when_durable() {
    let harness = Harness::open().await;
    let (mut talk, max_in_flight_bytes) = Talk::open(&harness).await;
    assert_eq!(max_in_flight_bytes, 8 << 20);
    harness.broker.become_(Mode::Stalls);
    for number in 7..=9 {
        talk.batch(number, vec![record("api", &format!("m{number}")), record("", "x"), record("web", "n")]).await;
    }
    // All three are with the broker, in both partitions, before any has an answer.
    harness.broker.asked(6).await;
    assert!(harness.metric(metrics::IN_FLIGHT_BYTES, &[]) > 0.0);
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), talk.answers.next()).await;
    assert!(early.is_err(), "answered before it was durable");

    harness.broker.become_(Mode::Works);
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let result = talk.result().await;
        assert_eq!((result.accepted, result.rejected, result.retry_reason.as_str()), (2, 1, ""));
        let error = &result.errors[0];
        assert_eq!((error.record_index, error.field.as_str(), error.code.as_str()), (1, "service", "missing"));
        numbers.push(result.number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [7, 8, 9]);
    assert_eq!(harness.broker.stored().len(), 6);
    // An empty batch is a batch, and the client's end is a good end.
    talk.batch(10, Vec::new()).await;
    assert_eq!(talk.result().await, BatchResult { number: 10, ..BatchResult::default() });
    let Talk { requests, mut answers } = talk;
    drop(requests);
    assert!(answers.next().await.is_none());
    harness.wait_for(|harness| harness.metric(metrics::IN_FLIGHT_BYTES, &[]) == 0.0).await;
    assert_eq!(harness.metric(metrics::REQUESTS_TOTAL, &[("protocol", "grpc"), ("outcome", "ok")]), 4.0);
    harness.stop().await;
}

#[tokio::test]
async fn the_unary_call_answers_for_its_batch_whatever_the_compression() {
    let harness = Harness::open().await;
    let full = LogRecord {
        timestamp_ns: 1_600_000_000_000_000_001,
        level: loglake_api::ingest::v1::Level::Warn as i32,
        service: "api".to_owned(),
        message: "m".to_owned(),
        trace_id: "0AF7651916CD43DD8448EB211C80319C".to_owned(),
        span_id: "B7AD6B7169203331".to_owned(),
        parent_span_id: "p".to_owned(),
        host: "h".to_owned(),
        tags: vec!["t".to_owned()],
        attributes_json: br#"{ "n": 1.10 }"#.to_vec().into(),
    };
    for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = harness.client().await;
        if let Some(compression) = compression {
            client = client.send_compressed(compression);
        }
        let batch = Batch { number: 3, records: vec![full.clone(), LogRecord::default()], ..Batch::default() };
        let response = client.ingest_batch(batch).await.unwrap();
        assert_eq!(response.metadata().get("x-request-id").unwrap().len(), 32);
        let result = response.into_inner();
        assert_eq!((result.number, result.accepted, result.rejected, result.errors.len()), (3, 1, 1, 1));
    }
    let stored = harness.broker.stored();
    assert_eq!(stored.len(), 3);
    let line = concat!(
        r#"{"timestamp":"2020-09-13T12:26:40.000000001Z","level":"warn","service":"api","message":"m","#,
        r#""trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","parent_span_id":"p","#,
        r#""host":"h","tags":["t"],"attributes":{"n":1.10}}"#
    );
    assert_eq!(stored[0].line, line);
    harness.stop().await;
}

#[tokio::test]
async fn a_stream_is_not_read_past_its_bytes_in_flight() {
    let config = Config { stream_in_flight_bytes: 100 << 10, ..Config::default() };
    let harness = Harness::with(config, Authenticator::open()).await;
    let (mut talk, max_in_flight_bytes) = Talk::open(&harness).await;
    assert_eq!(max_in_flight_bytes, 100 << 10);
    harness.broker.become_(Mode::Stalls);
    let message = "x".repeat(40 << 10);
    for number in 0..50 {
        talk.batch(number, vec![record("api", &message)]).await;
    }
    harness.broker.asked(2).await;
    // Another stream is not held up by this one.
    let (mut other, _) = Talk::open(&harness).await;
    other.batch(0, vec![record("web", "m")]).await;
    harness.broker.asked(3).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(harness.broker.asked_so_far(), 3);

    harness.broker.become_(Mode::Works);
    assert_eq!(other.result().await.accepted, 1);
    for _ in 0..50 {
        assert_eq!(talk.result().await.accepted, 1);
    }
    assert_eq!(harness.broker.stored().len(), 51);
    harness.stop().await;
}

#[tokio::test]
async fn reflection_and_health_need_no_credential() {
    let harness = Harness::with(Config::default(), Authenticator::with_tokens(Vec::new()).unwrap()).await;
    let channel = harness.channel().await;

    let mut health = HealthClient::new(channel.clone());
    for service in ["", "loglake.ingest.v1.IngestService"] {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
        assert_eq!(answer.into_inner().status, 1, "{service}");
    }

    let mut reflection = ServerReflectionClient::new(channel);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(
        names.contains(&"loglake.ingest.v1.IngestService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
    assert!(!names.iter().any(|name| name.contains("internal")), "{names:?}");

    let refused = harness.client().await.ingest_batch(Batch::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    harness.stop().await;
}
