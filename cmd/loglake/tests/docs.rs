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
fn every_finding_of_a_check_is_documented_and_no_other() {
    let source = read("internal/admin/src/fsck/finding.rs");
    let variants =
        source.split_once("pub enum Code {").expect("the list of codes").1.split_once("\n}").expect("its end").0;
    let kebab = |name: &str| {
        let mut text = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.push(letter.to_ascii_lowercase());
        }
        text
    };
    let is_variant = |line: &&str| line.ends_with(',') && !line.starts_with("//");
    let codes = variants.lines().map(str::trim).filter(is_variant).map(|line| kebab(line.trim_end_matches(',')));
    let page = read("docs/admin.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | ")).map(|(codes, _)| codes);
    let cells = rows.flat_map(|codes| codes.split(", ")).map(|code| code.trim_matches('`').to_owned());
    let is_command =
        |cell: &String| ["fsck", "reindex", "flush", "quarantine"].iter().any(|word| cell.starts_with(word));
    let in_page: std::collections::BTreeSet<String> =
        cells.filter(|cell| !is_command(cell) || cell.starts_with("quarantine-")).collect();
    assert_eq!(in_page, codes.collect());
}

#[test]
fn every_make_target_has_its_line_of_help() {
    let makefile = read("Makefile");
    let targets = "run test check fmt lint bench proto build generate-logs stack stack-down up down logs dashboards \
                   run-ingestor run-processor run-query test-integration clean help";
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
        "docs/admin.md",
        "docs/operations.md",
        "docs/configuration.md",
        "docs/errors.md",
        "docs/chunk-format.md",
        "docs/commit-protocol.md",
        "docs/security.md",
        "SECURITY.md",
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

#[test]
fn every_call_is_documented_with_what_it_asks_for_and_no_other() {
    use loglake_auth::{Access, ROUTES, Surface};
    let page = read("docs/security.md");
    let rows =
        page.split_once("<!-- calls:").expect("the table").1.split_once("<!-- end of calls -->").expect("its end").0;
    let in_page: Vec<&str> = rows.lines().skip(1).collect();
    let listed = ROUTES.iter().map(|route| {
        let listener = match route.surface {
            Surface::IngestHttp => "ingest.http_listen",
            Surface::IngestGrpc => "ingest.grpc_listen",
            Surface::QueryHttp => "query.listen",
        };
        let asks = match route.access {
            Access::Public => "nothing".to_owned(),
            Access::Closed => "nobody may".to_owned(),
            Access::AnyOf(scopes) => scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(" or "),
        };
        format!("| `{listener}` | `{} {}` | {asks} |", route.method, route.path)
    });
    assert_eq!(in_page, listed.collect::<Vec<_>>());
}
