//! Real Kafka, Redis and MinIO as native processes, and the roles on them.

use std::path::{Path, PathBuf};

use crate::server::Process;
use crate::{free_port, programs};

/// A real server that a script of `test/tools` starts and stops.
#[derive(Debug)]
pub struct Native {
    script: &'static str,
    dir: PathBuf,
    /// Its port on the loopback.
    pub port: u16,
    more: Vec<String>,
}

impl Native {
    /// Starts the server of `script` with its data in `dir`.
    pub fn start(script: &'static str, dir: PathBuf) -> Self {
        // Kafka takes the port after the one it is given for its controller.
        Self::start_with(script, dir, free_port(), &[])
    }

    /// The same on `port`, with further arguments of the script.
    pub fn start_with(script: &'static str, dir: PathBuf, port: u16, more: &[String]) -> Self {
        let native = Self { script, dir, port, more: more.to_vec() };
        native.start_again();
        native
    }

    /// Ends it at once, as a crash would; its data stays. For Kafka only: the other scripts have no such command.
    pub fn kill(&self) {
        programs::script(self.script, &["kill", self.dir.to_str().expect("a UTF-8 path")]);
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stops it; its data stays.
    pub fn stop(&self) {
        programs::script(self.script, &["stop", self.dir.to_str().expect("a UTF-8 path")]);
    }

    /// Starts it again on the same data and port.
    pub fn start_again(&self) {
        let port = self.port.to_string();
        let mut args = vec!["start", self.dir.to_str().expect("a UTF-8 path"), &port];
        args.extend(self.more.iter().map(String::as_str));
        programs::script(self.script, &args);
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        let dir = self.dir.to_str().unwrap_or_default().to_owned();
        // A failed stop must not hide what failed before it.
        let _said = std::process::Command::new(programs::root().join("test/tools").join(self.script))
            .args(["stop", &dir])
            .output();
    }
}

/// A role's process with its addresses.
#[derive(Debug)]
pub struct Role {
    /// The running process.
    pub process: Process,
    /// `ingestor`, `processor` or `query`.
    pub role: &'static str,
    env: Vec<(String, String)>,
    log: PathBuf,
    ready: String,
    /// gRPC ingest of an ingestor.
    pub grpc: String,
    /// HTTP: ingest of an ingestor, queries of a query service.
    pub http: String,
    /// Its metrics.
    pub metrics: String,
}

impl Role {
    /// Starts a role with `env`, named `name` in its log in `folder`, on free ports; not ready yet.
    pub fn start(role: &'static str, name: &str, folder: &Path, env: &[(String, String)]) -> Self {
        let ports: [u16; 4] = std::array::from_fn(|_| free_port());
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut env = env.to_vec();
        let listen: &[(&str, u16)] = match role {
            "ingestor" => &[
                ("LOGLAKE_INGEST_GRPC_LISTEN", ports[0]),
                ("LOGLAKE_INGEST_HTTP_LISTEN", ports[1]),
                ("LOGLAKE_METRICS_INGESTOR_LISTEN", ports[2]),
            ],
            "processor" => {
                &[("LOGLAKE_PROCESSOR_TAIL_LISTEN", ports[0]), ("LOGLAKE_METRICS_PROCESSOR_LISTEN", ports[2])]
            }
            _ => &[("LOGLAKE_QUERY_LISTEN", ports[1]), ("LOGLAKE_METRICS_QUERY_LISTEN", ports[2])],
        };
        env.extend(listen.iter().map(|(key, port)| ((*key).to_owned(), local(*port))));
        let log = folder.join(format!("{name}.log"));
        let metrics = format!("http://{}", local(ports[2]));
        Self {
            process: Process::start(&[role], &env, &log),
            role,
            env,
            log,
            ready: format!("{metrics}/ready"),
            grpc: format!("http://{}", local(ports[0])),
            http: format!("http://{}", local(ports[1])),
            metrics,
        }
    }

    /// Starts it anew at the same addresses, after it ended; not ready yet.
    pub fn start_again(&mut self) {
        self.process = Process::start(&[self.role], &self.env, &self.log);
    }

    /// From its next start on, the variable `key` is `value`.
    pub fn set(&mut self, key: &str, value: &str) {
        self.env.retain(|(name, _)| name != key);
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Waits until it can serve.
    pub async fn wait_ready(&mut self) {
        let ready = self.ready.clone();
        self.process.ready(&ready).await;
    }

    /// Starts it anew at the same addresses, after it ended.
    pub async fn restart(&mut self) {
        self.start_again();
        self.wait_ready().await;
    }
}

/// The three servers, and as many roles on them as a test starts.
#[derive(Debug)]
pub struct Stack {
    /// The broker.
    pub kafka: Native,
    /// The index.
    pub redis: Native,
    /// The object store.
    pub minio: Native,
    folder: PathBuf,
    env: Vec<(String, String)>,
}

impl Stack {
    /// Starts the three servers with their data below `folder`. `env` goes to every role, and beats what the stack says.
    pub fn start(folder: &Path, env: &[(&str, &str)]) -> Self {
        programs::tools(&["redis", "kafka", "minio"]);
        let start = |script, name: &str| Native::start(script, folder.join(name));
        let (redis, minio, kafka) =
            (start("redis.sh", "redis"), start("minio.sh", "minio"), start("kafka.sh", "kafka"));
        let mut all: Vec<(String, String)> = [
            ("KAFKA_BROKERS", kafka.address()),
            ("REDIS_ADDR", redis.address()),
            ("S3_ENDPOINT", format!("http://{}", minio.address())),
            ("S3_BUCKET", "loglake".to_owned()),
            ("AWS_ACCESS_KEY_ID", "loglake".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "loglake-secret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("LOGLAKE_STORE_CREATE_BUCKET", "true".to_owned()),
            ("LOGLAKE_CLUSTER_SECRET", "a secret of the tests, long enough to be taken".to_owned()),
            ("LOGLAKE_BROKER_SESSION_TIMEOUT", "6s".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec();
        all.extend(env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Self { kafka, redis, minio, folder: folder.to_owned(), env: all }
    }

    /// The environment of every role, which a command of an operator has too.
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Starts a role, named `name` in its log, on free ports; not ready yet.
    pub fn role(&self, role: &'static str, name: &str) -> Role {
        Role::start(role, name, &self.folder, &self.env)
    }
}
