//! Records and requests as gRPC has them.

use std::time::Duration;

use loglake_api::ingest::v1::ingest_service_client::IngestServiceClient;
use loglake_api::ingest::v1::{Batch, LogRecord};
use loglake_integration::oracle::LEVELS;
use tonic::Request;

use super::letter::Letter;
use crate::entry::Record;
use crate::load::Source;
use crate::site::Ingest;

/// A connection to an ingestor.
pub(super) type Client = IngestServiceClient<tonic::transport::Channel>;

/// Connects to an ingestor, if it takes no more than five seconds.
pub(super) async fn connect(to: &Ingest) -> Option<Client> {
    let connecting = tokio::time::timeout(Duration::from_secs(5), Client::connect(to.grpc.clone()));
    connecting.await.ok()?.ok()
}

/// A letter as the batch `number`.
pub(super) fn batch(letter: &Letter, number: u64, oldest_unacknowledged: u64) -> Batch {
    Batch { number, records: letter.records.iter().map(record).collect(), oldest_unacknowledged }
}

fn record(record: &Record) -> LogRecord {
    let level = record.level.and_then(|level| LEVELS.iter().position(|other| *other == level));
    LogRecord {
        timestamp_ns: u64::try_from(record.timestamp_ns).unwrap_or(1),
        level: level.and_then(|at| i32::try_from(at + 1).ok()).unwrap_or_default(),
        service: record.service.clone(),
        message: record.message.clone(),
        ..LogRecord::default()
    }
}

/// A request of the source's tenant.
pub(super) fn request<T>(source: &Source, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(tenant) = source.tenant().parse() {
        request.metadata_mut().insert("x-scope-orgid", tenant);
    }
    request
}
