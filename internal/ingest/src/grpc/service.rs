use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use loglake_api::ingest::raw::IngestRequest;
use loglake_api::ingest::raw::ingest_service_server::IngestService;
use loglake_api::ingest::v1::{BatchResult, IngestResponse, LogRecord, RecordError};
use loglake_api::{RawBatch, Refusal};
use loglake_auth::Caller;
use loglake_auth::limits::Quota;
use loglake_batch::Origin;
use loglake_formats::RawDecoder;
use loglake_model::{ErrorKind, Fault, FaultCode, TenantId};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::stream::Stream;
use super::{PROTOCOL, request_id};
use crate::intake::{Gathered, Outcome};
use crate::shared::{Shared, refusal_of, too_busy};

/// How many answers of a stream wait for the connection to take them.
const ANSWERS_AHEAD: usize = 16;

/// Answers the calls of `IngestService`.
#[derive(Clone)]
pub(crate) struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn ingest_batch(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        batch: RawBatch,
    ) -> Result<BatchResult, Ungathered> {
        let now_ns = self.shared.intake.log_time.now_ns();
        let origin = self.shared.origins.of_request(caller.tenant(), headers, now_ns)?;
        let _held = self.shared.budget.try_take(batch.encoded_len()).ok_or_else(too_busy)?;
        let number = batch.number;
        let (tenant, quota) = (caller.tenant(), self.shared.quota(caller.tenant()));
        let (bytes, records) = size(&batch);
        let taken = quota.take(bytes, records, self.shared.clock.now_ns(), Duration::ZERO);
        taken.map_err(|over| self.shared.over(tenant, &over))?;
        let gathered = gather(&self.shared, tenant, origin, &quota, batch).await?;
        let outcome = self.shared.intake.append(gathered).await;
        if let Some((place, over)) = outcome.over.filter(|_| outcome.accepted == 0 && outcome.failure.is_none()) {
            return Err(refusal_of(&over).at_record(place).into());
        }
        match outcome.failure {
            Some(kind) => Err(Refusal::new(kind, failure_text(kind)).with_accepted(outcome.accepted).into()),
            None => Ok(result(number, outcome)),
        }
    }
}

#[tonic::async_trait]
impl IngestService for Service {
    type IngestStream = ReceiverStream<Result<IngestResponse, Status>>;

    async fn ingest(&self, request: Request<Streaming<IngestRequest>>) -> Result<Response<Self::IngestStream>, Status> {
        let caller = caller(&request)?;
        let request_id = request_id(request.extensions()).to_owned();
        let (answers, receiver) = mpsc::channel(ANSWERS_AHEAD);
        let stream = Stream::new(Arc::clone(&self.shared), caller, request_id, answers);
        tokio::spawn(stream.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn ingest_batch(&self, request: Request<RawBatch>) -> Result<Response<BatchResult>, Status> {
        let began = Instant::now();
        let caller = caller(&request)?;
        let request_id = request_id(request.extensions()).to_owned();
        let (metadata, _, batch) = request.into_parts();
        let result = self.ingest_batch(&caller, metadata.as_ref(), batch).await;
        match &result {
            Ok(_) => self.shared.count(PROTOCOL, None, Some(began)),
            Err(Ungathered::Refused(refusal)) => self.shared.count(PROTOCOL, Some(refusal.kind), Some(began)),
            // No more a request than any other message that cannot be decoded.
            Err(Ungathered::Undecodable(_)) => {}
        }
        result.map(Response::new).map_err(|failed| failed.to_grpc(&request_id))
    }
}

fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    // The interceptor lets nobody through without one.
    caller.ok_or_else(|| Refusal::new(ErrorKind::Internal, "the caller is not known").to_grpc(""))
}

/// Why a batch did not become messages.
pub(super) enum Ungathered {
    /// It breaks a rule.
    Refused(Refusal),
    /// One of its records is none: to the client as if the whole message were none.
    Undecodable(prost::DecodeError),
}

impl Ungathered {
    pub(super) fn to_grpc(&self, request_id: &str) -> Status {
        match self {
            Self::Refused(refusal) => refusal.to_grpc(request_id),
            // As the codec says it of messages that it decodes itself.
            Self::Undecodable(error) => Status::internal(error.to_string()),
        }
    }
}

impl From<Refusal> for Ungathered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Turns a batch, whose size was taken of `quota`, into messages.
pub(super) async fn gather(
    shared: &Shared,
    tenant: &TenantId,
    origin: Origin,
    quota: &Quota,
    batch: RawBatch,
) -> Result<Gathered, Ungathered> {
    let (bytes, taken) = size(&batch);
    let gathered = gather_within(shared, tenant, origin, quota.clone(), batch).await;
    if let Err(Ungathered::Refused(Refusal { kind: ErrorKind::Exhausted, .. })) = &gathered {
        // Nothing came of it, and it is going to be sent again.
        quota.give_back(bytes, taken);
    }
    gathered
}

/// What of its tenant's rates a batch takes: bytes and records.
pub(super) fn size(batch: &RawBatch) -> (u64, u64) {
    (batch.encoded_len() as u64, batch.records.len() as u64)
}

async fn gather_within(
    shared: &Shared,
    tenant: &TenantId,
    origin: Origin,
    quota: Quota,
    batch: RawBatch,
) -> Result<Gathered, Ungathered> {
    shared.metrics.received_bytes.with_label_values(&[PROTOCOL]).inc_by(batch.encoded_len() as u64);
    if batch.surplus > 0 {
        let message = "too many records in a batch, none of it is kept: cut it into several";
        let actual = batch.records.len() as u64 + batch.surplus;
        let fault = Fault::new(FaultCode::TooMany, "records", message);
        let fault = fault.with_limit(RawBatch::MAX_RECORDS as u64, actual);
        return Err(Refusal::of(ErrorKind::TooLarge, fault).into());
    }
    let mut gathering = shared.intake.begin(tenant, origin, quota);
    let mut decoder = RawDecoder::default();
    for (place, bytes) in (0..).zip(&batch.records) {
        if !decoder.native(bytes).is_some_and(|raw| gathering.take_raw(&raw)) {
            let record = match loglake_formats::native_fits(bytes) {
                Ok(()) => {
                    let record = LogRecord::decode(bytes.clone()).map_err(Ungathered::Undecodable)?;
                    loglake_formats::native(record)
                }
                Err(fault) => Err(fault),
            };
            gathering.take(place, record);
        }
        gathering.turn().await;
    }
    Ok(gathering.finish()?)
}

/// What the client is told about batch `number`.
pub(super) fn result(number: u64, outcome: Outcome) -> BatchResult {
    let errors = outcome.told.into_iter().map(|refused| RecordError::new(refused.place, refused.fault));
    BatchResult {
        number,
        accepted: outcome.accepted,
        rejected: outcome.refused,
        errors: errors.collect(),
        retry_reason: outcome.failure.map(failure_text).unwrap_or_default().to_owned(),
    }
}

/// Why records could not be made durable, for clients.
pub(crate) fn failure_text(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NoSpace => {
            "the server's disk is full but for the reserve that flushing needs: its operator must free space or lower \
             broker.disk_reserve; send what was not accepted again later"
        }
        ErrorKind::Exhausted => "the log is full: send what was not accepted again later",
        _ => "the log did not confirm in time: send what was not accepted again",
    }
}
