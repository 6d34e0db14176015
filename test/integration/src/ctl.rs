//! `loglakectl`, as people and scripts run it; and tokens for the configuration, as `loglake token new` makes them.

use std::process::{Command, Output};

use crate::admin::Said;
use crate::programs;

/// A token, and its row for the configuration as an inline TOML table.
#[derive(Clone, Debug)]
pub struct Configured {
    /// What the client sends.
    pub text: String,
    /// The row.
    pub row: String,
}

impl Configured {
    /// Its public name.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text.split('_').nth(1).unwrap_or_default()
    }
}

/// Makes a token of `tenant` with `scopes` (between commas).
///
/// # Panics
/// When the program refuses.
pub fn configured(tenant: &str, scopes: &str) -> Configured {
    let output = Command::new(programs::loglake())
        .args(["token", "new", "--tenant", tenant, "--scopes", scopes])
        .output()
        .expect("loglake runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("it writes UTF-8");
    let text = said.split_whitespace().find(|word| word.starts_with("ll_")).expect("a token").to_owned();
    let row = said.split_once("[[auth.tokens]]").expect("a row").1;
    let fields: Vec<&str> = row.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Configured { text, row: format!("{{ {} }}", fields.join(", ")) }
}

/// The value of `LOGLAKE_AUTH_TOKENS` with the rows of `tokens`.
pub fn rows(tokens: &[&Configured]) -> String {
    format!("[{}]", tokens.iter().map(|token| token.row.as_str()).collect::<Vec<_>>().join(", "))
}

/// Runs `loglakectl` against the query service at `url` with `token`, and nothing else in its environment.
///
/// # Panics
/// When the program cannot be run.
pub fn loglakectl(url: &str, token: &str, args: &[&str]) -> Said {
    let mut command = Command::new(programs::loglakectl());
    command.args(["--url", url]).args(args).env_clear();
    if !token.is_empty() {
        command.env("LOGLAKE_TOKEN", token);
    }
    let Output { status, stdout, stderr } = command.output().expect("loglakectl runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: status.code().unwrap_or(-1), out: text(&stdout), err: text(&stderr) }
}

/// The same, and returns its standard output without the line's end.
///
/// # Panics
/// When it does not end with success; with what it said.
pub fn done(url: &str, token: &str, args: &[&str]) -> String {
    let said = loglakectl(url, token, args);
    assert_eq!(said.code, 0, "{args:?}: {said:?}");
    said.out.trim().to_owned()
}
