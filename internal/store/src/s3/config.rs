use std::fmt;
use std::time::Duration;

/// How to reach an S3 store.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's URL (`http://…` or `https://…`); `None` for Amazon's own of the region.
    pub endpoint: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The region; `None` for what the environment says (`AWS_REGION`, profile), else `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket stands in the path of URLs, not in the host name. `None`: it does where there is an endpoint.
    pub path_style: Option<bool>,
    /// Whether to make the bucket where it is missing.
    pub create_bucket: bool,
    /// What all keys begin with in the bucket, as a key without a closing slash; `None` for the whole bucket.
    pub prefix: Option<String>,
    /// Who asks; `None` for the usual chain: `AWS_ACCESS_KEY_ID` and its peers, profile, web identity, container, machine.
    pub credentials: Option<Credentials>,
    /// Whose certificates are believed besides those of the system's authorities, PEM.
    pub authorities: Option<Vec<u8>>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Config {
    /// The bucket named so, with all else by default.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            endpoint: None,
            bucket: bucket.into(),
            region: None,
            path_style: None,
            create_bucket: false,
            prefix: None,
            credentials: None,
            authorities: None,
            timeouts: Timeouts::default(),
        }
    }
}

/// An access key. Its secrets are never shown.
#[derive(Clone)]
pub struct Credentials {
    /// The key's id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The token of a temporary key.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// How long to wait for an S3 store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection. Default: 5 s.
    pub connect: Duration,
    /// For a request, its body and the head of its answer, each time it is tried. A conditional create is tried once: past
    /// this it is in doubt. Default: 60 s.
    pub attempt: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), attempt: Duration::from_secs(60) }
    }
}
