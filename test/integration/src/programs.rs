//! The programs under test, built by the same cargo that runs the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's root.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.ancestors().nth(2).expect("the package lies two folders below the root").to_owned()
    })
}

/// The folder of the built programs: `LOGLAKE_TEST_BIN`, or the one that `cargo build` fills now.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("LOGLAKE_TEST_BIN") {
            return folder.into();
        }
        let status = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "-p",
                "loglake",
                "-p",
                "loglake-agent",
                "-p",
                "loglakectl",
                "--all-features",
                "--bins",
            ])
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the programs under test do not build");
        // <target>/<profile>/deps/<this test>, or <target>/<profile>/<this program>
        let this = std::env::current_exe().expect("this test has a path");
        let folder = this.parent().expect("it lies in a folder");
        if folder.ends_with("deps") {
            folder.parent().expect("deps has a parent").to_owned()
        } else {
            folder.to_owned()
        }
    })
}

/// The server.
pub fn loglake() -> PathBuf {
    folder().join("loglake")
}

/// The shipper.
pub fn agent() -> PathBuf {
    folder().join("loglake-agent")
}

/// The client.
pub fn loglakectl() -> PathBuf {
    folder().join("loglakectl")
}

/// Makes sure that the tools named are there (`test/tools/install.sh`), and returns their folder.
///
/// # Panics
/// When they cannot be installed: nothing is skipped.
pub fn tools(names: &[&str]) -> PathBuf {
    let output = Command::new(root().join("test/tools/install.sh")).args(names).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

/// Runs a script of `test/tools` with `args`, and returns what it printed.
///
/// # Panics
/// When it fails; with what it said.
pub fn script(name: &str, args: &[&str]) -> String {
    let output = Command::new(root().join("test/tools").join(name)).args(args).output().expect("bash runs");
    assert!(
        output.status.success(),
        "{name} {args:?} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
