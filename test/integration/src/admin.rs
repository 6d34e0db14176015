//! `loglake admin`, as an operator runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::programs;

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// The standard output.
    pub out: String,
    /// The standard error stream.
    pub err: String,
}

impl Said {
    /// The standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The codes of what a check with `--json` found, in its order.
    #[must_use]
    pub fn codes(&self) -> Vec<String> {
        let findings = self.json()["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().filter_map(|finding| Some(finding["code"].as_str()?.to_owned())).collect()
    }
}

/// Runs `loglake admin` with `args` and only `env` for an environment.
///
/// # Panics
/// When the program cannot be run.
pub fn admin(args: &[&str], env: &[(String, String)]) -> Said {
    let mut command = Command::new(programs::loglake());
    command.arg("admin").args(args).env_clear().envs(env.iter().map(|(key, value)| (key, value)));
    let Output { status, stdout, stderr } = command.output().expect("loglake runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: status.code().unwrap_or(-1), out: text(&stdout), err: text(&stderr) }
}

/// Checks a data folder, every byte of it.
///
/// # Panics
/// When a fault is found or the check cannot be made; with what it said.
pub fn assert_folder_is_clean(data: &Path) {
    let said = admin(&["fsck", "--deep", "--data", data.to_str().expect("a UTF-8 path")], &[]);
    assert!(said.code == 0, "fsck of {} is not clean: {said:?}\n{}", data.display(), said.out);
}
