//! A real Prometheus that scrapes what a test started.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::{Client, free_port, programs};

/// How long it may take to start.
const READY: Duration = Duration::from_secs(60);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    client: Client,
}

/// One series of an answer: its labels and its value.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The labels, as JSON.
    pub labels: Value,
    /// The value; it may be no number.
    pub value: f64,
}

impl Prometheus {
    /// Starts one with the configuration `text`, its data and log in `folder`; it answers when this returns.
    ///
    /// # Panics
    /// When it does not start; with its log.
    pub async fn start(folder: &Path, text: &str) -> Self {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let (config, log, data) =
            (folder.join("prometheus.yml"), folder.join("prometheus.log"), folder.join("prometheus"));
        std::fs::write(&config, text).expect("the configuration can be written");
        let out = std::fs::File::create(&log).expect("the log can be written");
        let address = format!("127.0.0.1:{}", free_port());
        let child = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .expect("Prometheus starts");
        let mut prometheus = Self { child, client: Client::new(format!("http://{address}")) };
        let deadline = Instant::now() + READY;
        let http = reqwest::Client::new();
        loop {
            let answer = http.get(format!("http://{address}/-/ready")).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return prometheus;
            }
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            let ended = prometheus.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "Prometheus ended ({ended:?}):\n{}", log());
            assert!(Instant::now() < deadline, "Prometheus is not ready:\n{}", log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What `expr` is now.
    ///
    /// # Errors
    /// What Prometheus says of an expression that it cannot evaluate.
    pub async fn query(&self, expr: &str) -> Result<Vec<Sample>, String> {
        let form = format!("query={}", percent(expr));
        let (status, answer) = self.client.post_typed("/api/v1/query", "application/x-www-form-urlencoded", form).await;
        if status != StatusCode::OK {
            return Err(answer["error"].to_string());
        }
        let result = answer["data"]["result"].as_array().ok_or("no vector")?;
        let sample = |one: &Value| {
            let text = one["value"][1].as_str().expect("a value is a text");
            Sample { labels: one["metric"].clone(), value: text.parse().expect("a value is a number") }
        };
        Ok(result.iter().map(sample).collect())
    }

    /// All rules with how they fare.
    pub async fn rules(&self) -> Vec<Value> {
        let (status, text) = self.client.get("/api/v1/rules").await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let answer: Value = serde_json::from_str(&text).expect("an answer is JSON");
        let groups = answer["data"]["groups"].as_array().expect("groups").clone();
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself; its data goes with the test's folder.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A program of Debian's packages of Prometheus and Alertmanager: `prometheus`, `promtool`, `amtool`.
pub fn program(name: &str) -> std::path::PathBuf {
    programs::tools(&["prometheus"]).join("prometheus/usr/bin").join(name)
}

/// The text as a value of a form.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
