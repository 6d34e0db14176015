//! A process of ours, started, watched and ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::proc;

/// How long a server may take to be ready, and to stop.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(600);

/// A process of ours with its log.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

/// What a run of a server cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// CPU of its processes, user and system, from start to exit.
    pub cpu: Duration,
    /// The most memory each of them held, summed up, bytes.
    pub peak_bytes: u64,
}

impl Cost {
    /// What several processes cost together.
    #[must_use]
    pub fn of_all(costs: &[(String, Self)]) -> Self {
        costs.iter().fold(Self::default(), |sum, (_, cost)| Self {
            cpu: sum.cpu + cost.cpu,
            peak_bytes: sum.peak_bytes + cost.peak_bytes,
        })
    }
}

impl Process {
    /// Starts `binary` with `args` and nothing of Loglake's in its environment but `env`. What it says goes to `log`.
    pub(crate) fn start(binary: &Path, args: &[&str], env: &[(String, String)], log: &Path) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log).context("opening the server's log")?;
        let mut command = Command::new(binary);
        command.args(args).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LOGLAKE_")) {
            command.env_remove(name);
        }
        command.envs(env.iter().map(|(key, value)| (key, value)));
        command.stdout(output.try_clone().context("sharing the server's log")?).stderr(output);
        let child = command.spawn().with_context(|| format!("starting {}", binary.display()))?;
        Ok(Self { child, name: args.first().copied().unwrap_or_default().to_owned(), log: log.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it was started as: `dev`, or its role.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until `url` answers 200.
    pub(crate) async fn wait_until_ready(&mut self, url: &str) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                bail!("{} ended at its start with {status}:\n{}", self.name, self.last_words());
            }
            if client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("{} was not ready within {START_TIMEOUT:?}:\n{}", self.name, self.last_words())
    }

    /// Asks it to stop, waits until it has flushed and ended, and says what it cost.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Cost> {
        let mut peak_bytes = proc::memory(self.id()).peak_bytes;
        let cpu_before = proc::children_cpu()?;
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the server has no process id")?;
        kill_process(pid, Signal::TERM).context("asking the server to stop")?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                break status;
            }
            // The mark of the highest memory only rises; the last reading before the end is the one that counts.
            peak_bytes = peak_bytes.max(proc::memory(self.id()).peak_bytes);
            ensure!(
                started.elapsed() < STOP_TIMEOUT,
                "{} did not stop within {STOP_TIMEOUT:?}:\n{}",
                self.name,
                self.last_words()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        ensure!(ExitStatus::success(&status), "{} ended with {status}:\n{}", self.name, self.last_words());
        // Its CPU is added to the children's when it is waited for, all at once.
        Ok(Cost { cpu: proc::children_cpu()?.saturating_sub(cpu_before), peak_bytes })
    }

    /// The end of what it said.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A server that is left behind by a failed run must not live on. It may have ended already: then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
