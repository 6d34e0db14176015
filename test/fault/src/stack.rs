//! The roles on real servers, as a row wants them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use loglake_integration::stack::Role;

use crate::servers::Servers;
use crate::site::{Admin, Ingest, Site};

/// What a row wants to have started, and how.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How many ingestors.
    pub ingestors: usize,
    /// How many processors.
    pub processors: usize,
    /// How many query services.
    pub queries: usize,
    /// Further environment of every role; beats what the stack sets by itself.
    pub env: Vec<(String, String)>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { ingestors: 1, processors: 1, queries: 1, env: Vec::new() }
    }
}

impl Wanted {
    /// The same with one variable more for every role.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.push((key.to_owned(), value.into()));
        self
    }

    /// The same with so many ingestors, processors and query services.
    #[must_use]
    pub fn of(mut self, ingestors: usize, processors: usize, queries: usize) -> Self {
        (self.ingestors, self.processors, self.queries) = (ingestors, processors, queries);
        self
    }
}

/// Running roles.
#[derive(Debug)]
pub struct Stack {
    /// The servers below.
    pub servers: Arc<Servers>,
    /// The ingestors.
    pub ingestors: Vec<Role>,
    /// The processors.
    pub processors: Vec<Role>,
    /// The query services.
    pub queries: Vec<Role>,
    /// The environment that all have in common.
    pub env: BTreeMap<String, String>,
    /// The topic.
    pub topic: String,
    /// The bucket.
    pub bucket: String,
    /// Redis's database.
    pub database: u64,
    name: String,
}

impl Stack {
    /// Starts the roles of `wanted` on `servers` with a topic, a bucket and a database that are new, and waits until
    /// all are ready.
    ///
    /// # Errors
    /// When Redis has no database left.
    pub async fn start(servers: &Arc<Servers>, name: &str, wanted: &Wanted) -> Result<Self> {
        let number = servers.next_row();
        // Redis has sixteen databases; a row empties the one it gets.
        let database = number % 16;
        crate::servers::redis_cli(servers.redis.port, &["-n", &database.to_string(), "flushdb"])?;
        let name = format!("{}-{number}", name.replace('/', "-"));
        let mut env: BTreeMap<String, String> = [
            ("LOGLAKE_CLUSTER", name.clone()),
            ("KAFKA_BROKERS", servers.kafka.address()),
            ("LOGLAKE_BROKER_TOPIC", name.clone()),
            ("LOGLAKE_BROKER_GROUP", name.clone()),
            ("LOGLAKE_BROKER_PARTITIONS", "4".to_owned()),
            ("LOGLAKE_BROKER_SESSION_TIMEOUT", "6s".to_owned()),
            ("REDIS_ADDR", format!("redis://{}/{database}", servers.redis.address())),
            ("S3_ENDPOINT", format!("http://{}", servers.minio.address())),
            ("S3_BUCKET", name.clone()),
            ("AWS_ACCESS_KEY_ID", "loglake".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "loglake-secret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("LOGLAKE_STORE_CREATE_BUCKET", "true".to_owned()),
            ("LOGLAKE_CLUSTER_SECRET", "a secret of the tests, long enough to be taken".to_owned()),
            ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "2s".to_owned()),
            ("LOGLAKE_PROCESSOR_TAIL_HOLD", "5s".to_owned()),
            ("LOGLAKE_QUERY_TIMEOUT", "10s".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        env.extend(wanted.env.iter().cloned());
        let (topic, bucket) = (name.clone(), env.get("S3_BUCKET").cloned().unwrap_or_default());
        let mut stack = Self {
            servers: Arc::clone(servers),
            ingestors: Vec::new(),
            processors: Vec::new(),
            queries: Vec::new(),
            env,
            topic,
            bucket,
            database,
            name,
        };
        for (role, count) in
            [("ingestor", wanted.ingestors), ("processor", wanted.processors), ("query", wanted.queries)]
        {
            for _ in 0..count {
                stack.add(role);
            }
        }
        for role in stack.ingestors.iter_mut().chain(&mut stack.processors).chain(&mut stack.queries) {
            role.wait_ready().await;
        }
        Ok(stack)
    }

    /// Starts one more of a role; not ready yet.
    pub fn add(&mut self, role: &'static str) {
        self.add_with(role, &[]);
    }

    /// Starts one more of a role with environment of its own; not ready yet.
    pub fn add_with(&mut self, role: &'static str, env: &[(&str, &str)]) {
        let mut all = self.env.clone();
        all.extend(env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let all: Vec<_> = all.into_iter().collect();
        let of_role = match role {
            "ingestor" => &mut self.ingestors,
            "processor" => &mut self.processors,
            _ => &mut self.queries,
        };
        let log = format!("{}-{role}-{}", self.name, of_role.len());
        of_role.push(Role::start(role, &log, self.servers.folder(), &all));
    }

    /// Where the load and the judge go.
    pub fn site(&self) -> Site {
        let ingestors =
            self.ingestors.iter().map(|role| Ingest { grpc: role.grpc.clone(), http: role.http.clone() }).collect();
        let queries = self.queries.iter().map(|role| role.http.clone()).collect();
        Site::new(ingestors, queries, Admin { env: self.env.clone(), args: Vec::new() })
    }
}

/// The sum of all series of metric `name` that contain `label`, at a role's metrics address.
///
/// # Errors
/// When it does not answer.
pub async fn metric(address: &str, name: &str, label: &str) -> Result<f64> {
    let answer = reqwest::get(format!("{address}/metrics")).await?;
    if !answer.status().is_success() {
        bail!("{address}/metrics answers {}", answer.status());
    }
    let text = answer.text().await?;
    Ok(text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum())
}
