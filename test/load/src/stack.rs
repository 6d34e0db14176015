//! Real Kafka, Redis and MinIO as native processes, started and stopped by the scripts of `test/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::server::free_pair;

/// The three servers. They are stopped when the last clone goes.
#[derive(Clone, Debug)]
pub struct Stack(Arc<Servers>);

#[derive(Debug)]
struct Servers {
    tools: PathBuf,
    folder: PathBuf,
    kafka: u16,
    redis: u16,
    minio: u16,
}

impl Stack {
    /// Installs what is missing and starts the servers, their data beneath `folder`; `tools` is the folder of the scripts.
    ///
    /// # Errors
    /// A script fails; with what it said.
    pub fn start(tools: &Path, folder: &Path) -> anyhow::Result<Self> {
        let tools = tools.canonicalize().with_context(|| {
            format!("there is no folder {}: run this in the repository, or name its test/tools", tools.display())
        })?;
        eprintln!("starting Kafka, Redis and MinIO");
        script(&tools, "install.sh", &["redis", "kafka", "minio"])?;
        let servers =
            Servers { tools, folder: folder.to_owned(), kafka: free_pair()?, redis: free_pair()?, minio: free_pair()? };
        for (name, port) in servers.all() {
            let data = servers.folder.join(name);
            script(&servers.tools, &format!("{name}.sh"), &["start", &data.to_string_lossy(), &port.to_string()])?;
        }
        Ok(Self(Arc::new(servers)))
    }

    /// What a role is told that works on a bucket, a topic and keys called `name`.
    pub(crate) fn env(&self, name: &str) -> Vec<(String, String)> {
        let Servers { kafka, redis, minio, .. } = &*self.0;
        let env = [
            ("LOGLAKE_BROKER_BROKERS", format!("127.0.0.1:{kafka}")),
            ("LOGLAKE_BROKER_TOPIC", format!("logs.{name}")),
            ("LOGLAKE_BROKER_GROUP", name.to_owned()),
            ("LOGLAKE_BROKER_PARTITIONS", "4".to_owned()),
            ("LOGLAKE_INDEX_ADDR", format!("127.0.0.1:{redis}")),
            ("LOGLAKE_STORE_ENDPOINT", format!("http://127.0.0.1:{minio}")),
            ("LOGLAKE_STORE_BUCKET", name.to_owned()),
            ("LOGLAKE_STORE_CREATE_BUCKET", "true".to_owned()),
            ("LOGLAKE_CLUSTER", name.to_owned()),
            ("LOGLAKE_CLUSTER_SECRET", "a secret of the bench, long enough to be taken".to_owned()),
            ("AWS_ACCESS_KEY_ID", "loglake".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "loglake-secret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        env.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    /// Where MinIO keeps the bucket `name`.
    pub(crate) fn bucket(&self, name: &str) -> PathBuf {
        self.0.folder.join("minio").join("data").join(name)
    }

    /// What the keys of the index of `name` take in Redis, bytes: the sum of `MEMORY USAGE` over all elements.
    pub(crate) fn index_bytes(&self, name: &str) -> anyhow::Result<u64> {
        let keys = self.redis(&["--scan", "--pattern", &format!("loglake:*{{{name}/*")])?;
        let mut bytes = 0;
        for key in keys.lines().filter(|key| !key.is_empty()) {
            // A key with a time to live may have ended since.
            bytes += self.redis(&["memory", "usage", key, "samples", "0"])?.trim().parse::<u64>().unwrap_or(0);
        }
        Ok(bytes)
    }

    fn redis(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.0.redis.to_string()])
            .args(args)
            .output()
            .context("starting redis-cli")?;
        if !output.status.success() {
            bail!("redis-cli {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Servers {
    fn all(&self) -> [(&'static str, u16); 3] {
        [("redis", self.redis), ("minio", self.minio), ("kafka", self.kafka)]
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (name, _) in self.all() {
            let data = self.folder.join(name);
            if let Err(error) = script(&self.tools, &format!("{name}.sh"), &["stop", &data.to_string_lossy()]) {
                eprintln!("{error:#}");
            }
        }
    }
}

fn script(tools: &Path, name: &str, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(tools.join(name))
        .args(args)
        .output()
        .with_context(|| format!("starting {name} in {}", tools.display()))?;
    if !output.status.success() {
        bail!("{name} {} failed:\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
