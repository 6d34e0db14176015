use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A token that is never printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a token's text; blanks around it are dropped.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Reads a token from a file that holds nothing else.
    ///
    /// # Errors
    /// The file cannot be read or is empty.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading the token file {}", path.display()))?;
        let token = Self::new(&text);
        if token.0.is_empty() {
            bail!("the token file {} is empty", path.display());
        }
        Ok(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Whom to believe and what to show over TLS: files in PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities that a server's certificate may come from; the system's without it.
    pub ca: Option<PathBuf>,
    /// The client's certificate with its key, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    fn config(&self) -> anyhow::Result<ClientTlsConfig> {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
        let config = match &self.ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        Ok(match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(read(certificate)?, read(key)?)),
            None => config,
        })
    }
}

/// Where records go, and on whose behalf.
#[derive(Clone, Debug)]
pub struct Target {
    /// At least one.
    endpoints: Vec<Endpoint>,
    metadata: MetadataMap,
}

impl Target {
    /// Makes a target of `servers` (`http://host:port` or `https://host:port`, several between commas: ingestors of one cluster), the token if they
    /// ask for one, and the tenant if they are open or the token's tenant is to be confirmed.
    ///
    /// # Errors
    /// Says which of them is malformed.
    pub fn new(servers: &str, tls: &TlsFiles, token: Option<&Token>, tenant: Option<&str>) -> anyhow::Result<Self> {
        let endpoints = servers.split(',').map(|server| endpoint(server.trim(), tls)).collect::<anyhow::Result<_>>()?;
        let mut metadata = MetadataMap::new();
        if let Some(Token(token)) = token {
            let mut value: MetadataValue<Ascii> =
                format!("Bearer {token}").parse().context("the token holds characters that no token has")?;
            value.set_sensitive(true);
            metadata.insert("authorization", value);
        }
        if let Some(tenant) = tenant {
            let name = loglake_model::TenantName::parse(tenant).context("--tenant")?;
            metadata.insert("x-scope-orgid", name.as_str().parse().context("--tenant")?);
        }
        Ok(Self { endpoints, metadata })
    }

    /// Connects to one of the servers, another one with each attempt.
    pub(super) async fn connect(&self, attempt: u64) -> Result<Channel, tonic::transport::Error> {
        // A remainder of a length is a place.
        self.endpoints[(attempt % self.endpoints.len() as u64) as usize].connect().await
    }

    pub(super) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }
}

/// The endpoint at `server`.
fn endpoint(server: &str, tls: &TlsFiles) -> anyhow::Result<Endpoint> {
    let wrong = || format!("`{server}` is not a server's address: write http://host:port or https://host:port");
    let uri: http::Uri = server.parse().with_context(wrong)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        bail!(wrong());
    }
    let is_secured = uri.scheme_str() == Some("https");
    let endpoint = Endpoint::from(uri);
    let endpoint = if is_secured { endpoint.tls_config(tls.config()?).context("TLS")? } else { endpoint };
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_targets_are_named_and_tokens_hidden() {
        let tls = TlsFiles::default();
        let token = Token::new(" ll_a_secret\n");
        let target = Target::new("http://127.0.0.1:50051", &tls, Some(&token), Some("t")).unwrap();
        assert_eq!(target.request(()).metadata().get("authorization").unwrap(), "Bearer ll_a_secret");
        assert!(!format!("{target:?} {token:?}").contains("secret"));
        assert_eq!(Target::new("http://a:1, http://b:2", &tls, None, None).unwrap().endpoints.len(), 2);
        for server in ["", "127.0.0.1:50051", "ftp://x", "https://", "http://", "http://a,", "http://a,b"] {
            assert!(Target::new(server, &tls, None, None).is_err(), "{server}");
        }
        assert!(Target::new("http://x", &tls, Some(&Token::new("a\nb")), None).is_err());
        assert!(Target::new("http://x", &tls, None, Some("../x")).is_err());
        assert!(Target::new("https://x:1", &tls, None, None).is_ok());
        let absent = TlsFiles { ca: Some("no/such/ca.pem".into()), identity: None };
        let error = Target::new("https://x:1", &absent, None, None).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/ca.pem"), "{error:#}");
    }
}
