//! What the programs here have in common on their command lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use loglake_agent::thousands;

use crate::corpus::{self, Corpus, Kind};
use crate::stack::Stack;

/// Where the server and its data are.
#[derive(Clone, Debug, clap::Args)]
pub struct Site {
    /// The server's program, built for release.
    #[arg(long, default_value = "target/release/loglake", value_name = "FILE")]
    pub server: PathBuf,
    /// Where data folders are made; the disk that is measured [default: the folder of temporary files].
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Three roles on real Kafka, Redis and MinIO, which are installed and started for it, instead of `loglake dev`.
    #[arg(long)]
    pub stack: bool,
    /// The folder of the scripts that install and start those servers.
    #[arg(long, default_value = "test/tools", value_name = "DIR")]
    pub tools: PathBuf,
}

/// What the records are made of.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Seed {
    /// Decides the corpus and every other draw.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// The folder of the Loghub samples.
#[derive(Clone, Debug, clap::Args)]
pub struct Loghub {
    /// The folder of the Loghub samples.
    #[arg(long, default_value = "test/data/loghub", value_name = "DIR")]
    pub loghub: PathBuf,
}

impl Site {
    /// The server's program, checked to be there.
    ///
    /// # Errors
    /// It is not there; says how to build it.
    pub fn binary(&self) -> anyhow::Result<PathBuf> {
        program(&self.server)
    }

    /// Where data folders are made.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// Starts the real servers if they are wanted, their data in `folder`.
    ///
    /// # Errors
    /// They do not start; with what their script said.
    pub fn stack(&self, folder: &Path) -> anyhow::Result<Option<Stack>> {
        if self.stack { Stack::start(&self.tools, folder).map(Some) } else { Ok(None) }
    }

    /// A folder for the data of real servers, removed when it is dropped: after them.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self) -> anyhow::Result<tempfile::TempDir> {
        let scratch = self.scratch();
        let folder = tempfile::Builder::new().prefix("loglake-stack-").tempdir_in(&scratch);
        folder.with_context(|| format!("making a folder in {}: name another disk with --scratch", scratch.display()))
    }
}

/// A program, checked to be there, by its whole path.
///
/// # Errors
/// It is not there; says how to build it.
pub fn program(path: &Path) -> anyhow::Result<PathBuf> {
    ensure!(
        path.is_file(),
        "there is no server at {}: build it with `cargo build --release -p loglake`, or name it with --server",
        path.display()
    );
    path.canonicalize().with_context(|| format!("finding {}", path.display()))
}

/// Makes a corpus, and says so.
///
/// # Errors
/// The samples cannot be read.
pub fn corpus(kind: Kind, records: u64, seed: u64, loghub: &Path) -> anyhow::Result<Arc<Corpus>> {
    eprintln!("making {} records of the {} corpus", thousands(records), kind.name());
    let made = Corpus::make(corpus::Settings { kind, records, seed }, loghub);
    let made = made.with_context(|| "no corpus: run this in the repository, or name the samples with --loghub")?;
    Ok(Arc::new(made))
}

/// Writes `value` as JSON to the file at `path`; `-` is standard output.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("rendering JSON")?;
    if path.as_os_str() == "-" {
        println!("{text}");
        return Ok(());
    }
    std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
}
