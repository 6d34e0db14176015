use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long the server may take to be ready, and to stop.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(300);

/// The keys of what it listens on. Each gets a free port.
const LISTENERS: [&str; 7] = [
    "LOGLAKE_INGEST_GRPC_LISTEN",
    "LOGLAKE_INGEST_HTTP_LISTEN",
    "LOGLAKE_QUERY_LISTEN",
    "LOGLAKE_PROCESSOR_TAIL_LISTEN",
    "LOGLAKE_METRICS_INGESTOR_LISTEN",
    "LOGLAKE_METRICS_PROCESSOR_LISTEN",
    "LOGLAKE_METRICS_QUERY_LISTEN",
];

/// `loglake dev` in a process of its own.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    query: SocketAddr,
    cpu_before: Duration,
}

/// What a run of the server cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU of its process, user and system, from start to exit.
    pub(crate) cpu: Duration,
    /// The most memory it held, bytes.
    pub(crate) peak_bytes: u64,
}

impl Server {
    /// Starts the server on the folder `data` and waits until it is ready. What it says goes to `log`.
    pub(crate) async fn start(binary: &Path, data: &Path, log: &Path) -> anyhow::Result<Self> {
        // Taken together, so that no port is given out twice, and freed just before the server takes them.
        let held = LISTENERS.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>();
        let held = held.context("looking for free ports")?;
        let addresses =
            held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>().context("reading a port")?;
        let output = File::options().create(true).append(true).open(log).context("opening the server's log")?;
        let mut command = Command::new(binary);
        command.arg("dev").arg("--data").arg(data).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LOGLAKE_")) {
            command.env_remove(name);
        }
        command.envs(LISTENERS.iter().zip(addresses.iter().map(ToString::to_string)));
        command.stdout(output.try_clone().context("sharing the server's log")?).stderr(output);
        drop(held);
        let cpu_before = children_cpu()?;
        let child = command.spawn().with_context(|| format!("starting {}", binary.display()))?;
        let mut server = Self {
            child,
            log: log.to_owned(),
            grpc: addresses[0],
            http: addresses[1],
            query: addresses[2],
            cpu_before,
        };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let url = format!("http://{}/ready", self.query);
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                bail!("the server ended at its start with {status}:\n{}", self.last_words());
            }
            if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the server was not ready within {START_TIMEOUT:?}:\n{}", self.last_words())
    }

    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    pub(crate) fn ingest_url(&self) -> String {
        format!("http://{}/v1/ingest", self.http)
    }

    pub(crate) fn query_url(&self) -> String {
        format!("http://{}/v1/query", self.query)
    }

    pub(crate) fn services_url(&self) -> String {
        format!("http://{}/v1/services", self.query)
    }

    /// Asks the server to stop, waits until it has flushed and ended, and says what it cost.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Cost> {
        let mut peak_bytes = self.peak_bytes();
        kill_process(self.pid()?, Signal::TERM).context("asking the server to stop")?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                break status;
            }
            // The mark of the highest memory only rises; the last reading before the end is the one that counts.
            peak_bytes = peak_bytes.max(self.peak_bytes());
            ensure!(
                started.elapsed() < STOP_TIMEOUT,
                "the server did not stop within {STOP_TIMEOUT:?}:\n{}",
                self.last_words()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        ensure!(ExitStatus::success(&status), "the server ended with {status}:\n{}", self.last_words());
        Ok(Cost { cpu: children_cpu()?.saturating_sub(self.cpu_before), peak_bytes })
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the server has no process id")
    }

    /// 0 once the process is gone.
    fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// The end of what the server said.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is left behind by a failed run must not live on. It may have ended already: then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU of all children that have ended and were waited for.
fn children_cpu() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // Fields are counted from behind the program's name, which may hold blanks; 16 and 17 of proc(5) are the children's.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = [13, 14].map(|at| fields.get(at).and_then(|field| field.parse::<u64>().ok()));
    match ticks {
        [Some(user), Some(system)] => {
            Ok(Duration::from_secs_f64((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64))
        }
        _ => bail!("/proc/self/stat does not tell the children's CPU"),
    }
}
