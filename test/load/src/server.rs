//! Loglake as it is measured: `loglake dev`, or the three roles on real Kafka, Redis and MinIO.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::place::Place;
use crate::process::{Cost, Process};

/// How long the processor may take to consume what was acknowledged.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(600);

/// The keys of what each process listens on.
const INGEST_GRPC: &str = "LOGLAKE_INGEST_GRPC_LISTEN";
const INGEST_HTTP: &str = "LOGLAKE_INGEST_HTTP_LISTEN";
const QUERY: &str = "LOGLAKE_QUERY_LISTEN";
const TAIL: &str = "LOGLAKE_PROCESSOR_TAIL_LISTEN";
const INGESTOR_METRICS: &str = "LOGLAKE_METRICS_INGESTOR_LISTEN";
const PROCESSOR_METRICS: &str = "LOGLAKE_METRICS_PROCESSOR_LISTEN";
const QUERY_METRICS: &str = "LOGLAKE_METRICS_QUERY_LISTEN";
const LISTENERS: [&str; 7] =
    [INGEST_GRPC, INGEST_HTTP, QUERY, TAIL, INGESTOR_METRICS, PROCESSOR_METRICS, QUERY_METRICS];

/// A running Loglake: one process, or one a role.
#[derive(Debug)]
pub struct Server {
    /// In the order in which they are stopped.
    processes: Vec<Process>,
    urls: Urls,
    processor_metrics: String,
}

/// Where a Loglake listens.
#[derive(Clone, Debug)]
pub struct Urls {
    /// gRPC ingest, `http://host:port`.
    pub grpc: String,
    /// HTTP ingest, `http://host:port`.
    pub http: String,
    /// Queries, `http://host:port`.
    pub query: String,
}

impl Server {
    /// Starts `binary` on what is at `place`, and waits until it is ready. Logs go to the folder `logs`.
    ///
    /// # Errors
    /// It does not start; with the end of its log.
    pub async fn start(binary: &Path, place: &Place, logs: &Path) -> anyhow::Result<Self> {
        let addresses = free_addresses(LISTENERS.len())?;
        let listen = |key: &str| {
            let at = LISTENERS.iter().position(|name| *name == key).unwrap_or(0);
            (key.to_owned(), addresses[at].to_string())
        };
        let url = |key: &str| format!("http://{}", listen(key).1);
        // Everything is flushed before the end, however slow the machine is.
        let mut env = vec![("LOGLAKE_GRACE".to_owned(), "10m".to_owned())];
        env.extend(place.env());
        let mut processes = Vec::new();
        for (role, keys) in roles(place) {
            let mut env = env.clone();
            env.extend(keys.iter().map(|key| listen(key)));
            let mut args = vec![*role];
            let data;
            if let Place::Folder(folder) = place {
                data = folder.to_string_lossy().into_owned();
                args.extend(["--data", &data]);
            }
            processes.push(Process::start(binary, &args, &env, &logs.join(format!("{role}.log")))?);
        }
        for process in &mut processes {
            let metrics = match process.name() {
                "ingestor" => INGESTOR_METRICS,
                "processor" => PROCESSOR_METRICS,
                _ => QUERY_METRICS,
            };
            process.wait_until_ready(&format!("{}/ready", url(metrics))).await?;
        }
        let urls = Urls { grpc: url(INGEST_GRPC), http: url(INGEST_HTTP), query: url(QUERY) };
        Ok(Self { processes, urls, processor_metrics: format!("{}/metrics", url(PROCESSOR_METRICS)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// The ids of its processes, with what they were started as.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        self.processes.iter().map(|process| (process.id(), process.name().to_owned())).collect()
    }

    /// Waits until the processor has consumed `records` since it started.
    ///
    /// # Errors
    /// It does not within ten minutes, or its metrics cannot be read.
    pub async fn wait_until_consumed(&self, records: u64) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let started = Instant::now();
        loop {
            let answer = client.get(&self.processor_metrics).send().await.context("asking the processor's metrics")?;
            let text = answer.text().await.context("reading the processor's metrics")?;
            let consumed = metric(&text, "loglake_process_records_total").unwrap_or(0.0);
            if consumed >= records as f64 {
                return Ok(());
            }
            ensure!(
                started.elapsed() < DRAIN_TIMEOUT,
                "the processor consumed {consumed} of {records} records within {DRAIN_TIMEOUT:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it, everything flushed, and says what each of its processes cost.
    ///
    /// # Errors
    /// One of them does not end in order; with the end of its log.
    pub async fn stop(self) -> anyhow::Result<Vec<(String, Cost)>> {
        let mut costs = Vec::new();
        for process in self.processes {
            let name = process.name().to_owned();
            costs.push((name, process.stop().await?));
        }
        Ok(costs)
    }
}

/// The processes of a Loglake at `place`, and what each listens on.
fn roles(place: &Place) -> &'static [(&'static str, &'static [&'static str])] {
    match place {
        Place::Folder(_) => &[("dev", &LISTENERS)],
        Place::Servers { .. } => &[
            ("ingestor", &[INGEST_GRPC, INGEST_HTTP, INGESTOR_METRICS]),
            ("processor", &[TAIL, PROCESSOR_METRICS]),
            ("query", &[QUERY, QUERY_METRICS]),
        ],
    }
}

/// Addresses on the loopback that nobody listens on. They are taken together, so that none is given out twice, and freed just
/// before the server takes them.
fn free_addresses(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let held = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>();
    let held = held.context("looking for free ports")?;
    held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>().context("reading a port")
}

/// A free port on the loopback, and the one after it free too.
pub(crate) fn free_pair() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = free_addresses(1)?[0].port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("there are no two free ports beside each other on the loopback")
}

/// The sum of a metric over its labels, in the text that Prometheus reads.
fn metric(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let key = key.split('{').next()?;
        (key == name).then(|| value.parse::<f64>().ok())?
    });
    values.reduce(|sum, value| sum + value)
}

/// The folder of a server's logs beneath `folder`.
///
/// # Errors
/// It cannot be made.
pub(crate) fn logs_in(folder: &Path) -> anyhow::Result<PathBuf> {
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use super::metric;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let text = "# HELP a x\na{p=\"1\"} 2\na{p=\"2\"} 3\nab 7\n";
        assert_eq!((metric(text, "a"), metric(text, "ab"), metric(text, "c")), (Some(5.0), Some(7.0), None));
    }
}
