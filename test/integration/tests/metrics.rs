//! Everything that is asked of Prometheus, asked of a real one that scrapes the roles under load: each panel of each dashboard,
//! each recording rule, and what each alert compares. None may be empty, and no alert may fire.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loglake_integration::load::{Size, TENANTS};
use loglake_integration::prometheus::Sample;
use loglake_integration::{Client, Dev, Load, Prometheus, Stack, programs};
use serde_json::{Value, json};

/// How long all of it may take to have data.
const PATIENCE: Duration = Duration::from_secs(60);
const START_NS: i64 = 1_772_323_200_000_000_000;
/// What only something that must not happen here gives a series to. `internal/process/tests/partition.rs` sees it.
const UNSEEN: &str = "loglake_partition_halted";

#[tokio::test]
async fn every_panel_and_every_rule_has_data_from_a_real_stack_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("LOGLAKE_INSECURE", "true"),
        ("LOGLAKE_METRICS_TENANTS", "1"),
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "2s"),
        ("LOGLAKE_LIMITS_STORED_BYTES", "1TiB"),
        ("LOGLAKE_PROCESSOR_TAIL_HOLD", "1s"),
        ("LOGLAKE_BROKER_PARTITIONS", "4"),
    ];
    let stack = Stack::start(folder.path(), &env);
    let mut roles = ["ingestor", "processor", "query"].map(|role| stack.role(role, role));
    // The only one that has a disk.
    let dev = Dev::start(&folder.path().join("dev"), &env).await;
    for role in &mut roles {
        role.wait_ready().await;
    }
    let (_secured, scrape_secured) = secured(folder.path());
    let [ingestor, processor, query] = &mut roles;
    for (role, address) in
        [("ingestor", &ingestor.metrics), ("processor", &processor.metrics), ("query", &query.metrics)]
    {
        assert_eq!(health(role, address), (Some(0), "ready".to_owned()));
    }

    let prometheus = Prometheus::start(
        &folder.path().join("prometheus"),
        &(configuration(&[
            ("8081", &[&ingestor.metrics, &format!("http://127.0.0.1:{}", dev.ports.metrics[0])]),
            ("8082", &[&processor.metrics, &format!("http://127.0.0.1:{}", dev.ports.metrics[1])]),
            ("8083", &[&query.metrics, &format!("http://127.0.0.1:{}", dev.ports.metrics[2])]),
            ("29000", &[&stack.minio.address()]),
        ]) + &scrape_secured),
    )
    .await;
    let load = Load::new(START_NS);
    let sending = load.run(&ingestor.grpc, &ingestor.http, Size { records: 20, bytes: 200 });
    let stop = Arc::new(AtomicBool::new(false));
    let asking = [(ingestor.http.clone(), query.http.clone()), (dev.ports.ingest_url(), dev.ports.query_url())]
        .map(|(ingest, query)| tokio::spawn(ask(Client::new(ingest), Client::new(query), Arc::clone(&stop))));

    let wanted = wanted(&prometheus).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut empty = Vec::new();
        for (place, expr) in &wanted {
            let samples = prometheus.query(expr).await.unwrap_or_else(|error| panic!("{place}: {error}\n{expr}"));
            if samples.iter().all(|sample| sample.value.is_nan()) {
                empty.push(format!("{place}: {expr}"));
            }
        }
        if empty.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "still without data:\n{}", empty.join("\n"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    let alerts = prometheus.query("ALERTS{alertstate=\"firing\"}").await.unwrap();
    assert!(alerts.is_empty(), "nothing is wrong here: {alerts:?}");
    for rule in prometheus.rules().await {
        assert_eq!((&rule["health"], &rule["lastError"]), (&json!("ok"), &Value::Null), "{rule}");
    }
    the_figures_are_right(&prometheus, &load).await;
    names_are_those_of_metrics(&prometheus, &wanted).await;

    stop.store(true, Ordering::Relaxed);
    for one in asking {
        one.await.unwrap();
    }
    sending.stop().await;
    ingestor.process.stop().await;
    assert_eq!(health("ingestor", &ingestor.metrics).0, Some(1), "nothing listens there any more");
    for role in [processor, query] {
        role.process.stop().await;
    }
}

/// What is shown is what was done, within the seconds that a scrape is late.
async fn the_figures_are_right(prometheus: &Prometheus, load: &Load) {
    let one = async |expr: &str| -> f64 {
        let samples = prometheus.query(expr).await.unwrap();
        assert_eq!(samples.len(), 1, "{expr}: {samples:?}");
        samples[0].value
    };
    // Of two tenants one has a name, as `metrics.tenants` says.
    let tenants = prometheus.query("sum by (tenant) (loglake_ingest_tenant_records_total) > 0").await.unwrap();
    let names: BTreeSet<&str> = tenants.iter().filter_map(|tenant| tenant.labels["tenant"].as_str()).collect();
    assert!(names.len() == 2 && names.contains("_other"), "{names:?}");
    assert!(names.iter().all(|name| *name == "_other" || TENANTS.contains(name)), "{names:?}");
    // A scrape may come between one count and the other of a batch.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let unnamed = one("sum(loglake_ingest_records_total) - sum(loglake_ingest_tenant_records_total)").await;
        if unnamed.abs() < f64::EPSILON {
            break;
        }
        assert!(Instant::now() < deadline, "{unnamed} records are of no tenant");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let all = one("sum(loglake_ingest_records_total)").await;
    let sent = load.sent() as f64;
    assert!(all > 0.0 && all <= sent * 1.1 + 1_000.0, "{all} of about {sent}");
    assert!(one("cluster:loglake_process_lag_seconds:max").await < 30.0);
    assert!(one("count(loglake_build_info)").await as u32 == 7, "three roles, three of `dev`, one by TLS");
}

/// Each metric that is asked for is one that was scraped: a misspelt name in one leg of an `or` would never be noticed.
async fn names_are_those_of_metrics(prometheus: &Prometheus, wanted: &[(String, String)]) {
    let scraped =
        prometheus.query("count by (__name__) ({__name__=~\"(loglake|process|minio|cluster|instance|code).*\"})").await;
    let scraped: Vec<Sample> = scraped.unwrap();
    let scraped: BTreeSet<&str> = scraped.iter().filter_map(|sample| sample.labels["__name__"].as_str()).collect();
    for (place, expr) in wanted {
        let words = expr.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_:".contains(letter)));
        for word in words
            .filter(|word| ["loglake_", "minio_", "cluster:", "instance:"].iter().any(|start| word.starts_with(start)))
        {
            assert!(word == UNSEEN || scraped.contains(word), "{place} asks for {word}, which is no metric");
        }
    }
}

/// Everything to evaluate: where it stands, and the expression with its variables filled in.
async fn wanted(prometheus: &Prometheus) -> Vec<(String, String)> {
    let mut wanted = Vec::new();
    let folder = programs::root().join("deploy/grafana/dashboards");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
            for target in panel["targets"].as_array().unwrap() {
                let place = format!("{} / {} / {}", dashboard["title"], panel["title"], target["legendFormat"]);
                wanted.push((place, filled_in(target["expr"].as_str().unwrap())));
            }
        }
        let mark = &dashboard["annotations"]["list"][0];
        let expr = mark["expr"].as_str().unwrap();
        prometheus.query(expr).await.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    assert!(wanted.len() > 80, "{} queries", wanted.len());
    let (mut recording, mut alerting) = (0, 0);
    for rule in prometheus.rules().await {
        let (name, expr) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        if rule["type"] == "recording" {
            recording += 1;
            wanted.push((format!("rule {name}"), name.to_owned()));
        } else {
            alerting += 1;
            wanted.push((format!("alert {name}"), compared(expr)));
        }
    }
    assert!(recording >= 15 && alerting >= 15, "{recording} recording, {alerting} alerting rules");
    wanted
}

/// The expression of a panel, as Grafana would send it.
fn filled_in(expr: &str) -> String {
    let mut expr = expr.to_owned();
    let values =
        [("$__rate_interval", "15s"), ("$__range", "5m"), ("$instance", ".+"), ("$tenant", ".+"), ("$top", "10")];
    for (variable, value) in values {
        expr = expr.replace(variable, value);
    }
    assert!(!expr.contains('$'), "a variable is not known here: {expr}");
    expr
}

/// The expression of an alert, so that it has a value also while the alert does not fire: comparisons give 0 or 1, and what must not be
/// absent is counted.
fn compared(expr: &str) -> String {
    let mut expr = expr.replace("absent(", "count(");
    for sign in [" == ", " > ", " < "] {
        expr = expr.replace(sign, &format!("{sign}bool "));
    }
    expr
}

/// `deploy/prometheus/local.yml` with these addresses in the place of its own, by their ports, and faster.
fn configuration(targets: &[(&str, &[&str])]) -> String {
    let folder = programs::root().join("deploy/prometheus");
    let mut text = std::fs::read_to_string(folder.join("local.yml")).unwrap();
    for (port, addresses) in targets {
        let (place, addresses) = (format!("127.0.0.1:{port}"), addresses.join(", ").replace("http://", ""));
        assert_eq!(text.matches(&place).count(), 1, "{place}");
        text = text.replace(&place, &addresses);
    }
    assert_eq!(text.matches(": 5s").count(), 2);
    text.replace(": 5s", ": 1s").replace("rules/*.yml", &format!("{}/rules/*.yml", folder.display()))
}

/// A server on TLS, the only one that has a certificate, and the job that scrapes its ingestor.
fn secured(folder: &Path) -> (Dev, String) {
    let (certs, config) = (folder.join("certs"), folder.join("secured.toml"));
    let made = Command::new(programs::loglake()).args(["certs", "dev", "--out"]).arg(&certs).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(&config, made.stdout).unwrap();
    let dev = Dev::launch(&[], &folder.join("secured"), &[("LOGLAKE_CONFIG", config.to_str().unwrap())]);
    let tls = format!("{{ca_file: {}}}", certs.join("ca.pem").display());
    let target = format!("127.0.0.1:{}", dev.ports.metrics[0]);
    let job = format!(
        "\n  - job_name: loglake-secured\n    scheme: https\n    tls_config: {tls}\n    static_configs: [{{targets: ['{target}']}}]\n"
    );
    (dev, job)
}

/// Sends what is refused, and asks in every way there is, until told to stop.
async fn ask(ingest: Client, query: Client, stop: Arc<AtomicBool>) {
    let line = |n: usize| json!({"service": "shop", "level": "error", "message": format!("payment {n} timed out"), "trace_id": format!("{n:032x}")});
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let tenant = TENANTS[n % 2];
        let body = format!("{}\n{{\"message\": \"of no service\"}}\n", line(n));
        ingest.clone().tenant(tenant).post_typed("/v1/ingest", "application/x-ndjson", body).await;
        let query = query.clone().tenant(tenant);
        for body in [
            json!({"contains": "timed out", "limit": 5}),
            json!({"contains": "not in any record", "limit": 5}),
            json!({"trace_id": format!("{:032x}", n / 2), "limit": 5}),
            json!({"service": "shop", "level": "error", "limit": 500}),
        ] {
            query.post("/v1/query", body.to_string()).await;
        }
        query
            .post("/v1/aggregate", json!({"step": "5m", "group_by": ["level"], "icontains": "PAYMENT"}).to_string())
            .await;
        query.get("/v1/services").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What `loglake health` says of a role whose metrics are at `address`: its exit code, and what it names.
fn health(role: &str, address: &str) -> (Option<i32>, String) {
    let set = format!("metrics.{role}_listen={}", address.trim_start_matches("http://"));
    let output = Command::new(programs::loglake())
        .args(["health", "--role", role, "--set", &set])
        .envs([
            ("KAFKA_BROKERS", "127.0.0.1:1"),
            ("REDIS_ADDR", "127.0.0.1:1"),
            ("S3_BUCKET", "none"),
            ("LOGLAKE_CLUSTER_SECRET", "a secret that is long enough to be taken"),
        ])
        .current_dir(Path::new("/"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches(&format!("{role}: ")).to_owned();
    (output.status.code(), said)
}
