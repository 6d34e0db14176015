//! `loglake-bench`: what Loglake costs on this machine, beside gzip alone.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::Parser;
use loglake_load::bench::{self, Settings};
use loglake_load::corpus::{self, Corpus, Kind};
use loglake_load::machine::Machine;
use loglake_load::report::{self, Setting};
use loglake_model::{Clock as _, SystemClock, Timestamp};

/// Measures the server on a seeded corpus: CPU, memory, bytes at rest and latency of queries, beside gzip alone.
///
/// Starts `loglake dev` on free ports and a folder of its own, sends the corpus over gRPC and over HTTP, stops the server so that
/// everything is flushed, and asks the set of queries. Checks that every record was accepted and is there; asserts nothing
/// about time.
#[derive(Debug, Parser)]
#[command(name = "loglake-bench", version, max_term_width = 100)]
struct Args {
    /// The server's program, built for release.
    #[arg(long, env = "LOGLAKE_TEST_BIN", default_value = "target/release/loglake", value_name = "FILE")]
    server: PathBuf,
    /// The folder of the Loghub samples.
    #[arg(long, default_value = "test/data/loghub", value_name = "DIR")]
    loghub: PathBuf,
    /// Where data folders are made; the disk that is measured [default: the folder of temporary files].
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// How many records.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    records: u64,
    /// How many rounds; medians are taken over them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Whether what varies in a line is drawn anew (hard) or repeats (easy).
    #[arg(long, value_enum, default_value = "hard")]
    corpus: Kind,
    /// Decides the corpus.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Puts the figures at the top of the file of results.
    #[arg(long)]
    write: bool,
    /// The file of results.
    #[arg(long, default_value = "test/load/RESULTS.md", value_name = "FILE")]
    results: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(
        args.server.is_file(),
        "there is no server at {}: build it with `cargo build --release -p loglake`, or name it with --server",
        args.server.display()
    );
    let server = args.server.canonicalize().with_context(|| format!("finding {}", args.server.display()))?;
    let corpus = corpus::Settings { kind: args.corpus, records: args.records, seed: args.seed };
    eprintln!("making {} records", loglake_agent::thousands(args.records));
    let corpus = Arc::new(Corpus::make(corpus, &args.loghub)?);
    let settings = Settings {
        binary: server,
        scratch: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        rounds: args.rounds as usize,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let figures = runtime.block_on(bench::run(&settings, &corpus))?;

    let now = Timestamp(SystemClock.now_ns()).to_string();
    let setting = Setting {
        date: now.get(..10).unwrap_or_default().to_owned(),
        command: command(&args),
        machine: Machine::describe(),
        rounds: settings.rounds,
    };
    let section = report::section(&setting, &corpus.settings, &figures);
    println!("{section}");
    if args.write {
        report::write(&args.results, &section)?;
        eprintln!("written to {}", args.results.display());
    }
    Ok(())
}

/// What repeats this run: without paths, which differ from machine to machine.
fn command(args: &Args) -> String {
    let kind = if args.corpus == Kind::Hard { "hard" } else { "easy" };
    format!("--corpus {kind} --records {} --rounds {} --seed {}", args.records, args.rounds, args.seed)
}
