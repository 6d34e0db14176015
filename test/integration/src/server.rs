//! Servers of ours, started and ended as a user or an operator would.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{free_port, programs};

/// How long a server may take to become ready.
const READY: Duration = Duration::from_secs(60);
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(60);

/// A running process of ours with its log.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `loglake` with `args` and `env`; what it says goes to `log`.
    pub fn start(args: &[&str], env: &[(String, String)], log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("the log can be written");
        let err = out.try_clone().expect("a file can be opened twice");
        let child = Command::new(programs::loglake())
            .args(args)
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("loglake starts");
        Self { child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `url` answers 200.
    ///
    /// # Panics
    /// When the process ends before, or a minute passes; with its log.
    pub async fn ready(&mut self, url: &str) {
        let deadline = Instant::now() + READY;
        let client = reqwest::Client::new();
        loop {
            if let Ok(answer) = client.get(url).timeout(Duration::from_secs(2)).send().await
                && answer.status().is_success()
            {
                return;
            }
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "loglake ended ({ended:?}):\n{}", self.log_text());
            assert!(Instant::now() < deadline, "loglake is not ready at {url}:\n{}", self.log_text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits until a fail-point has killed it, and checks that it was that one.
    ///
    /// # Panics
    /// When it still runs after `patience`, ended otherwise, or did not say `line`; with its log.
    pub async fn killed_at(&mut self, line: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(Instant::now() < deadline, "{line}: it still runs:\n{}", self.log_text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(status.signal(), Some(9), "{line}: it ended with {status}:\n{}", self.log_text());
        assert!(self.log_text().contains(line), "{line}: it did not fire:\n{}", self.log_text());
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Sends a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Ends it in order (SIGTERM) and waits.
    ///
    /// # Panics
    /// When it does not end within a minute, or not with success; with its log.
    pub async fn stop(&mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + STOP;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                assert!(status.success(), "loglake ended with {status}:\n{}", self.log_text());
                return;
            }
            assert!(Instant::now() < deadline, "loglake does not stop:\n{}", self.log_text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The end of its log.
    pub fn log_text(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let from = text.len().saturating_sub(8_000);
        text.get(from..).unwrap_or(&text).to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed must not leave servers behind; one that ended already is gone.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The ports of a server of all roles.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// gRPC ingest.
    pub ingest_grpc: u16,
    /// HTTP ingest.
    pub ingest_http: u16,
    /// Queries.
    pub query: u16,
    /// The tail service.
    pub tail: u16,
    /// Metrics of ingestor, processor, query.
    pub metrics: [u16; 3],
}

impl Ports {
    /// Free ones.
    pub fn free() -> Self {
        Self {
            ingest_grpc: free_port(),
            ingest_http: free_port(),
            query: free_port(),
            tail: free_port(),
            metrics: [free_port(), free_port(), free_port()],
        }
    }

    /// The environment that makes a server listen there.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("LOGLAKE_INGEST_GRPC_LISTEN", self.ingest_grpc),
            ("LOGLAKE_INGEST_HTTP_LISTEN", self.ingest_http),
            ("LOGLAKE_QUERY_LISTEN", self.query),
            ("LOGLAKE_PROCESSOR_TAIL_LISTEN", self.tail),
            ("LOGLAKE_METRICS_INGESTOR_LISTEN", self.metrics[0]),
            ("LOGLAKE_METRICS_PROCESSOR_LISTEN", self.metrics[1]),
            ("LOGLAKE_METRICS_QUERY_LISTEN", self.metrics[2]),
        ]
        .map(|(key, port)| (key.to_owned(), format!("127.0.0.1:{port}")))
        .to_vec()
    }

    /// Where queries go.
    pub fn query_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.query)
    }

    /// Where HTTP ingest goes.
    pub fn ingest_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ingest_http)
    }

    /// Where gRPC ingest goes.
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ingest_grpc)
    }
}

/// `loglake dev` on a data folder.
#[derive(Debug)]
pub struct Dev {
    /// The running process.
    pub process: Process,
    /// Where it listens.
    pub ports: Ports,
    data: PathBuf,
    env: Vec<(String, String)>,
    starts: usize,
}

impl Dev {
    /// Starts it on `data` with further environment, and waits until it is ready.
    pub async fn start(data: &Path, env: &[(&str, &str)]) -> Self {
        let mut dev = Self::launch(data, env, "");
        dev.wait_ready().await;
        dev
    }

    /// Starts it with `failpoints`; does not wait, for it may die before it is ready.
    pub fn launch(data: &Path, env: &[(&str, &str)], failpoints: &str) -> Self {
        let ports = Ports::free();
        let mut all = ports.env();
        all.extend(env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let process = Self::spawn(data, &all, failpoints, 0);
        Self { process, ports, data: data.to_owned(), env: all, starts: 0 }
    }

    /// Every start has a log of its own, so that what it says can be told from what others said.
    fn spawn(data: &Path, env: &[(String, String)], failpoints: &str, number: usize) -> Process {
        let log = data.with_extension(format!("server-{number}.log"));
        let mut env = env.to_vec();
        if !failpoints.is_empty() {
            env.push(("LOGLAKE_FAILPOINTS".to_owned(), failpoints.to_owned()));
        }
        Process::start(&["dev", "--data", data.to_str().expect("a UTF-8 path")], &env, &log)
    }

    /// Waits until it can serve.
    pub async fn wait_ready(&mut self) {
        let url = format!("{}/ready", self.ports.query_url());
        self.process.ready(&url).await;
    }

    /// Starts it anew, on the same folder and ports, after it was killed or stopped.
    pub async fn restart(&mut self) {
        self.launch_with("");
        self.wait_ready().await;
    }

    /// Starts it anew with `failpoints`; does not wait, for it may die before it is ready.
    pub fn launch_with(&mut self, failpoints: &str) {
        self.starts += 1;
        self.process = Self::spawn(&self.data, &self.env, failpoints, self.starts);
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The folder that is its bucket.
    pub fn objects(&self) -> PathBuf {
        self.data.join("objects")
    }
}
