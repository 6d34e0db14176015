//! The programs of the bench tell how they are used, and what to do about a mistake.

use std::process::{Command, Output};

const PROGRAMS: [&str; 3] =
    [env!("CARGO_BIN_EXE_loglake-bench"), env!("CARGO_BIN_EXE_loglake-load"), env!("CARGO_BIN_EXE_loglake-scale")];

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().expect("it starts")
}

fn complaint(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    assert!(!output.status.success(), "{program} {args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_shows_examples() {
    for program in PROGRAMS {
        let output = run(program, &["--help"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("Examples:"), "{program}: {text}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named_with_how_to_build_it() {
    let loghub = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/loghub");
    let common = ["--server", "no-such-server", "--loghub", loghub, "--records"];
    let [bench, load, scale] = PROGRAMS;
    let cases: [(&str, &[&str]); 4] = [(bench, &[]), (load, &["ingest"]), (load, &["query"]), (scale, &["tenants"])];
    for (program, first) in cases {
        let said = complaint(program, &[first, &common, &["1000"]].concat());
        assert!(
            said.contains("no-such-server") && said.contains("cargo build --release -p loglake"),
            "{program}: {said}"
        );
    }
}

#[test]
fn a_running_server_needs_all_of_its_addresses() {
    let said = complaint(PROGRAMS[1], &["ingest", "--grpc-url", "http://127.0.0.1:1"]);
    assert!(said.contains("--http-url") && said.contains("--query-url"), "{said}");
    assert!(complaint(PROGRAMS[1], &["ingest", "--rate", "0"]).contains("between 0.1"));
}
