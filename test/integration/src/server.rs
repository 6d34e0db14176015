//! Servers of ours, started and ended as a user or an operator would.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
    /// Where what it says begins in its log.
    log_from: u64,
}

impl Process {
    /// Starts `loglake` with `args` and `env`; what it says goes to `log`.
    pub fn start(args: &[&str], env: &[(String, String)], log: &Path) -> Self {
        Self::start_under(&[], args, env, log)
    }

    /// The same by way of a command that becomes it, such as `prlimit --nofile=256`.
    pub fn start_under(wrapper: &[&str], args: &[&str], env: &[(String, String)], log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("the log can be written");
        let log_from = out.metadata().expect("the log has a length").len();
        let err = out.try_clone().expect("a file can be opened twice");
        let mut command = match wrapper {
            [] => Command::new(programs::loglake()),
            [program, more @ ..] => {
                let mut command = Command::new(program);
                command.args(more).arg(programs::loglake());
                command
            }
        };
        let child = command
            .args(args)
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("loglake starts");
        Self { child, log: log.to_owned(), log_from }
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
            let ended = self.ended();
            assert!(ended.is_none(), "loglake ended ({ended:?}):\n{}", self.log_text());
            assert!(Instant::now() < deadline, "loglake is not ready at {url}:\n{}", self.log_text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits until a fail-point has killed it, and checks that it was the one that says `line`.
    ///
    /// # Panics
    /// When it still runs after `patience`, ended otherwise, or did not say so; with its log.
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
        assert!(self.said().contains(line), "{line}: it did not fire:\n{}", self.log_text());
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
            if let Some(status) = self.ended() {
                assert!(status.success(), "loglake ended with {status}:\n{}", self.log_text());
                return;
            }
            assert!(Instant::now() < deadline, "loglake does not stop:\n{}", self.log_text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All that this process has said, without what an earlier one said in the same log.
    pub fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.log_from).unwrap_or(usize::MAX).min(text.len());
        String::from_utf8_lossy(&text[from..]).into_owned()
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
    wrapper: Vec<String>,
}

impl Dev {
    /// Starts it on `data` with further environment, and waits until it is ready.
    pub async fn start(data: &Path, env: &[(&str, &str)]) -> Self {
        let mut dev = Self::launch(&[], data, env);
        dev.wait_ready().await;
        dev
    }

    /// Starts it by way of a command that becomes it (such as `prlimit --nofile=256`; none when empty); not ready yet.
    pub fn launch(wrapper: &[&str], data: &Path, env: &[(&str, &str)]) -> Self {
        let ports = Ports::free();
        let mut all = ports.env();
        all.extend(env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let wrapper: Vec<String> = wrapper.iter().map(|part| (*part).to_owned()).collect();
        let process = Self::spawn(&wrapper, data, &all);
        Self { process, ports, data: data.to_owned(), env: all, wrapper }
    }

    fn spawn(wrapper: &[String], data: &Path, env: &[(String, String)]) -> Process {
        let log = data.with_extension("server.log");
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        Process::start_under(&wrapper, &["dev", "--data", data.to_str().expect("a UTF-8 path")], env, &log)
    }

    /// From its next start on, the variable `key` is `value`.
    pub fn set(&mut self, key: &str, value: &str) {
        self.env.retain(|(name, _)| name != key);
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Starts it anew, on the same folder and ports, after it ended; not ready yet.
    pub fn start_again(&mut self) {
        self.process = Self::spawn(&self.wrapper, &self.data, &self.env);
    }

    /// Waits until it can serve.
    pub async fn wait_ready(&mut self) {
        let url = format!("{}/ready", self.ports.query_url());
        self.process.ready(&url).await;
    }

    /// Starts it anew, on the same folder and ports, after it was killed or stopped.
    pub async fn restart(&mut self) {
        self.start_again();
        self.wait_ready().await;
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
