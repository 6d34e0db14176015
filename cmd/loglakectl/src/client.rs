use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use loglake_api::ErrorBody;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use crate::args::ServerArgs;

/// How long an answer may take: longer than a query may.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer: a page has at most 256 MiB.
const MAX_ANSWER_BYTES: usize = 300 << 20;

/// The way to one server, with a credential.
pub(crate) struct Client {
    http: Http<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client of what the command line and the environment say. Nothing is sent yet.
    ///
    /// # Errors
    /// Says which setting is wrong.
    pub(crate) fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let wrong = || format!("--url: `{}` is not a server's address: write http://host:port or https://…", args.url);
        let uri: Uri = args.url.parse().with_context(wrong)?;
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_known || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            bail!(wrong());
        }
        let token = token(args)?;
        let is_secret_in_clear = token.is_some() && uri.scheme_str() == Some("http");
        if is_secret_in_clear && !is_loopback(uri.host().unwrap_or_default()) {
            eprintln!("loglakectl: the token goes to {} unencrypted; use https", args.url);
        }
        let authorization = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            value.set_sensitive(true);
            Ok::<_, http::header::InvalidHeaderValue>(value)
        });
        let authorization = authorization.transpose().context("the token holds characters that no token has")?;
        let tenant = args.tenant.as_deref().map(loglake_model::TenantName::parse).transpose().context("--tenant")?;
        let tenant = tenant.map(|name| HeaderValue::from_str(name.as_str())).transpose().context("--tenant")?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(Duration::from_secs(10)));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(args)?);
        let connector = https.https_or_http().enable_http1().wrap_connector(connector);
        let http = Http::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, base: args.url.trim_end_matches('/').to_owned(), authorization, tenant })
    }

    /// Sends a request on behalf of `--tenant`, which the server checks against the credential.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses: what it said.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.send(method, path, body, self.tenant.as_ref()).await
    }

    /// Sends an operator's request, who names tenants in paths and bodies.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) async fn manage(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.send(method, path, body, None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        tenant: Option<&HeaderValue>,
    ) -> anyhow::Result<Value> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(value) = tenant {
            request = request.header("x-scope-orgid", value);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes)).context("the request cannot be made")?;
        let reached = || format!("{} cannot be reached", self.base);
        let exchange = async {
            let answer = self.http.request(request).await.with_context(reached)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
            Ok::<_, anyhow::Error>((status, body.to_bytes()))
        };
        let (status, bytes) = tokio::time::timeout(PATIENCE, exchange).await.with_context(reached)??;
        if status.is_success() {
            return serde_json::from_slice(&bytes).context("the answer is no JSON: is this a Loglake query service?");
        }
        match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(ErrorBody { error, .. }) => {
                let field = error.field.map(|field| format!("{field}: ")).unwrap_or_default();
                bail!("{field}{} ({}, {}, request {})", error.message, status.as_u16(), error.code, error.request_id)
            }
            Err(_) => bail!("the server answered {status}"),
        }
    }
}

fn token(args: &ServerArgs) -> anyhow::Result<Option<String>> {
    let text = match &args.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.with_context(|| format!("reading the token file {}", path.display()))?)
        }
        None => std::env::var("LOGLAKE_TOKEN").ok(),
    };
    let Some(text) = text else { return Ok(None) };
    if text.trim().is_empty() {
        bail!("the token is empty");
    }
    Ok(Some(text.trim().to_owned()))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whom to trust: the authorities of `--ca-file`, or the system's; and what to show a server that asks.
fn tls(args: &ServerArgs) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    match args.ca_file.as_deref() {
        Some(path) => {
            let place = || format!("--ca-file {}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(place)? {
                roots.add(certificate.with_context(place)?).with_context(place)?;
            }
            if roots.is_empty() {
                bail!("{} holds no certificate", place());
            }
        }
        None => {
            // The system may have some that cannot be read; those that can are enough.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().context("TLS")?;
    let config = config.with_root_certificates(roots);
    let Some((certificate, key)) = args.certificate_file.as_deref().zip(args.key_file.as_deref()) else {
        return Ok(config.with_no_client_auth());
    };
    config.with_client_auth_cert(chain(certificate)?, private_key(key)?).context("--certificate-file and --key-file")
}

fn chain(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let place = || format!("--certificate-file {}", path.display());
    let chain = CertificateDer::pem_file_iter(path).with_context(place)?.collect::<Result<Vec<_>, _>>();
    let chain = chain.with_context(place)?;
    if chain.is_empty() {
        bail!("{} holds no certificate", place());
    }
    Ok(chain)
}

fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    // What is wrong with it is not told: the text may repeat a part of it.
    PrivateKeyDer::from_pem_file(path)
        .map_err(|_| anyhow::anyhow!("--key-file {} holds no private key", path.display()))
}
