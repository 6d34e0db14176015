use std::time::{Duration, Instant};

use loglake_integration::Stack;
use loglake_integration::stack::Role;

use crate::secured::{Certs, ctl, get, https, metric, send};

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn roles_in_processes_of_their_own_reach_each_other_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path().join("certs"), "acme");
    let config = folder.path().join("loglake.toml");
    std::fs::write(&config, &certs.toml).unwrap();
    let stack = Stack::start(folder.path(), &[("LOGLAKE_CONFIG", config.to_str().unwrap())]);
    let mut roles = ["processor", "query", "ingestor"].map(|role| stack.role(role, role));
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_ready = |role: &Role| {
        let answer = https(port(&role.metrics), &certs.path("ca.pem"), None, &get("/ready"));
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    };
    for role in &mut roles {
        while !is_ready(role) {
            let ended = role.process.ended();
            assert!(ended.is_none() && Instant::now() < deadline, "{}: {}", role.role, role.process.log_text());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let [processor, query, ingestor] = &roles;
    let known = certs.args(true);
    let sent = send(&certs, &format!("https://localhost:{}", port(&ingestor.grpc)), &known, "payment timeout");
    assert_eq!(sent.code, 0, "{sent:?}");
    let found = ctl(port(&query.http), &known, &["query", "--contains", "timeout", "--json"]);
    assert!(found.code == 0 && found.out.contains("payment timeout"), "{found:?}");
    let asked = |series: &str| metric(port(&query.metrics), &certs, series);
    assert!(asked("loglake_query_owners_total{outcome=\"answered\"}") >= 1.0, "{}", processor.process.log_text());
    assert_eq!(asked("loglake_query_tail_fallbacks_total"), 0.0);
}
