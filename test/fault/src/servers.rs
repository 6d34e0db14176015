//! Real Kafka, Redis and MinIO, shared by the rows of one run: each row has a topic, a database and a bucket of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use loglake_integration::stack::Native;
use loglake_integration::{free_port, programs};

use crate::proxy::TcpProxy;

/// The servers.
#[derive(Debug)]
pub struct Servers {
    /// The broker, reached directly.
    pub kafka: Native,
    /// The same broker behind a proxy: its advertised address is the proxy's, so clients stay behind it.
    pub kafka_proxy: TcpProxy,
    /// The index.
    pub redis: Native,
    /// The object store.
    pub minio: Native,
    folder: tempfile::TempDir,
    rows: AtomicU64,
}

impl Servers {
    /// Starts all of them.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn start() -> Result<Self> {
        programs::tools(&["redis", "kafka", "minio"]);
        let folder = tempfile::Builder::new().prefix("loglake-fault").tempdir()?;
        let (inner, outer) = (free_port(), free_port());
        let kafka_proxy = TcpProxy::start(outer, local(inner)).await?;
        let native = |script, name: &str| Native::start(script, folder.path().join(name));
        let (redis, minio) = (native("redis.sh", "redis"), native("minio.sh", "minio"));
        // The controller takes the port after the broker's.
        let port = free_port();
        let properties = [
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{}",
                port + 1
            ),
            format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{outer}"),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ];
        let kafka = Native::start_with("kafka.sh", folder.path().join("kafka"), port, &properties);
        Ok(Self { kafka, kafka_proxy, redis, minio, folder, rows: AtomicU64::new(0) })
    }

    /// A number for each row's topic, database and bucket.
    pub fn next_row(&self) -> u64 {
        self.rows.fetch_add(1, Ordering::Relaxed)
    }

    /// Where the servers keep their data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// `127.0.0.1:port`.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Runs `redis-cli` against `port` and returns what it says.
///
/// # Errors
/// When it fails; with what it said.
pub fn redis_cli(port: u16, arguments: &[&str]) -> Result<String> {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output()?;
    ensure!(output.status.success(), "redis-cli {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The pid that a server's script has written to `file` in its folder.
///
/// # Errors
/// When there is none.
pub fn pid(server: &Native, file: &str) -> Result<u32> {
    let path = server.dir().join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    text.trim().parse().with_context(|| path.display().to_string())
}

/// Sends a signal by name, such as `STOP`.
///
/// # Errors
/// When there is no such process.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -{name} {pid}");
    Ok(())
}

/// A moto server: a store that checks no signatures, so that requests can be altered on their way. Killed when dropped.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    /// Its port.
    pub port: u16,
}

impl Moto {
    /// Starts it; its log goes to `folder`.
    ///
    /// # Errors
    /// When it does not listen within a minute.
    pub async fn start(folder: PathBuf) -> Result<Self> {
        let program = programs::tools(&["python"]).join("python/bin/python");
        let port = free_port();
        let log = std::fs::File::create(folder.join("moto.log"))?;
        let child = Command::new(program)
            .arg(programs::root().join("test/tools/serve_moto.py"))
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("moto")?;
        let moto = Self { child, port };
        let started = Instant::now();
        while tokio::net::TcpStream::connect(local(port)).await.is_err() {
            ensure!(started.elapsed() < Duration::from_secs(60), "moto does not listen");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(moto)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
