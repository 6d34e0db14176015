//! Several real Redis servers: a cluster, or a master behind sentinels.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{free_port, programs};

const SCRIPT: &str = "redis.sh";
/// The name that the sentinels know their master by.
pub const MASTER: &str = "main";

/// Six processes that are one index.
#[derive(Debug)]
pub struct RedisSet {
    dir: PathBuf,
    /// The servers' ports.
    pub servers: Vec<u16>,
    /// The sentinels' ports; none in a cluster.
    pub sentinels: Vec<u16>,
}

impl RedisSet {
    /// Starts a cluster of three masters with a replica each, with its data in `dir`.
    pub fn cluster(dir: &Path) -> Self {
        programs::tools(&["redis"]);
        let servers = ports(6);
        run("cluster", dir, &[servers.clone(), ports(6)].concat());
        Self { dir: dir.to_owned(), servers, sentinels: Vec::new() }
    }

    /// Starts a master, two replicas and three sentinels, with their data in `dir`.
    pub fn sentinel(dir: &Path) -> Self {
        programs::tools(&["redis"]);
        let (servers, sentinels) = (ports(3), ports(3));
        run("sentinel", dir, &[servers.clone(), sentinels.clone()].concat());
        Self { dir: dir.to_owned(), servers, sentinels }
    }

    /// The address as the configuration takes it.
    pub fn address(&self) -> String {
        let hosts = |ports: &[u16]| ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        if self.sentinels.is_empty() {
            // Some of the nodes: they name the others.
            format!("redis-cluster://{}", hosts(&self.servers[1..3]))
        } else {
            format!("redis-sentinel://{}/{MASTER}", hosts(&self.sentinels))
        }
    }

    /// What the server at `port` answers to `words`.
    pub fn ask(port: u16, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output();
        String::from_utf8_lossy(&output.expect("redis-cli comes with the server").stdout).trim().to_owned()
    }

    /// Ends the server at `port` as a crash would.
    pub fn kill(&self, port: u16) {
        self.signal(port, "KILL");
    }

    /// Sends the server at `port` a signal by name.
    pub fn signal(&self, port: u16, name: &str) {
        let pid = std::fs::read_to_string(self.dir.join(port.to_string()).join("redis.pid")).expect("it was started");
        let sent = Command::new("kill").args([&format!("-{name}"), pid.trim()]).status().expect("kill runs");
        assert!(sent.success(), "the server at port {port} is there");
    }

    /// Starts the server at `port` again on its data.
    pub fn start_again(&self, port: u16) {
        run("again", &self.dir, &[port]);
    }

    /// The servers that say they are masters and are not `dead`.
    pub fn masters(&self, dead: &[u16]) -> Vec<u16> {
        let is_master = |port: &u16| Self::ask(*port, &["role"]).starts_with("master");
        self.servers.iter().filter(|port| !dead.contains(port)).filter(|port| is_master(port)).copied().collect()
    }

    /// Waits until there are `count` masters without `dead`.
    ///
    /// # Panics
    /// When there are not within a minute.
    pub async fn failed_over(&self, dead: &[u16], count: usize) -> Vec<u16> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let masters = self.masters(dead);
            if masters.len() == count {
                return masters;
            }
            assert!(Instant::now() < deadline, "no fail-over within a minute: masters {masters:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for RedisSet {
    fn drop(&mut self) {
        let dir = self.dir.to_str().unwrap_or_default().to_owned();
        // A failed stop must not hide what failed before it.
        let _said = Command::new(programs::root().join("test/tools").join(SCRIPT)).args(["stop", &dir]).output();
    }
}

fn ports(count: usize) -> Vec<u16> {
    (0..count).map(|_| free_port()).collect()
}

fn run(command: &str, dir: &Path, ports: &[u16]) {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let mut args = vec![command, dir.to_str().expect("a UTF-8 path")];
    args.extend(ports.iter().map(String::as_str));
    programs::script(SCRIPT, &args);
}
