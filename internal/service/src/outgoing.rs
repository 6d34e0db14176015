//! Calls that leave this installation: one careful client for all of them.
//!
//! Whoever chooses an address to call must not reach what only this machine can: each name is resolved once, and what it resolves to
//! is where the connection goes; addresses inside networks are refused (see [`is_inside`]) unless the operator named the host. There
//! are no redirects and no proxy, answers are bounded, and everything but `https` is refused, save to a loopback address that was named.

mod inside;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::ACCEPT;
use axum::http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use loglake_model::ErrorKind;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tower::Service;

pub use inside::is_inside;

/// How long a connection, and a whole call, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How many bytes of an answer are taken at most.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Calls what is outside.
#[derive(Clone, Debug)]
pub struct Outgoing {
    client: Client<HttpsConnector<HttpConnector<Guard>>, Empty<Bytes>>,
    guard: Guard,
}

/// Why a call was not made, or has no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// The address may not be called.
    #[error("{url}: {why}")]
    Refused {
        /// What was to be called.
        url: String,
        /// The rule, and what would be right.
        why: String,
    },
    /// It was called in vain.
    #[error("{url}: {why}")]
    Failed {
        /// What was called.
        url: String,
        /// What happened.
        why: String,
    },
    /// The file of trusted authorities cannot be used.
    #[error("outgoing.ca_file: {}: {why}", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl OutgoingError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Trust { .. } => ErrorKind::Invalid,
            Self::Failed { .. } => ErrorKind::Unavailable,
        }
    }
}

impl Outgoing {
    /// Makes a client. `inside_hosts`: names and addresses that may be called although they are inside; `ca_file`: the authorities to
    /// trust, in PEM, instead of the system's.
    ///
    /// # Errors
    /// `Invalid` when `ca_file` cannot be read or holds no certificate.
    pub fn new(inside_hosts: &[String], ca_file: Option<&Path>) -> Result<Self, OutgoingError> {
        let named = inside_hosts.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect();
        let guard = Guard { named: Arc::new(named) };
        let mut connector = HttpConnector::new_with_resolver(guard.clone());
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(ca_file)?);
        let connector = https.https_or_http().enable_http1().wrap_connector(connector);
        Ok(Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector), guard })
    }

    /// Gets what is at `url`, at most a mebibyte of it, within 15 s.
    ///
    /// # Errors
    /// `Invalid` when `url` is none that may be called; `Unavailable` when it does not answer, or not with 200.
    pub async fn get(&self, url: &str) -> Result<Bytes, OutgoingError> {
        let refused = |why: String| OutgoingError::Refused { url: url.to_owned(), why };
        let failed = |why: String| OutgoingError::Failed { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| refused("is no URL; write https://host/path".to_owned()))?;
        self.guard.check(&uri).map_err(&refused)?;
        let request = Request::get(uri).header(ACCEPT, "application/json").body(Empty::new());
        let request = request.map_err(|error| refused(error.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| failed(chain(&error)))?;
            if answer.status() != axum::http::StatusCode::OK {
                return Err(failed(format!("answered {}; redirects are not followed", answer.status())));
            }
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
            body.map(http_body_util::Collected::to_bytes)
                .map_err(|error| failed(format!("the answer broke off: {error}")))
        };
        let late = |_| failed(format!("no answer within {CALL_TIMEOUT:?}"));
        tokio::time::timeout(CALL_TIMEOUT, exchange).await.map_err(late)?
    }
}

/// Says which addresses may be called; resolves names to those alone.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    named: Arc<BTreeSet<String>>,
}

impl Guard {
    fn is_named(&self, host: &str) -> bool {
        self.named.contains(&host.trim_end_matches('.').to_ascii_lowercase())
    }

    /// Checks what can be checked without resolving. An address in the URL never reaches the resolver.
    fn check(&self, uri: &Uri) -> Result<(), String> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<IpAddr>().ok();
        let is_loopback =
            host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback());
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("holds a user name; none is sent".to_owned());
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback && self.is_named(host) => {}
            _ => return Err("is not https".to_owned()),
        }
        match address {
            Some(address) if is_inside(address) && !self.is_named(host) => Err(inside(host)),
            _ if host.is_empty() => Err("names no host".to_owned()),
            _ => Ok(()),
        }
    }
}

fn inside(host: &str) -> String {
    format!("is inside this network; if it is meant to be called, add \"{host}\" to outgoing.inside_hosts")
}

type Resolving = Pin<Box<dyn Future<Output = std::io::Result<std::vec::IntoIter<SocketAddr>>> + Send>>;

impl Service<Name> for Guard {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Resolving;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Resolving {
        let is_named = self.is_named(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One that is inside spoils all: which of them is called is not to be chosen by whoever owns the name.
            if !is_named && found.iter().any(|address| is_inside(address.ip())) {
                return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, inside(name.as_str())));
            }
            Ok(found.into_iter())
        })
    }
}

/// An error with its causes: what happened is mostly in the last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Whom to trust: the authorities of `file`, or the system's.
fn tls(file: Option<&Path>) -> Result<rustls::ClientConfig, OutgoingError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = file {
        let wrong = |why: String| OutgoingError::Trust { path: path.to_owned(), why };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("holds no certificate".to_owned()));
        }
    } else {
        // The system may have some that cannot be read; those that can are enough.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring has the versions that rustls takes for safe");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests;
