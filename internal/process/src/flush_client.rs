//! Asks a running processor to flush.

use std::time::Duration;

use loglake_api::internal::v1::FlushRequest;
use loglake_api::internal::v1::admin_service_client::AdminServiceClient;
use loglake_auth::internal::{self, InternalKey};
use loglake_model::ErrorKind;
use loglake_transport::Trust;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

const CONNECT: Duration = Duration::from_secs(5);
/// How much longer than the processor the caller waits.
const MARGIN: Duration = Duration::from_secs(10);

/// Why a processor did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The address is none.
    #[error("{0:?} is no address; give host:port")]
    Address(String),
    /// Nobody answers there.
    #[error("no processor answers at {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// The system's answer.
        source: tonic::transport::Error,
    },
    /// The processor refused.
    #[error("the processor at {address} says: {}", status.message())]
    Refused {
        /// Where.
        address: String,
        /// Its answer.
        status: Box<Status>,
    },
}

impl AskError {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address(_) => ErrorKind::Invalid,
            Self::Connect { .. } => ErrorKind::Unavailable,
            Self::Refused { status, .. } if status.code() == Code::Unauthenticated => ErrorKind::Unauthenticated,
            Self::Refused { .. } => ErrorKind::Unavailable,
        }
    }
}

/// What became of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushedPartition {
    /// The partition.
    pub partition: u32,
    /// The processor held it to the end; else the rest is 0 and somebody else is to be asked.
    pub is_held: bool,
    /// The offset up to which everything was in chunks before.
    pub before: u64,
    /// The broker's latest offset when the call came.
    pub until: u64,
    /// The offset up to which everything is in chunks now.
    pub flushed: u64,
}

impl FlushedPartition {
    /// Whether all that the broker had is in chunks.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_held && self.flushed >= self.until
    }
}

/// Asks the processor at `address` (`http://host:port`, or `https://` where `trust` says whom to believe) to flush `partitions` (none: all that it holds) up to what the broker
/// has now, and waits for it, at most `wait`. One answer a partition, ascending.
///
/// # Errors
/// `Invalid` address, `Unavailable`, `Unauthenticated` when the secret or the clock differs.
pub async fn ask_to_flush(
    address: &str,
    trust: &Trust,
    key: &InternalKey,
    now_ns: i64,
    partitions: &[u32],
    wait: Duration,
) -> Result<Vec<FlushedPartition>, AskError> {
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| AskError::Address(address.to_owned()))?;
    let connect = |source| AskError::Connect { address: address.to_owned(), source };
    let endpoint = if address.starts_with("https://") {
        let tls = match trust.pem() {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        endpoint.tls_config(tls).map_err(connect)?
    } else {
        endpoint
    };
    let channel = endpoint.connect_timeout(CONNECT).timeout(wait + MARGIN).connect().await.map_err(connect)?;
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let mut request = Request::new(FlushRequest { partitions: partitions.to_vec(), wait_ms });
    let header = key.sign_operator(now_ns).parse();
    request.metadata_mut().insert(internal::HEADER, header.expect("a signature is visible ASCII"));
    let answer = AdminServiceClient::new(channel).flush(request).await;
    let answer =
        answer.map_err(|status| AskError::Refused { address: address.to_owned(), status: Box::new(status) })?;
    let partitions = answer.into_inner().partitions.into_iter();
    Ok(partitions
        .map(|of| FlushedPartition {
            partition: of.partition,
            is_held: of.held,
            before: of.before,
            until: of.until,
            flushed: of.flushed,
        })
        .collect())
}
