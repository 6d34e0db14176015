//! The program as people start it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

/// Runs it with no environment but `env`.
fn loglake(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loglake"));
    command.args(args).env_clear().envs(env.iter().copied()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes UTF-8")
}

#[test]
fn it_says_its_version_and_teaches() {
    let version = text(&loglake(&["--version"], &[]).stdout);
    assert_eq!(version.trim(), format!("loglake {}", env!("CARGO_PKG_VERSION")));
    let help = text(&loglake(&["--help"], &[]).stdout);
    for word in ["dev", "ingestor", "processor", "query", "health", "config", "token", "admin", "Examples:", "curl"] {
        assert!(help.contains(word), "{word} is missing:\n{help}");
    }
}

#[test]
fn a_wrong_configuration_exits_with_64_and_lists_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loglake.toml");
    std::fs::write(&file, "cluster = \"\"\n[query]\ntimeout = \"soon\"\n").unwrap();
    let path = file.to_str().unwrap();
    for command in [&["dev", "--config", path][..], &["config", "check", "--config", path]] {
        let output = loglake(command, &[("LOGLAKE_NONSENSE", "1")]);
        assert_eq!(output.status.code(), Some(64));
        let said = text(&output.stderr);
        for part in [&*format!("{path}:1: cluster"), &format!("{path}:3: query.timeout"), "LOGLAKE_NONSENSE"] {
            assert!(said.contains(part), "{part} is missing:\n{said}");
        }
    }
    // The variable names the file as well as the flag does.
    assert_eq!(loglake(&["config", "check"], &[("LOGLAKE_CONFIG", path)]).status.code(), Some(64));
    assert_eq!(loglake(&["processor"], &[]).status.code(), Some(64));
    assert_eq!(loglake(&["token", "new", "--tenant", "../a", "--scopes", "query"], &[]).status.code(), Some(64));
    assert_eq!(loglake(&["no-such-role"], &[]).status.code(), Some(64));
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let env = [("LOGLAKE_CLUSTER_SECRET", "0123456789abcdef0123456789abcdef"), ("REDIS_ADDR", "redis://a:hunter2@b:1")];
    let output = loglake(&["config", "show", "--set", "query.timeout=7s"], &env);
    let shown = text(&output.stdout);
    assert!(output.status.success() && !shown.contains("0123456789") && !shown.contains("hunter2"), "{shown}");
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("query.timeout").contains("7s") && line("query.timeout").ends_with("# --set"), "{shown}");
    assert!(line("cluster_secret ").ends_with("# LOGLAKE_CLUSTER_SECRET"), "{shown}");
}

#[test]
fn a_new_tokens_row_is_taken_by_the_configuration() {
    let made = loglake(
        &["token", "new", "--tenant", "acme", "--scopes", "ingest,query", "--expires", "2040-01-01T00:00:00Z"],
        &[],
    );
    assert!(made.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loglake.toml");
    std::fs::write(&file, &made.stdout).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let checked = loglake(&["config", "show", "--config", file.to_str().unwrap()], &[]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("1 token"));
    assert!(text(&made.stdout).contains("#   ll_"));
}

#[test]
fn a_data_folder_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("format"), "2\n").unwrap();
    let output = loglake(&["dev", "--data", folder.path().to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("format 2 is newer"), "{}", text(&output.stderr));
}

#[cfg(feature = "failpoints")]
#[test]
fn a_fail_point_that_there_is_not_is_refused_with_the_list() {
    let output = loglake(&["config", "check"], &[("LOGLAKE_FAILPOINTS", "flush.no_such=kill")]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(said.contains("LOGLAKE_FAILPOINTS") && said.contains("flush.applied"), "{said}");
    assert!(loglake(&["config", "check"], &[("LOGLAKE_FAILPOINTS", "flush.applied=kill@3")]).status.success());
}

#[cfg(not(feature = "failpoints"))]
#[test]
fn a_program_without_fail_points_refuses_their_variable() {
    let output = loglake(&["config", "check"], &[("LOGLAKE_FAILPOINTS", "flush.applied=kill@3")]);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn admin_commands_teach_and_say_what_to_do() {
    for (command, words) in [
        (&["admin", "fsck", "--help"][..], &["--deep", "--repair", "Examples:", "Exits with", "--data DIR"][..]),
        (&["admin", "reindex", "--help"], &["--partition", "Examples:", "queries go on"]),
        (&["admin", "flush", "--help"], &["--wait", "Examples:", "cluster secret"]),
        (&["admin", "quarantine", "redrive", "--help"], &["--dry-run", "Examples:", "goes in once"]),
    ] {
        let said = loglake(command, &[]);
        let help = text(&said.stdout);
        assert!(said.status.success() && words.iter().all(|word| help.contains(word)), "{command:?}:\n{help}");
    }
    // A folder that is none is not made, and it is said what to give instead.
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    let said = loglake(&["admin", "fsck", "--data", none.to_str().unwrap()], &[]);
    assert_eq!(said.status.code(), Some(2));
    assert!(text(&said.stderr).contains("name one with --data, or a cluster with --config") && !none.exists());
    // A cluster that is only half configured.
    let said = loglake(&["admin", "fsck"], &[("S3_BUCKET", "logs")]);
    assert_eq!(said.status.code(), Some(64));
    assert!(text(&said.stderr).contains("index.addr") && !text(&said.stderr).contains("broker.brokers"));
    assert_eq!(loglake(&["admin", "flush", "--wait", "soon"], &[]).status.code(), Some(64));
}

#[test]
fn health_says_who_cannot_serve_and_teaches() {
    let help = text(&loglake(&["health", "--help"], &[]).stdout);
    for words in ["--role", "--live", "Exits with 0", "Examples:", "healthcheck:", "loopback"] {
        assert!(help.contains(words), "{words} is missing:\n{help}");
    }
    // A role that answers is asked at the address that its configuration names, whatever listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let set = format!("metrics.query_listen=0.0.0.0:{}", listener.local_addr().unwrap().port());
    let answers = std::thread::spawn(move || {
        for answer in ["200 OK\r\n\r\nready\n", "503 Service Unavailable\r\n\r\nwaiting for query\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = std::io::Read::read(&mut stream, &mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /ready HTTP/1.0\r\n"));
            std::io::Write::write_all(&mut stream, format!("HTTP/1.0 {answer}").as_bytes()).unwrap();
        }
    });
    let env = [
        ("KAFKA_BROKERS", "k:1"),
        ("REDIS_ADDR", "r:1"),
        ("S3_BUCKET", "b"),
        ("LOGLAKE_CLUSTER_SECRET", "0123456789abcdef0123456789abcdef"),
    ];
    let asked = || loglake(&["health", "--role", "query", "--set", &set], &env);
    let ready = asked();
    assert!(ready.status.success() && text(&ready.stdout) == "query: ready\n", "{ready:?}");
    let waiting = asked();
    assert_eq!((waiting.status.code(), text(&waiting.stdout)), (Some(1), "query: waiting for query\n".to_owned()));
    answers.join().unwrap();
    let gone = asked();
    assert_eq!(gone.status.code(), Some(1));
    assert!(text(&gone.stderr).contains("query does not answer at 127.0.0.1:"), "{gone:?}");
    let incomplete = loglake(&["health", "--role", "query"], &[]);
    assert_eq!(incomplete.status.code(), Some(64));
    assert_eq!(loglake(&["health", "--timeout", "0"], &[]).status.code(), Some(64));
}
