//! `loglake-scale`: how cost grows with records, tenants and services.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use loglake_load::args::{Loghub, Seed, Site, corpus, write_json};
use loglake_load::bench::Settings;
use loglake_load::corpus::Kind;
use loglake_load::scale;
use loglake_load::send::Protocol;
use loglake_load::tenants::{self, Many};

/// Measures how cost grows: with the number of records, or with that of tenants and services.
#[derive(Debug, Parser)]
#[command(name = "loglake-scale", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "Examples:
  loglake-scale records                            1 and 4 million: queries, index and footers
  loglake-scale records --sizes 1000000,16000000   takes 16 GB of disk and 24 GB of memory
  loglake-scale tenants                            1,000 tenants with 20 services each
  loglake-scale tenants --stack                    the same on real Kafka, Redis and MinIO: the index in Redis";

#[derive(Debug, Subcommand)]
enum What {
    /// The same corpus at several sizes.
    Records(Records),
    /// Many tenants with many services, a few records of each, in one window.
    Tenants(Tenants),
}

#[derive(Debug, clap::Args)]
struct Records {
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    loghub: Loghub,
    #[command(flatten)]
    seed: Seed,
    /// How many records, with commas between. Each costs about 1 KB of this program's memory and of the disk.
    #[arg(long, value_delimiter = ',', default_value = "1000000,4000000",
        value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    sizes: Vec<u64>,
    /// Writes the figures as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Tenants {
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    loghub: Loghub,
    #[command(flatten)]
    seed: Seed,
    /// How many tenants.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    tenants: u16,
    /// Services of each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=100))]
    services: u16,
    /// Records of each service.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    records: u16,
    /// Writes the figures as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    match args.what {
        What::Records(records) => runtime.block_on(by_records(&records)),
        What::Tenants(tenants) => runtime.block_on(by_tenants(&tenants)),
    }
}

async fn by_records(args: &Records) -> anyhow::Result<()> {
    let binary = args.site.binary()?;
    let servers = args.site.folder()?;
    let settings = Settings {
        binary,
        scratch: args.site.scratch(),
        rounds: 1,
        protocols: vec![Protocol::Grpc],
        stack: args.site.stack(servers.path())?,
        is_profiled: false,
        half_for: Duration::ZERO,
        is_queried: true,
    };
    let mut steps = Vec::new();
    for size in &args.sizes {
        let corpus = corpus(Kind::Hard, *size, args.seed.seed, &args.loghub.loghub)?;
        steps.push(scale::step(&settings, &corpus).await?);
    }
    print!("{}", scale::table(&steps));
    if let Some(path) = &args.json {
        write_json(path, &steps)?;
    }
    Ok(())
}

async fn by_tenants(args: &Tenants) -> anyhow::Result<()> {
    let binary = args.site.binary()?;
    let (services, records) = (usize::from(args.services), usize::from(args.records));
    let size = (services * records).next_multiple_of(1_000) as u64;
    let corpus = corpus(Kind::Hard, size, args.seed.seed, &args.loghub.loghub)?;
    let servers = args.site.folder()?;
    let many = Many {
        binary,
        scratch: args.site.scratch(),
        stack: args.site.stack(servers.path())?,
        tenants: usize::from(args.tenants),
        services,
        records,
    };
    let found = tenants::run(&many, &corpus).await?;
    print!("{}", tenants::table(&found));
    if let Some(path) = &args.json {
        write_json(path, &found)?;
    }
    Ok(())
}
