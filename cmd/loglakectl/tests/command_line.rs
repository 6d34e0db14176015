//! The program as people start it.

use std::process::{Command, Output};

fn loglakectl(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loglakectl"));
    command.args(args).env_clear().envs(env.iter().copied()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes UTF-8")
}

#[test]
fn it_says_its_version_and_teaches() {
    let version = text(&loglakectl(&["--version"], &[]).stdout);
    assert_eq!(version.trim(), format!("loglakectl {}", env!("CARGO_PKG_VERSION")));
    let help = text(&loglakectl(&["--help"], &[]).stdout);
    for word in ["query", "tenants", "tokens", "Examples:", "LOGLAKE_TOKEN", "--ca-file"] {
        assert!(help.contains(word), "{word} is missing:\n{help}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_64_and_a_failure_with_1() {
    for args in [&["no-such"][..], &["query", "--limit", "0"], &["tokens", "rotate", "a", "--overlap", "soon"]] {
        assert_eq!(loglakectl(args, &[]).status.code(), Some(64), "{args:?}");
    }
    // Nobody listens on port 9, and the token is not shown.
    let env = [("LOGLAKE_URL", "http://127.0.0.1:9"), ("LOGLAKE_TOKEN", "ll_a_hunter2")];
    let said = loglakectl(&["query"], &env);
    assert_eq!(said.status.code(), Some(1));
    let said = text(&said.stderr);
    assert!(said.contains("http://127.0.0.1:9 cannot be reached") && !said.contains("hunter2"), "{said}");
    for (args, why) in [
        (&["--url", "127.0.0.1:8080", "query"][..], "write http://host:port"),
        (&["--tenant", "../x", "query"], "--tenant"),
        (&["--ca-file", "no/such/file", "query"], "--ca-file no/such/file"),
        (&["tokens", "revoke", "ll_a_hunter2"], "a token's id"),
        (&["tenants", "suspend", "a/b"], "a tenant's name"),
    ] {
        let said = loglakectl(args, &[]);
        assert_eq!(said.status.code(), Some(1), "{args:?}");
        assert!(text(&said.stderr).contains(why), "{args:?}: {}", text(&said.stderr));
    }
}
