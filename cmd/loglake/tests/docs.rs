//! What the documentation lists must be what there is.

use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_error_code_is_documented_and_no_other() {
    let source = read("internal/model/src/fault.rs");
    let in_source = source.lines().filter_map(|line| line.split_once("=> \"")?.1.split_once('"').map(|(code, _)| code));
    let page = read("docs/errors.md");
    let codes = page.split_once("## Codes").expect("the page has its list").1;
    let in_page = codes.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(code, _)| code));
    assert_eq!(in_page.collect::<Vec<_>>(), in_source.collect::<Vec<_>>());
}

#[test]
fn every_make_target_has_its_line_of_help() {
    let makefile = read("Makefile");
    let targets = "run test check fmt lint bench proto build generate-logs stack stack-down run-ingestor run-processor \
                   run-query test-integration clean help";
    for target in targets.split_whitespace() {
        let is_explained =
            makefile.lines().any(|line| line.starts_with(&format!("{target}: ")) && line.contains("## "));
        assert!(is_explained, "{target}");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "deploy/README.md",
        "docs/configuration.md",
        "docs/errors.md",
        "docs/chunk-format.md",
        "docs/commit-protocol.md",
    ] {
        let folder = Path::new(page).parent().expect("a file lies in a folder");
        for link in read(page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = folder.join(link.split('#').next().expect("a first part"));
            let is_there =
                link.starts_with("http") || Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&target).exists();
            assert!(is_there, "{page} links to {link}");
        }
    }
}
