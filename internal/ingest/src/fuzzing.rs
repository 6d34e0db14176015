//! Ways in for the fuzz targets.

use bytes::Bytes;
use loglake_model::{ErrorKind, TenantName};

use crate::grpc;

/// What the codec gets of a request's body that comes in these `pieces`, whose messages may be compressed by `encoding` and have at
/// most `max_bytes`, compressed or not.
///
/// # Errors
/// The kind of what ends the body instead.
pub async fn decompress(
    tenant: &TenantName,
    encoding: &'static str,
    pieces: Vec<Bytes>,
    max_bytes: usize,
) -> Result<Vec<u8>, ErrorKind> {
    grpc::decompress(tenant, encoding, pieces, max_bytes).await
}
