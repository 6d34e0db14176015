//! Objects in any S3 store that honours conditional creates (`If-None-Match: *`).

mod answer;
mod config;

use std::ops::Range;

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use bytes::{Bytes, BytesMut};

pub use self::config::{Config, Credentials, Timeouts};
use crate::{Create, Error, Listing, Object, ObjectStore, PAGE, key};

/// The region of stores that have none.
const DEFAULT_REGION: &str = "us-east-1";
/// How often a request is tried, conditional creates aside.
const ATTEMPTS: u32 = 3;

/// Objects in a bucket of an S3 store. Cloning gives another handle of the same client.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty or with its closing slash.
    prefix: String,
}

impl S3Store {
    /// Makes a client and looks for the bucket. Run [`crate::self_test`] before anything relies on it.
    ///
    /// # Errors
    /// `Invalid` when settings or the bucket are wrong; `Forbidden` when the credential is; `Unavailable`.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let prefix = match &config.prefix {
            Some(prefix) => {
                key::check(prefix)?;
                format!("{prefix}/")
            }
            None => String::new(),
        };
        let (client, region) = client(&config).await?;
        let store = Self { client, bucket: config.bucket, prefix };
        if config.create_bucket {
            store.create_bucket(&region).await?;
        }
        store.find_bucket().await?;
        Ok(store)
    }

    async fn create_bucket(&self, region: &str) -> Result<(), Error> {
        let request = self.client.create_bucket().bucket(&self.bucket);
        let request = if region == DEFAULT_REGION {
            request
        } else {
            let place = CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region))
                .build();
            request.create_bucket_configuration(place)
        };
        match request.send().await {
            Ok(_) => {
                tracing::info!(bucket = self.bucket, "bucket created");
                Ok(())
            }
            // It is there; whether it may be used shows next.
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 409) => Ok(()),
            Err(error) => Err(answer::classify("create bucket", &self.bucket, &error)),
        }
    }

    async fn find_bucket(&self) -> Result<(), Error> {
        match self.client.head_bucket().bucket(&self.bucket).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match answer::classify("look for bucket", &self.bucket, &error) {
                Error::NotFound { .. } => Error::Unfit(format!("there is no bucket {:?}", self.bucket)),
                other => other,
            }),
        }
    }

    /// The key as it stands in the bucket.
    fn stored(&self, key: &str) -> Result<String, Error> {
        key::check(key)?;
        let stored = format!("{}{key}", self.prefix);
        if stored.len() > key::MAX_BYTES {
            return Err(Error::InvalidKey { key: key.to_owned() });
        }
        Ok(stored)
    }

    async fn list_page(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        let max_keys = i32::try_from(PAGE).unwrap_or(i32::MAX);
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(max_keys);
        let answer = request
            .set_start_after(after.map(str::to_owned))
            .send()
            .await
            .map_err(|error| answer::classify("list", prefix, &error))?;
        let mut objects: Vec<Object> = Vec::with_capacity(answer.contents().len());
        for object in answer.contents() {
            let (Some(key), Some(size)) = (object.key(), object.size()) else {
                return Err(Error::Unfit("a listing has an object without key or size".to_owned()));
            };
            let last = objects.last().map(|last| last.key.as_str()).or(after);
            if !key.starts_with(prefix) || last.is_some_and(|last| key <= last) {
                return Err(Error::Unfit(format!("a listing is not in the order of keys: {key:?} after {last:?}")));
            }
            objects.push(Object { key: key.to_owned(), length: u64::try_from(size).unwrap_or(0) });
        }
        Ok(Listing { objects, has_more: answer.is_truncated() == Some(true) })
    }
}

async fn client(config: &Config) -> Result<(Client, String), Error> {
    let version = BehaviorVersion::v2026_01_12();
    let mut trusted = TrustStore::default();
    if let Some(authorities) = &config.authorities {
        trusted.add_pem_certificate(authorities.clone());
    }
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|error| Error::Unfit(format!("TLS cannot be set up: {error}")))?;
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let http = http.tls_context(tls).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.timeouts.connect)
        .operation_attempt_timeout(config.timeouts.attempt)
        .build();
    let mut loader = aws_config::defaults(version)
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &config.endpoint {
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err(Error::Unfit(format!("the endpoint {endpoint:?} does not begin with http:// or https://")));
        }
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(credentials) = &config.credentials {
        loader = loader.credentials_provider(aws_sdk_s3::config::Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "configuration",
        ));
    }
    let shared = loader.load().await;
    let region = shared.region().map_or_else(|| DEFAULT_REGION.to_owned(), |region| region.as_ref().to_owned());
    let path_style = config.path_style.unwrap_or_else(|| config.endpoint.is_some() || shared.endpoint_url().is_some());
    // Many S3 stores do not know the newer trailing checksums.
    let settings = aws_sdk_s3::config::Builder::from(&shared)
        .region(Region::new(region.clone()))
        .force_path_style(path_style)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Ok((Client::from_conf(settings), region))
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.stored(key)?).body(ByteStream::from(body));
        request.send().await.map_err(|error| answer::classify("put", key, &error))?;
        Ok(())
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.stored(key)?).body(ByteStream::from(body));
        // One attempt: a second one would meet what the first one made, and nobody could tell.
        let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
        match request.if_none_match("*").customize().config_override(once).send().await {
            Ok(_) => Ok(Create::Created),
            Err(error) => answer::of_create(key, &error),
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.stored(key)?);
        let answer = request.send().await.map_err(|error| answer::classify("get", key, &error))?;
        let length = length("get", key, answer.content_length())?;
        if length > max_bytes {
            return Err(Error::TooLarge { key: key.to_owned(), length, max_bytes });
        }
        read("get", key, answer.body, length).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let stored = self.stored(key)?;
        if key::check_range(key, &range)? {
            return Ok(Bytes::new());
        }
        let short = || Error::Short { key: key.to_owned(), end: range.end };
        // No object is so long, and MinIO ignores a range with a number past 63 bits.
        if i64::try_from(range.end).is_err() {
            return Err(short());
        }
        let request = self.client.get_object().bucket(&self.bucket).key(stored);
        // The last byte is included.
        let answer = match request.range(format!("bytes={}-{}", range.start, range.end - 1)).send().await {
            Ok(answer) => answer,
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 416) => {
                return Err(short());
            }
            Err(error) => return Err(answer::classify("get_range", key, &error)),
        };
        let length = length("get_range", key, answer.content_length())?;
        let starts = answer.content_range().and_then(|range| range.strip_prefix("bytes ")).and_then(|range| {
            let (start, _) = range.split_once('-')?;
            start.parse::<u64>().ok()
        });
        if starts != Some(range.start) || length > range.end - range.start {
            return Err(Error::Unfit(format!("it answers a range of {key:?} with something else")));
        }
        if length < range.end - range.start {
            return Err(short());
        }
        read("get_range", key, answer.body, length).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        key::check_prefix(prefix)?;
        let prefix = format!("{}{prefix}", self.prefix);
        // Some stores take only a start that lies under the prefix.
        let mut after = match after.map(|after| format!("{}{after}", self.prefix)) {
            Some(after) if after.starts_with(&prefix) => Some(after),
            Some(after) if after > prefix => return Ok(Listing::default()),
            _ => None,
        };
        loop {
            let mut page = self.list_page(&prefix, after.as_deref()).await?;
            after = page.objects.last().map(|object| object.key.clone());
            page.objects.retain_mut(|object| {
                object.key.drain(..self.prefix.len());
                key::is_valid(&object.key)
            });
            if !page.has_more || !page.objects.is_empty() {
                return Ok(page);
            }
            if after.is_none() {
                return Err(Error::Unfit("a page of a listing is empty and says that there is more".to_owned()));
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        match self.client.delete_object().bucket(&self.bucket).key(self.stored(key)?).send().await {
            Ok(_) => Ok(()),
            Err(error) => match answer::classify("delete", key, &error) {
                Error::NotFound { .. } => Ok(()),
                other => Err(other),
            },
        }
    }
}

/// The length that an answer announces.
fn length(what: &str, key: &str, announced: Option<i64>) -> Result<u64, Error> {
    announced.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| Error::Unavailable {
        what: format!("{what} {key:?}"),
        reason: "the answer does not say how long it is".to_owned(),
    })
}

/// Reads a body of exactly `length` bytes, never holding more.
async fn read(what: &str, key: &str, mut body: ByteStream, length: u64) -> Result<Bytes, Error> {
    let broken = |reason: String| Error::Unavailable { what: format!("{what} {key:?}"), reason };
    let mut read = BytesMut::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| broken(DisplayErrorContext(&error).to_string()))?;
        if (read.len() + part.len()) as u64 > length {
            return Err(broken("the answer is longer than it says".to_owned()));
        }
        if part.len() as u64 == length {
            return Ok(part);
        }
        if read.is_empty() {
            // The first part shows that the answer is real; what was announced bounds it.
            read.reserve(usize::try_from(length).unwrap_or(part.len()));
        }
        read.extend_from_slice(&part);
    }
    if read.len() as u64 == length {
        return Ok(read.freeze());
    }
    Err(broken(format!("the answer ends after {} of {length} bytes", read.len())))
}
