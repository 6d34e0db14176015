//! Delivery against a small server in the test: what it was sent, in which order, and what it answered are scripted.

#![allow(clippy::unwrap_used, reason = "test")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loglake_agent::{Options, Outcome, Sink, Tally, Target, TlsFiles, Token, deliver, generate};
use loglake_api::ingest::v1::ingest_service_server::{IngestService, IngestServiceServer};
use loglake_api::ingest::v1::{
    Batch, BatchResult, IngestRequest, IngestResponse, LogRecord, Opened, RecordError, ingest_request, ingest_response,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// What the server does with one batch.
#[derive(Clone, Copy, Debug)]
enum Step {
    Accept,
    /// Keeps the batch, then breaks the stream without a result.
    KeepAndBreak,
    /// Breaks the stream without keeping it.
    Break,
    /// Asks for it again.
    Retry,
    /// Refuses its first record.
    RejectFirst,
    /// Ends the stream without keeping it, as the session is over.
    SessionOver,
    /// Ends the stream without keeping it: there is no room, or the tenant sends too much.
    Exhausted,
    /// The same after it was kept.
    KeepAndExhausted,
}

#[derive(Debug, Default)]
struct Seen {
    messages: Vec<String>,
    /// Numbers by stream.
    streams: Vec<Vec<u64>>,
    authorization: Option<String>,
    tenant: Option<String>,
}

#[derive(Clone, Debug)]
struct Server {
    seen: Arc<Mutex<Seen>>,
    steps: Arc<Mutex<VecDeque<Step>>>,
    keeps_sessions: bool,
    numbers_of_session: Arc<Mutex<std::collections::HashSet<u64>>>,
    max_in_flight_bytes: u64,
    refuse: Option<tonic::Code>,
    /// How many streams are not opened, as there is no room.
    no_room: Arc<std::sync::atomic::AtomicUsize>,
    /// How long a session may be used, in seconds; and whether streams end when it is over.
    session_seconds: u64,
    sessions: Arc<std::sync::atomic::AtomicU64>,
}

impl Server {
    fn new(steps: &[Step]) -> Self {
        Self {
            seen: Arc::default(),
            steps: Arc::new(Mutex::new(steps.iter().copied().collect())),
            keeps_sessions: false,
            numbers_of_session: Arc::default(),
            max_in_flight_bytes: 0,
            refuse: None,
            no_room: Arc::default(),
            session_seconds: 3_600,
            sessions: Arc::default(),
        }
    }

    async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = IngestServiceServer::new(self.clone());
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        address
    }

    fn keep(&self, batch: &Batch) {
        // As the processor does: a session's number counts once.
        if self.keeps_sessions {
            let low = batch.oldest_unacknowledged;
            assert!((1..=batch.number).contains(&low) && batch.number - low < 256, "{low} {}", batch.number);
            if !self.numbers_of_session.lock().unwrap().insert(batch.number) {
                return;
            }
        }
        self.seen.lock().unwrap().messages.extend(batch.records.iter().map(|record| record.message.clone()));
    }
}

#[tonic::async_trait]
impl IngestService for Server {
    type IngestStream = ReceiverStream<Result<IngestResponse, Status>>;

    async fn ingest(&self, request: Request<Streaming<IngestRequest>>) -> Result<Response<Self::IngestStream>, Status> {
        if let Some(code) = self.refuse {
            return Err(Status::new(code, "said no"));
        }
        let one_less = |left: usize| left.checked_sub(1);
        if self.no_room.fetch_update(SeqCst, SeqCst, one_less).is_ok() {
            return Err(Status::resource_exhausted("come again"));
        }
        let text = |key: &str| request.metadata().get(key).map(|value| value.to_str().unwrap().to_owned());
        let stream_at = {
            let mut seen = self.seen.lock().unwrap();
            (seen.authorization, seen.tenant) = (text("authorization"), text("x-scope-orgid"));
            seen.streams.push(Vec::new());
            seen.streams.len() - 1
        };
        let mut requests = request.into_inner();
        let (sender, answers) = mpsc::channel(64);
        let server = self.clone();
        tokio::spawn(async move {
            let first = requests.message().await.unwrap().unwrap();
            let Some(ingest_request::Kind::Open(open)) = first.kind else { panic!("not open: {first:?}") };
            assert!(open.session);
            let session_token = match open.session_token.as_str() {
                _ if !server.keeps_sessions => String::new(),
                "" => {
                    server.numbers_of_session.lock().unwrap().clear();
                    let number = server.sessions.fetch_add(1, SeqCst);
                    format!("session {number}")
                }
                token => token.to_owned(),
            };
            let max_in_flight_bytes = server.max_in_flight_bytes;
            let opened = Opened { session_token, max_in_flight_bytes, session_seconds_left: server.session_seconds };
            answer(&sender, ingest_response::Kind::Opened(opened)).await;
            while let Ok(Some(message)) = requests.message().await {
                let Some(ingest_request::Kind::Batch(batch)) = message.kind else { panic!("not a batch") };
                server.seen.lock().unwrap().streams[stream_at].push(batch.number);
                let step = server.steps.lock().unwrap().pop_front().unwrap_or(Step::Accept);
                let records = batch.records.len() as u64;
                let mut result = BatchResult { number: batch.number, accepted: records, ..BatchResult::default() };
                match step {
                    Step::Accept => server.keep(&batch),
                    Step::KeepAndBreak | Step::KeepAndExhausted => server.keep(&batch),
                    Step::Break | Step::SessionOver | Step::Exhausted => {}
                    Step::Retry => {
                        result.accepted = 0;
                        result.retry_reason = "the broker is away".to_owned();
                    }
                    Step::RejectFirst => {
                        let kept =
                            Batch { number: batch.number, records: batch.records[1..].to_vec(), ..Batch::default() };
                        server.keep(&kept);
                        (result.accepted, result.rejected) = (records - 1, 1);
                        result.errors.push(RecordError {
                            record_index: 0,
                            field: "service".to_owned(),
                            code: "too_long".to_owned(),
                            message: "at most 128 bytes".to_owned(),
                        });
                    }
                }
                if matches!(step, Step::SessionOver) {
                    let _ = sender.send(Err(Status::failed_precondition("the session's hour is over"))).await;
                    return;
                }
                if matches!(step, Step::Exhausted | Step::KeepAndExhausted) {
                    let _ = sender.send(Err(Status::resource_exhausted("too many bytes are waiting"))).await;
                    return;
                }
                if matches!(step, Step::KeepAndBreak | Step::Break) {
                    let _ = sender.send(Err(Status::unavailable("going away"))).await;
                    return;
                }
                answer(&sender, ingest_response::Kind::Result(result)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn ingest_batch(&self, _: Request<Batch>) -> Result<Response<BatchResult>, Status> {
        Err(Status::unimplemented("not used"))
    }
}

async fn answer(sender: &mpsc::Sender<Result<IngestResponse, Status>>, kind: ingest_response::Kind) {
    // A client that has gone is what some tests want.
    let _ = sender.send(Ok(IngestResponse { kind: Some(kind) })).await;
}

fn options() -> Options {
    Options {
        in_flight: 4,
        retry_for: Duration::from_secs(20),
        answer_timeout: Duration::from_secs(10),
        jitter_seed: 1,
    }
}

/// Sends records `0..count` in batches of ten.
async fn send(address: SocketAddr, count: usize, options: Options) -> (Outcome, Arc<Tally>) {
    send_to(&format!("http://{address}"), count, options).await
}

async fn send_to(servers: &str, count: usize, options: Options) -> (Outcome, Arc<Tally>) {
    let target = Target::new(servers, &TlsFiles::default(), Some(&Token::new("ll_a_b")), Some("tenant-1")).unwrap();
    let tally = Arc::new(Tally::default());
    let (sender, batches) = mpsc::channel(2);
    let mut sink = Sink::new(sender, 10, 1 << 20, Duration::from_secs(1));
    let reading = async {
        sink.begin("file").await.unwrap();
        for at in 0..count {
            let record = LogRecord { service: "s".to_owned(), message: at.to_string(), ..LogRecord::default() };
            if sink.push(&record, at as u64 + 1).await.is_err() {
                break;
            }
        }
        let _ = sink.flush().await;
        drop(sink);
    };
    let ((), outcome) = tokio::join!(reading, deliver(&target, &options, batches, &tally));
    (outcome, tally)
}

fn all(count: usize) -> Vec<String> {
    (0..count).map(|at| at.to_string()).collect()
}

#[tokio::test]
async fn every_record_arrives_once_and_in_order() {
    let server = Server::new(&[]);
    let (outcome, tally) = send(server.start().await, 1_005, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.messages, all(1_005));
    assert_eq!(seen.streams, [(1..=101).collect::<Vec<u64>>()]);
    assert_eq!((tally.counts().accepted, tally.counts().rejected, tally.counts().doubtful), (1_005, 0, 0));
    assert_eq!((seen.authorization.as_deref(), seen.tenant.as_deref()), (Some("Bearer ll_a_b"), Some("tenant-1")));
}

#[tokio::test]
async fn batches_without_a_result_go_out_again_and_doubt_is_counted() {
    let server = Server::new(&[Step::Accept, Step::Break, Step::Accept, Step::KeepAndBreak]);
    let (outcome, tally) = send(server.start().await, 100, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    let mut messages = server.seen.lock().unwrap().messages.clone();
    messages.sort_by_key(|message| message.parse::<u64>().unwrap());
    let before = messages.len();
    messages.dedup();
    assert_eq!(messages, all(100));
    let counts = tally.counts();
    assert_eq!((counts.accepted, counts.reconnects), (100, 2));
    let twice = (before - 100) as u64;
    assert!(twice >= 10 && counts.doubtful >= twice, "{twice} twice, {counts:?}");
    for numbers in &server.seen.lock().unwrap().streams {
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_resumed_keeps_its_numbers_and_nothing_is_doubtful() {
    let mut server = Server::new(&[Step::Accept, Step::KeepAndBreak, Step::KeepAndBreak, Step::Break]);
    server.keeps_sessions = true;
    let (outcome, tally) = send(server.start().await, 200, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.messages, all(200));
    assert_eq!((tally.counts().accepted, tally.counts().doubtful), (200, 0));
    assert_eq!(seen.streams.len(), 4);
    assert_eq!(seen.streams[1].first(), Some(&2), "{:?}", seen.streams);
}

#[tokio::test]
async fn a_session_goes_on_at_the_next_server() {
    let mut server = Server::new(&[Step::Accept, Step::KeepAndBreak, Step::KeepAndBreak]);
    server.keeps_sessions = true;
    let (one, other) = (server.start().await, server.start().await);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = format!("http://{one},http://{gone},http://{other}");
    let (outcome, tally) = send_to(&servers, 200, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(server.seen.lock().unwrap().messages, all(200));
    assert_eq!((tally.counts().accepted, tally.counts().doubtful), (200, 0));
    assert_eq!(server.sessions.load(SeqCst), 1);
}

#[tokio::test]
async fn a_session_that_is_over_is_replaced_and_doubt_is_counted() {
    let mut server = Server::new(&[Step::Accept, Step::SessionOver]);
    server.keeps_sessions = true;
    let (outcome, tally) = send(server.start().await, 200, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(server.seen.lock().unwrap().messages, all(200));
    assert_eq!(server.sessions.load(SeqCst), 2);
    assert!(tally.counts().doubtful >= 10, "what was under way may have arrived");
}

#[tokio::test]
async fn a_session_is_renewed_before_it_ends_with_nothing_under_way() {
    let mut server = Server::new(&[]);
    (server.keeps_sessions, server.session_seconds) = (true, 1);
    let target = Target::new(&format!("http://{}", server.start().await), &TlsFiles::default(), None, None).unwrap();
    let tally = Arc::new(Tally::default());
    let (sender, batches) = mpsc::channel(2);
    let mut sink = Sink::new(sender, 1, 1 << 20, Duration::from_secs(1));
    let counted = Arc::clone(&server.sessions);
    let making = async move {
        sink.begin("file").await.unwrap();
        let mut made = 0_u64;
        while counted.load(SeqCst) < 3 {
            made += 1;
            let record = LogRecord { service: "s".to_owned(), message: made.to_string(), ..LogRecord::default() };
            sink.push(&record, made).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        made
    };
    let options = options();
    let (made, outcome) = tokio::join!(making, deliver(&target, &options, batches, &tally));
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!((tally.counts().accepted, tally.counts().doubtful, tally.counts().reconnects), (made, 0, 0));
    assert_eq!(server.seen.lock().unwrap().messages.len() as u64, made);
}

#[tokio::test]
async fn a_batch_that_the_server_could_not_keep_is_sent_again() {
    let server = Server::new(&[Step::Accept, Step::Retry, Step::Accept, Step::Accept, Step::Retry]);
    let (outcome, tally) = send(server.start().await, 100, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    let mut messages = server.seen.lock().unwrap().messages.clone();
    messages.sort_by_key(|message| message.parse::<u64>().unwrap());
    assert_eq!(messages, all(100), "each once: what was answered is not sent again");
    assert_eq!((tally.counts().accepted, tally.counts().doubtful), (100, 0));
}

#[tokio::test]
async fn a_server_without_room_is_asked_again_and_every_record_arrives_once() {
    let steps = [Step::Accept, Step::Exhausted, Step::KeepAndExhausted, Step::Accept, Step::Exhausted];
    let mut server = Server::new(&steps);
    server.keeps_sessions = true;
    // Neither is the first stream opened, nor the second.
    server.no_room.store(2, SeqCst);
    let (outcome, tally) = send(server.start().await, 200, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    let counts = tally.counts();
    assert_eq!((counts.accepted, counts.rejected, counts.doubtful), (200, 0, 0));
    assert_eq!(counts.reconnects, 5, "twice for an opening, three times for a stream");
    assert_eq!(server.seen.lock().unwrap().messages, all(200));
    assert_eq!(server.sessions.load(SeqCst), 1, "the same session");
}

#[tokio::test]
async fn refused_records_are_counted_and_told_with_their_place() {
    let server = Server::new(&[Step::Accept, Step::RejectFirst]);
    let (outcome, tally) = send(server.start().await, 30, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!((tally.counts().accepted, tally.counts().rejected), (29, 1));
    let refusals = tally.refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].to_string(), "file:11: service: at most 128 bytes (too_long)");
}

#[tokio::test]
async fn a_refusal_of_the_caller_is_final_and_an_absent_server_is_given_up() {
    let mut server = Server::new(&[]);
    server.refuse = Some(tonic::Code::Unauthenticated);
    let (outcome, tally) = send(server.start().await, 30, options()).await;
    assert!(format!("{:?}", outcome.failure).contains("said no"), "{outcome:?}");
    assert_eq!((tally.counts().accepted, tally.counts().reconnects), (0, 0));

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (outcome, tally) = send(nobody, 30, Options { retry_for: Duration::from_millis(500), ..options() }).await;
    assert!(outcome.failure.is_some() && tally.counts().reconnects > 0);
    assert!(outcome.unanswered > 0, "{outcome:?}");
}

#[tokio::test]
async fn the_bound_of_bytes_in_flight_is_kept() {
    let mut server = Server::new(&[]);
    // Smaller than any batch: they go one by one.
    server.max_in_flight_bytes = 10;
    let (outcome, tally) = send(server.start().await, 300, options()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(tally.counts().accepted, 300);
    assert_eq!(server.seen.lock().unwrap().messages, all(300));
}

#[tokio::test]
async fn generated_records_are_delivered() {
    let server = Server::new(&[]);
    let address = server.start().await;
    let target = Target::new(&format!("http://{address}"), &TlsFiles::default(), None, None).unwrap();
    let plan = generate::Plan {
        settings: generate::Settings::default(),
        rate: None,
        bursts: None,
        total: Some(2_345),
        duration: None,
        start_ns: 1,
        span: None,
    };
    let (sender, batches) = mpsc::channel(2);
    let mut sink = Sink::new(sender, 1_000, 1 << 20, Duration::from_millis(100));
    let tally = Arc::new(Tally::default());
    let making = async {
        generate::run(&plan, &mut sink, &tally).await;
        drop(sink);
    };
    let options = options();
    let ((), outcome) = tokio::join!(making, deliver(&target, &options, batches, &tally));
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!((tally.counts().read, tally.counts().accepted), (2_345, 2_345));
    assert_eq!(server.seen.lock().unwrap().messages.len(), 2_345);
}
