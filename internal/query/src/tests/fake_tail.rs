use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loglake_api::internal::v1::tail_service_server::{TailService, TailServiceServer};
use loglake_api::internal::v1::{
    CountsRequest, CountsResponse, Coverage, Rows, ServiceCount, ServicesRequest, ServicesResponse, StepCount,
    TailRequest, TailResponse, Want, tail_response,
};
use loglake_auth::internal::{self, InternalKey};
use loglake_batch::LogBatch;
use loglake_broker::{MemoryBroker, Reader as _};
use loglake_model::{Level, RecordId, line};
use loglake_search::Filter;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::lake::{INCARNATION, Lake, NOW_NS};

/// What a tail claims of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) held: bool,
    pub(super) floor: u64,
    /// `None`: as far as was wanted.
    pub(super) position: Option<u64>,
}

impl Claim {
    pub(super) const WHOLE: Self = Self { held: true, floor: 0, position: None };
}

/// A tail service that claims what a test wants and answers from the broker.
#[derive(Debug)]
pub(super) struct FakeTail {
    broker: Arc<MemoryBroker>,
    key: InternalKey,
    pub(super) claims: Mutex<BTreeMap<u32, Claim>>,
    pub(super) calls: AtomicU64,
    /// Adds a row of another tenant to each answer, without its being asked for.
    pub(super) forged: Mutex<Option<Vec<u8>>>,
    /// Moves a count by so much out of its place.
    pub(super) forged_count: Mutex<Option<i64>>,
}

impl FakeTail {
    /// Begins to serve; returns the address too.
    pub(super) async fn start(lake: &Lake) -> (Arc<Self>, String) {
        let tail = Arc::new(Self {
            broker: lake.broker.clone(),
            key: lake.key.clone(),
            claims: Mutex::default(),
            calls: AtomicU64::new(0),
            forged: Mutex::default(),
            forged_count: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let service = TailServiceServer::from_arc(Arc::clone(&tail));
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (tail, address)
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn check<T>(&self, request: &Request<T>, tenant: &str, incarnation: u32) {
        let header = request.metadata().get(internal::HEADER).expect("calls are signed").to_str().unwrap();
        assert_eq!(self.key.verify(header, NOW_NS).unwrap().as_str(), tenant);
        assert_eq!(incarnation, INCARNATION);
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn coverage(&self, want: &Want) -> Coverage {
        let claim = self.claims.lock().get(&want.partition).copied().unwrap_or(Claim::WHOLE);
        let position = claim.position.unwrap_or(want.until);
        Coverage { partition: want.partition, held: claim.held, floor: claim.floor, position, ..Coverage::default() }
    }

    async fn batches(&self, want: &Want) -> Vec<(u64, LogBatch)> {
        // It has no more than it says.
        let to = self.claims.lock().get(&want.partition).and_then(|claim| claim.position).unwrap_or(u64::MAX);
        let fetched = self.broker.read(want.partition, want.from, to, usize::MAX).await.unwrap();
        let decode = |message: loglake_broker::Message| Some((message.offset, LogBatch::decode(message.payload).ok()?));
        fetched.messages.into_iter().filter_map(decode).collect()
    }
}

#[tonic::async_trait]
impl TailService for FakeTail {
    type TailStream = Pin<Box<dyn Stream<Item = Result<TailResponse, Status>> + Send>>;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        self.check(&request, &request.get_ref().tenant, request.get_ref().incarnation);
        let request = request.into_inner();
        let matcher = serde_json::from_str::<Filter>(&request.filter_json).unwrap().compile().unwrap();
        let after: Option<(i64, RecordId)> = request.after.map(|after| (after.timestamp_ns, after.id.parse().unwrap()));
        let mut answers = Vec::new();
        for want in &request.wants {
            let mut rows = Vec::new();
            for (offset, batch) in self.batches(want).await {
                if batch.tenant().as_str() != request.tenant {
                    continue;
                }
                for record in batch.groups().flat_map(|group| group.records()) {
                    let id =
                        RecordId { incarnation: INCARNATION, partition: want.partition, offset, index: record.index };
                    let position = (record.timestamp_ns, id);
                    let is_past =
                        after.is_none_or(|after| if request.forward { position > after } else { position < after });
                    let is_inside = (request.start_ns..request.end_ns).contains(&record.timestamp_ns);
                    if is_past && is_inside && matcher.matches(record.line) {
                        let mut whole = Vec::new();
                        line::append_with_id(&mut whole, record.line, id);
                        rows.push((position, whole));
                    }
                }
            }
            rows.sort();
            if !request.forward {
                rows.reverse();
            }
            let mut coverage = self.coverage(want);
            // Cuts off early, so that barriers are met.
            let most = (request.limit as usize).min(3);
            coverage.truncated = rows.len() > most;
            rows.truncate(most);
            answers.push(TailResponse { kind: Some(tail_response::Kind::Coverage(coverage)) });
            let forged = self.forged.lock().clone();
            for line in rows.into_iter().map(|(_, line)| line).chain(forged) {
                let rows = Rows { partition: want.partition, lines: vec![line.into()] };
                answers.push(TailResponse { kind: Some(tail_response::Kind::Rows(rows)) });
            }
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(answers.into_iter().map(Ok)))))
    }

    async fn services(&self, request: Request<ServicesRequest>) -> Result<Response<ServicesResponse>, Status> {
        self.check(&request, &request.get_ref().tenant, request.get_ref().incarnation);
        let request = request.into_inner();
        let mut response = ServicesResponse::default();
        for want in &request.wants {
            response.coverages.push(self.coverage(want));
            for (_, batch) in self.batches(want).await {
                if batch.tenant().as_str() != request.tenant {
                    continue;
                }
                for group in batch.groups() {
                    let times = group.records().map(|record| record.timestamp_ns);
                    for at in times.filter(|at| (request.start_ns..request.end_ns).contains(at)) {
                        let (partition, service) = (want.partition, group.service().to_string());
                        response.services.push(ServiceCount {
                            partition,
                            service,
                            records: 1,
                            first_ns: at,
                            last_ns: at,
                        });
                    }
                }
            }
        }
        Ok(Response::new(response))
    }
    async fn counts(&self, request: Request<CountsRequest>) -> Result<Response<CountsResponse>, Status> {
        self.check(&request, &request.get_ref().tenant, request.get_ref().incarnation);
        let request = request.into_inner();
        let filter = serde_json::from_str::<Filter>(&request.filter_json).unwrap();
        let matcher = filter.compile().unwrap();
        let mut response = CountsResponse::default();
        for want in &request.wants {
            let mut coverage = self.coverage(want);
            let mut counts = Vec::new();
            for (_, batch) in self.batches(want).await {
                if batch.tenant().as_str() != request.tenant {
                    continue;
                }
                for group in batch.groups() {
                    for record in group.records() {
                        let at = record.timestamp_ns;
                        if (request.start_ns..request.end_ns).contains(&at) && matcher.matches(record.line) {
                            let mut levels = vec![0; Level::COUNTED];
                            levels[Level::slot(line::level_of(record.line))] = 1;
                            let step_ns = if request.step_ns == 0 { 0 } else { at - at.rem_euclid(request.step_ns) };
                            let service = if request.by_service { group.service().to_string() } else { String::new() };
                            counts.push(StepCount { partition: want.partition, service, step_ns, levels });
                        }
                    }
                }
            }
            coverage.truncated = counts.len() > request.limit as usize;
            response.coverages.push(coverage);
            response.counts.extend(counts);
        }
        if let Some(count) = response.counts.first_mut()
            && let Some(forged) = *self.forged_count.lock()
        {
            count.step_ns += forged;
        }
        Ok(Response::new(response))
    }
}
