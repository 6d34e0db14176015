use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_api::ingest::v1::{LogRecord, ingest_service_client::IngestServiceClient};
use loglake_auth::keys::ClusterSecret;
use loglake_auth::limits::{AtRest, Limits, StoredBytes, StoredBytesError, TenantLimits};
use loglake_auth::session::SessionKey;
use loglake_auth::{Authenticator, NewToken, Scope, new_token};
use loglake_batch::LogBatch;
use loglake_broker::{Appended, Error, Producer};
use loglake_ingest::{Config, Ingestor, Parts};
use loglake_model::{ManualClock, Readiness, TenantName};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// The time that all tests begin at: 2023-11-14T22:13:20Z.
pub(crate) const NOW_NS: i64 = 1_700_000_000_000_000_000;
pub(crate) const PARTITIONS: u32 = 4;
/// Long enough for anything that is going to happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How the broker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Works,
    /// Appends wait until the mode changes.
    Stalls,
    /// Appends fail after the first so many.
    FailsAfter(usize),
    /// The log is full.
    IsFull,
}

/// The key that all ingestors of these tests sign sessions with.
pub(crate) fn session_key() -> SessionKey {
    SessionKey::new(&ClusterSecret::from_bytes(&[3; 32]).unwrap())
}

/// A broker that keeps what it is given and behaves as told.
pub(crate) struct Broker {
    /// What it says to each append.
    pub(crate) append_time_ns: Mutex<i64>,
    mode: watch::Sender<Mode>,
    appended: Mutex<Vec<(u32, Bytes)>>,
    asked: watch::Sender<usize>,
}

/// A record as the broker has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stored {
    pub(crate) tenant: String,
    pub(crate) service: String,
    pub(crate) line: String,
}

impl Broker {
    pub(crate) fn become_(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Every record that is durable.
    pub(crate) fn stored(&self) -> Vec<Stored> {
        let mut all = Vec::new();
        for (partition, payload) in &*self.appended.lock() {
            assert!(payload.len() <= loglake_batch::MAX_BYTES && *partition < PARTITIONS);
            let batch = LogBatch::decode(payload.clone()).unwrap();
            assert_eq!(batch.received_at_ns(), NOW_NS);
            for group in batch.groups() {
                let right = loglake_model::partition_of(batch.tenant(), group.service(), PARTITIONS);
                assert_eq!(right, *partition);
                all.extend(group.records().map(|record| Stored {
                    tenant: batch.tenant().to_string(),
                    service: group.service().to_string(),
                    line: String::from_utf8(record.line.to_vec()).unwrap(),
                }));
            }
        }
        all
    }

    /// Every message that is durable, with its partition.
    pub(crate) fn batches(&self) -> Vec<(u32, LogBatch)> {
        let appended = self.appended.lock();
        appended.iter().map(|(partition, payload)| (*partition, LogBatch::decode(payload.clone()).unwrap())).collect()
    }

    pub(crate) fn messages(&self) -> usize {
        self.appended.lock().len()
    }

    /// Waits until `count` appends have begun since the start.
    pub(crate) async fn asked(&self, count: usize) {
        let mut asked = self.asked.subscribe();
        tokio::time::timeout(SOON, asked.wait_for(|asked| *asked >= count)).await.unwrap().unwrap();
    }

    pub(crate) fn asked_so_far(&self) -> usize {
        *self.asked.borrow()
    }
}

#[async_trait]
impl Producer for Broker {
    fn max_message_bytes(&self) -> usize {
        1 << 20
    }

    async fn append(&self, partition: u32, payload: Bytes) -> Result<Appended, Error> {
        let before = *self.asked.borrow();
        self.asked.send_modify(|asked| *asked += 1);
        let mut mode = self.mode.subscribe();
        let mode = *mode.wait_for(|mode| *mode != Mode::Stalls).await.unwrap();
        match mode {
            Mode::FailsAfter(count) if before >= count => return Err(Error::Unavailable("as told".to_owned())),
            Mode::IsFull => return Err(Error::Full("as told".to_owned())),
            _ => {}
        }
        let mut appended = self.appended.lock();
        appended.push((partition, payload));
        Ok(Appended { offset: appended.len() as u64, append_time_ns: *self.append_time_ns.lock() })
    }
}

/// Says how much is stored of every tenant.
#[derive(Default)]
pub(crate) struct Rest {
    /// `None`: no answer comes.
    pub(crate) says: Mutex<Option<AtRest>>,
}

#[async_trait]
impl StoredBytes for Rest {
    async fn of(&self, tenants: &[TenantName]) -> Result<AtRest, StoredBytesError> {
        let said = self.says.lock().clone().ok_or_else(|| StoredBytesError("a test".to_owned()))?;
        Ok(AtRest { bytes: vec![said.bytes[0]; tenants.len()], ..said })
    }
}

/// A running ingestor.
pub(crate) struct Harness {
    pub(crate) broker: Arc<Broker>,
    pub(crate) at_rest: Arc<Rest>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) registry: prometheus::Registry,
    pub(crate) readiness: Readiness,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    running: JoinHandle<Result<(), loglake_ingest::Error>>,
}

impl Harness {
    pub(crate) async fn open() -> Self {
        Self::with(Config::default(), Authenticator::open()).await
    }

    pub(crate) async fn with(config: Config, auth: Authenticator) -> Self {
        Self::limited(config, auth, Limits::none()).await
    }

    pub(crate) async fn limited(config: Config, auth: Authenticator, limits: Limits) -> Self {
        let broker = Arc::new(Broker {
            mode: watch::Sender::new(Mode::Works),
            append_time_ns: Mutex::new(NOW_NS),
            appended: Mutex::default(),
            asked: watch::Sender::new(0),
        });
        let clock = Arc::new(ManualClock::at(NOW_NS));
        let (registry, readiness) = (prometheus::Registry::new(), Readiness::default());
        let at_rest = Arc::<Rest>::default();
        let parts = Parts {
            producer: Arc::clone(&broker) as Arc<dyn Producer>,
            partitions: PARTITIONS,
            clock: Arc::clone(&clock) as Arc<dyn loglake_model::Clock>,
            auth: Arc::new(auth),
            limits: TenantLimits::new(limits, None),
            counters: None,
            stored: Some(Arc::clone(&at_rest) as Arc<dyn StoredBytes>),
            session_key: session_key(),
            registry: registry.clone(),
            ready: readiness.role("ingestor"),
        };
        let free = "127.0.0.1:0".parse().unwrap();
        let config = Config { grpc_listen: free, http_listen: free, ..config };
        let ingestor = Ingestor::bind(config, parts).await.unwrap();
        let (grpc, http, shutdown) = (ingestor.grpc_addr(), ingestor.http_addr(), CancellationToken::new());
        let running = tokio::spawn(ingestor.run(shutdown.clone()));
        let harness = Self { broker, at_rest, clock, registry, readiness, grpc, http, shutdown, running };
        harness.wait_for(|harness| harness.readiness.waiting().is_empty()).await;
        harness
    }

    pub(crate) async fn wait_for(&self, is_so: impl Fn(&Self) -> bool) {
        let poll = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, poll).await.unwrap();
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.running).await.unwrap().unwrap().unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub(crate) fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        reqwest::Client::new().post(self.url("/v1/ingest")).body(body)
    }

    pub(crate) async fn client(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel().await)
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.grpc)).unwrap().connect().await.unwrap()
    }

    /// The sum of a metric's values, of those series that have all of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let has = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|(name, value)| {
                metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
            })
        };
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value()
                + metric.get_gauge().get_value()
                + metric.get_histogram().get_sample_count() as f64
        };
        family.get_metric().iter().filter(has).map(value).sum()
    }
}

/// What an HTTP answer said.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) json: serde_json::Value,
}

impl Said {
    pub(crate) fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or("")
    }
}

pub(crate) async fn say(request: reqwest::RequestBuilder) -> Said {
    let response = tokio::time::timeout(SOON, request.send()).await.unwrap().unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text).unwrap_or(serde_json::Value::Null);
    Said { status, headers, text, json }
}

/// A token of `tenant` that expires at `expires_ns`.
pub(crate) fn token(tenant: &str, scope: Scope, expires_ns: Option<i64>) -> NewToken {
    let tenant = TenantName::parse(tenant).unwrap();
    new_token(tenant, BTreeSet::from([scope]), expires_ns, None, &mut rand::rng()).unwrap()
}

pub(crate) fn record(service: &str, message: &str) -> LogRecord {
    LogRecord { service: service.to_owned(), message: message.to_owned(), ..LogRecord::default() }
}
