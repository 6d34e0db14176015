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
}

impl Native {
    /// Starts the server of `script` with its data in `dir`.
    pub fn start(script: &'static str, dir: PathBuf) -> Self {
        // Kafka takes the port after the one it is given for its controller.
        let port = free_port();
        programs::script(script, &["start", dir.to_str().expect("a UTF-8 path"), &port.to_string()]);
        Self { script, dir, port }
    }

    /// Stops it; its data stays.
    pub fn stop(&self) {
        programs::script(self.script, &["stop", self.dir.to_str().expect("a UTF-8 path")]);
    }

    /// Starts it again on the same data and port.
    pub fn start_again(&self) {
        programs::script(self.script, &["start", self.dir.to_str().expect("a UTF-8 path"), &self.port.to_string()]);
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
    args: [&'static str; 1],
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
    /// Waits until it can serve.
    pub async fn wait_ready(&mut self) {
        let ready = self.ready.clone();
        self.process.ready(&ready).await;
    }

    /// Starts it anew at the same addresses, after it ended.
    pub async fn restart(&mut self) {
        self.process = Process::start(&self.args, &self.env, &self.log);
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
    /// Starts the three servers with their data below `folder`. `env` goes to every role.
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

    /// Starts a role, named `name` in its log, on free ports; not ready yet.
    pub fn role(&self, role: &'static str, name: &str) -> Role {
        let ports: [u16; 4] = std::array::from_fn(|_| free_port());
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut env = self.env.clone();
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
        let log = self.folder.join(format!("{name}.log"));
        let metrics = format!("http://{}", local(ports[2]));
        Role {
            process: Process::start(&[role], &env, &log),
            args: [role],
            env,
            log,
            ready: format!("{metrics}/ready"),
            grpc: format!("http://{}", local(ports[0])),
            http: format!("http://{}", local(ports[1])),
            metrics,
        }
    }
}
