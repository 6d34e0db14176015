//! What `deploy/` holds, checked by the programs that read it: docker-compose, promtool, amtool; and by what they cannot know.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use loglake_integration::{programs, prometheus};
use serde_json::Value;

fn deploy(path: &str) -> PathBuf {
    programs::root().join("deploy").join(path)
}

fn read(path: &str) -> String {
    let path = deploy(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Files of a folder below `deploy` that end in `ending`.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(deploy(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

/// Runs `stack.sh` with `arguments` on the settings in `env`.
fn stack(env: &Path, arguments: &[&str]) -> Output {
    Command::new(deploy("compose/stack.sh")).args(arguments).env("LOGLAKE_COMPOSE_ENV", env).output().unwrap()
}

/// What docker-compose makes of the file with the settings in `env`.
fn composed(env: &Path) -> Output {
    programs::tools(&["compose"]);
    let mut command = Command::new("docker-compose");
    for name in ["MINIO_ROOT_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "LOGLAKE_CLUSTER_SECRET", "BIND"] {
        command.env_remove(name);
    }
    command.arg("--env-file").arg(env).arg("-f").arg(deploy("compose/compose.yml"));
    command.args(["--profile", "demo", "config"]).output().unwrap()
}

/// The services of a composed file by name: their lines.
fn services(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut services: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last = None;
    for line in text.lines().skip_while(|line| *line != "services:").skip(1).take_while(|line| line.starts_with(' ')) {
        match line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) {
            Some(name) => last = Some(name.trim_end_matches(':').to_owned()),
            None => services.entry(last.clone().unwrap()).or_default().push(line.trim().to_owned()),
        }
    }
    services
}

#[test]
fn the_compose_file_is_sound_and_opens_nothing_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let env = folder.path().join("env");
    std::fs::write(&env, "MINIO_ROOT_USER=loglake\n").unwrap();
    let without = composed(&env);
    assert!(
        !without.status.success() && said(&without).contains("is not set; make up writes .env"),
        "{}",
        said(&without)
    );

    std::fs::remove_file(&env).unwrap();
    assert!(stack(&env, &["env"]).status.success());
    assert_eq!(std::fs::metadata(&env).unwrap().permissions().mode() & 0o777, 0o600);
    let output = composed(&env);
    assert!(output.status.success(), "{}", said(&output));
    let services = services(&String::from_utf8(output.stdout).unwrap());
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    let all = [
        "alertmanager",
        "bucket",
        "demo",
        "grafana",
        "ingestor",
        "kafka",
        "minio",
        "processor",
        "prometheus",
        "query",
        "redis",
    ];
    assert_eq!(names, all);
    for (name, lines) in &services {
        let has = |text: &str| lines.iter().any(|line| line == text);
        let image = lines.iter().find_map(|line| line.strip_prefix("image: ")).unwrap();
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest" && !tag.is_empty()), "{name}: {image}");
        for port in lines.iter().filter(|line| line.ends_with("/tcp")) {
            assert!(port.starts_with("- 127.0.0.1:"), "{name}: {port}");
        }
        assert!(has("healthcheck:") || name == "bucket", "{name} has no health-check");
        assert!(has("restart: unless-stopped") || name == "bucket", "{name}");
        if image.starts_with("loglake:") {
            assert!(has("read_only: true") && has("- ALL") && has("- no-new-privileges:true"), "{name}: {lines:?}");
        }
        for role in ["ingestor", "processor", "query"].iter().filter(|role| *role == name) {
            let check = ["- /usr/bin/loglake", "- health", "- --role", &format!("- {role}")];
            assert!(check.iter().all(|word| has(word)), "{name}: {lines:?}");
            assert!(has("condition: service_healthy"), "{name} does not wait for what it needs");
        }
    }
    // The configuration of each role is one that the role takes.
    for role in ["ingestor", "processor", "query"] {
        let environment = services[role].iter().skip_while(|line| *line != "environment:").skip(1);
        let pairs = environment.map_while(|line| line.split_once(": ")).filter(|(_, value)| *value != "null");
        let pairs: Vec<(&str, &str)> = pairs.map(|(name, value)| (name, value.trim_matches(['"', '\'']))).collect();
        assert!(pairs.len() > 8, "{role}: {pairs:?}");
        let output = Command::new(programs::loglake())
            .args(["config", "check", "--role", role])
            .env_clear()
            .envs(pairs)
            .output()
            .unwrap();
        assert!(output.status.success(), "{role}: {}", said(&output));
    }
}

#[test]
fn passwords_are_made_once_and_an_open_lake_stays_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let env = folder.path().join(name);
        assert!(stack(&env, &["env"]).status.success());
        (std::fs::read_to_string(&env).unwrap(), env)
    };
    let ((first, env), (second, _)) = (made("first"), made("second"));
    let secrets = |text: &str| -> Vec<String> {
        let is_secret = |line: &&str| line.contains("PASSWORD=") || line.contains("SECRET=");
        text.lines().filter(is_secret).map(|line| line.split_once('=').unwrap().1.to_owned()).collect()
    };
    let all: BTreeSet<String> = secrets(&first).into_iter().chain(secrets(&second)).collect();
    assert!(all.len() == 8 && all.iter().all(|secret| secret.len() == 48), "{all:?}");
    assert!(stack(&env, &["env"]).status.success());
    assert_eq!(std::fs::read_to_string(&env).unwrap(), first, "what is there stays");

    let open = first.replace("BIND=127.0.0.1", "BIND=0.0.0.0");
    std::fs::write(&env, &open).unwrap();
    let refused = stack(&env, &["up"]);
    assert!(!refused.status.success() && said(&refused).contains("LOGLAKE_INSECURE=false"), "{}", said(&refused));
    let closed = open.replace("LOGLAKE_INSECURE=true", "LOGLAKE_INSECURE=false\nLOGLAKE_AUTH_TOKENS='[{id=\"a\"}]'");
    std::fs::write(&env, closed).unwrap();
    assert!(stack(&env, &["env"]).status.success());
}

#[test]
fn the_image_has_one_user_without_rights_and_needs_no_shell() {
    let text = read("Dockerfile");
    let last = text.rsplit_once("\nFROM ").unwrap().1;
    let instruction = |name: &str| last.lines().filter_map(|line| line.trim().strip_prefix(name)).collect::<Vec<_>>();
    assert_eq!(instruction("USER "), ["65532:65532"]);
    assert_eq!(instruction("RUN "), [""; 0], "there is no shell to run it");
    for (name, of) in [("ENTRYPOINT", instruction("ENTRYPOINT ")), ("CMD", instruction("CMD "))] {
        assert!(of.len() == 1 && serde_json::from_str::<Vec<String>>(of[0]).is_ok(), "{name}: {of:?}");
    }
    let health = instruction("HEALTHCHECK ")[0].split_once("CMD ").unwrap().1;
    let health: Vec<String> = serde_json::from_str(health).unwrap();
    assert_eq!(health, ["/usr/bin/loglake", "health"]);
    for image in text.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        assert!(image.contains(':') && !image.contains("latest"), "{image}");
    }
    // The features that the Makefile builds a release with.
    assert!(text.contains(
        "cargo build --release --locked -p loglake -p loglakectl -p loglake-agent --bins --features loglake/isal"
    ));
    // Every folder that the build needs goes to the engine.
    let sent = read("Dockerfile.dockerignore");
    let manifest = std::fs::read_to_string(programs::root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    for member in members.trim_end_matches(']').split(", ") {
        let top = member.trim_matches('"').split('/').next().unwrap();
        assert!(sent.lines().any(|line| line == format!("!{top}")), "{top}");
    }
}

#[test]
fn the_rules_of_prometheus_are_tested_and_explained() {
    let run = |program: &str, arguments: &[&str], files: &[PathBuf]| {
        let output = Command::new(prometheus::program(program)).args(arguments).args(files).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output));
    };
    let tests = files("prometheus/tests", ".yml");
    run("promtool", &["check", "config"], &[deploy("prometheus/prometheus.yml"), deploy("prometheus/local.yml")]);
    run("promtool", &["test", "rules"], &tests);
    run("amtool", &["check-config"], &[deploy("prometheus/alertmanager.yml")]);

    let tests: String = tests.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let page = std::fs::read_to_string(programs::root().join("docs/operations.md")).unwrap();
    let rules = read("prometheus/rules/alerts.yml");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 15);
    for alert in &alerts {
        // Once where it fires, and once where it does not; some of them never end.
        assert!(tests.matches(&format!("alertname: {alert}\n")).count() >= 1, "{alert} is never seen to fire");
        assert!(page.contains(&format!("\n### {alert}\n")), "docs/operations.md has no line on {alert}");
        let link = format!("runbook: docs/operations.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&link), "{alert} does not lead to its line");
    }
    let explained = page.lines().filter_map(|line| line.strip_prefix("### "));
    assert_eq!(explained.collect::<BTreeSet<_>>(), alerts.into_iter().collect());
}

#[test]
fn dashboards_are_described_have_units_and_lead_to_each_other() {
    let check = Command::new("python3").arg(deploy("grafana/generate.py")).arg("--check").output().unwrap();
    assert!(check.status.success(), "{}", said(&check));
    let dashboards: Vec<Value> = files("grafana/dashboards", ".json")
        .iter()
        .map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect();
    let uids: BTreeSet<&str> = dashboards.iter().map(|dashboard| dashboard["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), dashboards.len());
    for dashboard in &dashboards {
        let title = dashboard["title"].as_str().unwrap();
        assert_eq!(dashboard["links"][0]["tags"], dashboard["tags"], "{title} leads to the others");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{title}");
        let mut taken = BTreeSet::new();
        for panel in panels {
            let place = format!("{title} / {}", panel["title"]);
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            for cell in (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y))) {
                assert!(cell.0 < 24 && taken.insert(cell), "{place} lies on another panel");
            }
            if panel["type"] == "row" {
                continue;
            }
            let text = panel["description"].as_str().unwrap();
            assert!(text.len() >= 20 && text.ends_with(['.', '`']), "{place}: {text}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!defaults["unit"].as_str().unwrap().is_empty() && defaults["noValue"] == "no data", "{place}");
            for target in panel["targets"].as_array().unwrap() {
                assert!(!target["legendFormat"].as_str().unwrap().is_empty(), "{place}");
            }
            for link in panel["links"].as_array().into_iter().flatten() {
                let uid = link["url"].as_str().unwrap().strip_prefix("/d/").unwrap().split('?').next().unwrap();
                assert!(uids.contains(uid) && uid != dashboard["uid"], "{place} leads to {uid}");
            }
        }
    }
}
