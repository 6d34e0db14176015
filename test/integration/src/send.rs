//! Sends records as clients do: through the shipper, and through gRPC directly.

use std::path::PathBuf;
use std::process::Command;

use loglake_api::ingest::v1::ingest_service_client::IngestServiceClient;
use loglake_api::ingest::v1::{Batch, BatchResult, Level, LogRecord};
use tonic::Request;
use tonic::codec::CompressionEncoding;

use crate::oracle::{LEVELS, Sent};
use crate::programs;

/// Sends `files` with `loglake-agent send`, every file from `start` on in steps of `step`.
///
/// # Panics
/// When it does not end with success, with what it said.
pub fn files(server: &str, tenant: &str, start: &str, step: &str, files: &[PathBuf]) -> String {
    let output = Command::new(programs::agent())
        .args(["send", "--server", server, "--tenant", tenant, "--start", start, "--step", step])
        .args(files)
        .output()
        .expect("the shipper runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

/// The wire form of a record.
pub fn wire(sent: &Sent) -> LogRecord {
    let level = sent.level.and_then(|level| LEVELS.iter().position(|other| *other == level));
    LogRecord {
        timestamp_ns: u64::try_from(sent.timestamp_ns).expect("event time after 1970"),
        level: level.map_or(Level::Unspecified as i32, |at| i32::try_from(at + 1).expect("a small number")),
        service: sent.service.clone(),
        message: sent.message.clone(),
        trace_id: sent.trace_id.clone(),
        ..LogRecord::default()
    }
}

/// Sends `records` as one unary batch with `headers`, and returns its result.
///
/// # Errors
/// The server's refusal.
pub async fn batch(
    server: &str,
    headers: &[(&str, &str)],
    records: Vec<LogRecord>,
) -> Result<BatchResult, tonic::Status> {
    batch_with(server, headers, records, None).await
}

/// The same with the message compressed.
///
/// # Errors
/// The server's refusal.
pub async fn batch_with(
    server: &str,
    headers: &[(&str, &str)],
    records: Vec<LogRecord>,
    compression: Option<CompressionEncoding>,
) -> Result<BatchResult, tonic::Status> {
    let mut client = IngestServiceClient::connect(server.to_owned()).await.expect("the server listens");
    if let Some(encoding) = compression {
        client = client.send_compressed(encoding);
    }
    let mut request = Request::new(Batch { number: 1, records, ..Batch::default() });
    for (name, value) in headers {
        let name = tonic::metadata::MetadataKey::from_bytes(name.as_bytes()).expect("a header's name");
        request.metadata_mut().insert(name, value.parse().expect("a header's value"));
    }
    client.ingest_batch(request).await.map(tonic::Response::into_inner)
}

/// Sends `sent` as `tenant` (open mode) in batches of 500; all must be accepted.
///
/// # Panics
/// When not all were.
pub async fn all(server: &str, tenant: &str, sent: &[Sent]) {
    for part in sent.chunks(500) {
        let result = batch(server, &[("x-scope-orgid", tenant)], part.iter().map(wire).collect()).await;
        let result = result.expect("the batch is taken");
        assert_eq!((result.accepted, result.rejected), (part.len() as u64, 0), "{:?}", result.errors);
    }
}
