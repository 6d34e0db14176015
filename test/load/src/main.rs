//! `loglake-bench`: what Loglake costs on this machine, beside gzip alone.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use loglake_agent::parse_duration;
use loglake_load::args::{Loghub, Seed, Site, corpus, program, write_json};
use loglake_load::bench::{self, Figures, Settings};
use loglake_load::corpus::Kind;
use loglake_load::machine::{self, Machine};
use loglake_load::report::{self, Setting};
use loglake_load::send::Protocol;
use loglake_load::{compare, profile};
use loglake_model::{Clock as _, SystemClock, Timestamp};

/// Measures the server on a seeded corpus: CPU, memory, bytes at rest, acknowledgements and queries, beside gzip alone.
///
/// Starts `loglake dev` (or, with --stack, the three roles on real Kafka, Redis and MinIO) on free ports and a folder of its own,
/// sends the corpus over gRPC and over HTTP as fast as it is taken, stops the server so that everything is flushed, asks the set of
/// queries, and sends at half of that rate for the acknowledgements. Checks that every record was accepted and is there; asserts
/// nothing about time.
#[derive(Debug, Parser)]
#[command(name = "loglake-bench", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    loghub: Loghub,
    #[command(flatten)]
    seed: Seed,
    /// How many records.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    records: u64,
    /// How many rounds; medians are taken over them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Whether what varies in a line is drawn anew (hard) or repeats (easy).
    #[arg(long, value_enum, default_value = "hard")]
    corpus: Corpora,
    /// The protocols that are measured, with commas between. Queries are asked of what came over the first.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "grpc,http")]
    protocols: Vec<Protocol>,
    /// How long half of the measured rate is sent for the acknowledgements; 0s leaves this out.
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "SPAN")]
    half_for: Duration,
    /// Leaves the queries out.
    #[arg(long)]
    no_queries: bool,
    /// Samples with `perf` where the server's CPU goes, by stage and function. Build the server with `--profile bench-profile`
    /// (`make bench-profile` does), or its functions have no names. Sampling itself costs some CPU.
    #[arg(long)]
    profile: bool,
    /// Another server's program: both run in turn, and ratios are printed instead (`make bench-compare BASE=REVISION`).
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Writes all figures of all rounds as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Puts the figures at the top of the file of results.
    #[arg(long)]
    write: bool,
    /// The file of results.
    #[arg(long, default_value = "test/load/RESULTS.md", value_name = "FILE")]
    results: PathBuf,
}

const EXAMPLES: &str = "Examples:
  make bench                                                    the hard corpus, 1,000,000 records, 3 rounds: some minutes
  make bench BENCH='--corpus both --write'                      the easy corpus beside it; into RESULTS.md
  make bench BENCH='--stack'                                    through real Kafka, Redis and MinIO
  make bench BENCH='--records 100000 --rounds 1 --half-for 3s'  a quick look
  make bench-profile                                            where the CPU goes
  make bench-compare BASE=main~5                                two revisions in turn

Other programs and long builds on the machine show in every figure; floors and ratios suffer least.";

/// Which corpora are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Corpora {
    /// What varies is drawn anew.
    Hard,
    /// Lines repeat.
    Easy,
    /// First hard, then easy.
    Both,
}

impl Corpora {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Hard => &[Kind::Hard],
            Self::Easy => &[Kind::Easy],
            Self::Both => &[Kind::Hard, Kind::Easy],
        }
    }
}

#[derive(serde::Serialize)]
struct Report {
    setting: Setting,
    figures: Figures,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let base = args.base.as_deref().map(program).transpose()?;
    if args.profile {
        profile::check()?;
    }
    let binary = args.site.binary()?;
    let folder = args.site.folder()?;
    let settings = Settings {
        binary,
        scratch: args.site.scratch(),
        rounds: args.rounds as usize,
        protocols: args.protocols.clone(),
        stack: args.site.stack(folder.path())?,
        is_profiled: args.profile,
        half_for: args.half_for,
        is_queried: !args.no_queries,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let mut reports = Vec::new();
    for kind in args.corpus.kinds() {
        let corpus = corpus(*kind, args.records, args.seed.seed, &args.loghub.loghub)?;
        if let Some(base) = &base {
            let ratios = runtime.block_on(compare::run(&settings, base, &corpus))?;
            println!(
                "{} corpus, {} records, {} rounds\n\n{}",
                kind.name(),
                args.records,
                args.rounds,
                compare::table(&ratios)
            );
            if let Some(path) = &args.json {
                write_json(path, &ratios)?;
            }
            continue;
        }
        let figures = runtime.block_on(bench::run(&settings, &corpus))?;
        let setting = setting(&args, *kind);
        let section = report::section(&setting, &figures);
        println!("{section}");
        reports.push((section, Report { setting, figures }));
    }
    // The last one stands highest: the first, hard corpus.
    for (section, _) in reports.iter().rev().filter(|_| args.write) {
        report::write(&args.results, section)?;
    }
    if args.write && !reports.is_empty() {
        eprintln!("written to {}", args.results.display());
    }
    if let (Some(path), None) = (&args.json, &base) {
        write_json(path, &reports.iter().map(|(_, report)| report).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn setting(args: &Args, kind: Kind) -> Setting {
    let now = Timestamp(SystemClock.now_ns()).to_string();
    // What repeats this run: without paths, which differ from machine to machine.
    let mut command = format!(
        "--corpus {} --records {} --rounds {} --seed {}",
        kind.name(),
        args.records,
        args.rounds,
        args.seed.seed
    );
    if args.protocols != Protocol::ALL {
        command += &format!(" --protocols {}", report::flags(&args.protocols));
    }
    for (is_set, flag) in [(args.site.stack, "--stack"), (args.profile, "--profile"), (args.no_queries, "--no-queries")]
    {
        if is_set {
            command = format!("{command} {flag}");
        }
    }
    Setting {
        date: now.get(..10).unwrap_or_default().to_owned(),
        command,
        server: machine::revision(),
        machine: Machine::describe(),
        rounds: args.rounds as usize,
        is_stack: args.site.stack,
    }
}
