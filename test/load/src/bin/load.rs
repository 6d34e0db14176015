//! `loglake-load`: a load test of ingest, and one of queries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use loglake_agent::{parse_duration, thousands};
use loglake_load::args::{Loghub, Seed, Site, corpus, write_json};
use loglake_load::bench::Site as Data;
use loglake_load::corpus::{Corpus, Kind};
use loglake_load::send::{IN_FLIGHT, Job, Pace, Protocol, send};
use loglake_load::server::{Server, Urls};
use loglake_load::{load, mix, noisy};
use loglake_model::{Clock as _, SystemClock};

/// Loads a server and tells how it holds: rates, acknowledgements, freshness, drops; latencies of queries.
///
/// Starts `loglake dev` (or, with --stack, the three roles on real Kafka, Redis and MinIO) on free ports and a folder of its own, or
/// loads one that runs already, on this machine, in open mode. Ends with 1 when a record that was acknowledged is not returned.
#[derive(Debug, Parser)]
#[command(name = "loglake-load", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "Examples:
  loglake-load ingest                                      all that the server takes, 30 s by gRPC, then 30 s by HTTP
  loglake-load ingest --rate 20000 --duration 5m           at a rate
  loglake-load ingest --rate 50000 --stack                 through real Kafka, Redis and MinIO
  loglake-load ingest --rate 1000 --grpc-url http://127.0.0.1:50051 --http-url http://127.0.0.1:4318 \\
      --query-url http://127.0.0.1:8080                    a server that runs already (`make run`)
  loglake-load noisy                                       a tenant at 20 times its quota, beside a quiet one
  loglake-load query                                       1,000,000 records; the mix at 80 % of what saturates
  loglake-load query --rate 200 --with-ingest 20000        at a rate, while records come in";

#[derive(Debug, Subcommand)]
enum What {
    /// Sends records for a while, and checks that all that was acknowledged is there.
    Ingest(Ingest),
    /// Measures what a tenant that passes its limits costs another one.
    Noisy(Noisy),
    /// Asks a mix of queries: 40 % the newest, 25 % a trace, 20 % a word or substring, 14 % a histogram, 1 % a regex.
    Query(Query),
}

#[derive(Debug, clap::Args)]
struct Ingest {
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    loghub: Loghub,
    #[command(flatten)]
    seed: Seed,
    #[command(flatten)]
    running: Running,
    /// The protocols, one after the other, with commas between.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "grpc,http")]
    protocols: Vec<Protocol>,
    /// Records a second [default: all that the server takes].
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// For how long, each protocol.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "SPAN")]
    duration: Duration,
    /// Different records; they are sent again when they end.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    records: u64,
    /// Writes the figures as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A server that runs already: all three, or none.
#[derive(Debug, clap::Args)]
struct Running {
    /// gRPC ingest of a server that runs already on this machine, in open mode. It gets a tenant of its own.
    #[arg(long, value_name = "URL", requires_all = ["http_url", "query_url"], conflicts_with_all = ["stack", "scratch"])]
    grpc_url: Option<String>,
    /// Its HTTP ingest.
    #[arg(long, value_name = "URL", requires = "grpc_url")]
    http_url: Option<String>,
    /// Its queries.
    #[arg(long, value_name = "URL", requires = "grpc_url")]
    query_url: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Noisy {
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    loghub: Loghub,
    #[command(flatten)]
    seed: Seed,
    /// Records a second that the noisy tenant may send.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(500..=1_000_000))]
    quota: u64,
    /// How many times its quota it sends.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=1_000))]
    times: u64,
    /// How long each of the two parts lasts.
    #[arg(long, default_value = "20s", value_parser = parse_duration, value_name = "SPAN")]
    duration: Duration,
    /// Different records; they are sent again when they end.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    records: u64,
    /// Writes the figures as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Query {
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    loghub: Loghub,
    #[command(flatten)]
    seed: Seed,
    /// How many records the queries are over; flushed before they begin.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    records: u64,
    /// Queries a second [default: 80 % of what saturates the server].
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Clients that saturate the server, each waiting for its answer.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    clients: u16,
    /// How long each of the two parts lasts.
    #[arg(long, default_value = "20s", value_parser = parse_duration, value_name = "SPAN")]
    duration: Duration,
    /// Records a second that come in over gRPC while queries are asked at a rate.
    #[arg(long, value_parser = rate, value_name = "RATE")]
    with_ingest: Option<f64>,
    /// Writes the figures as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 =
        text.replace('_', "").parse().map_err(|_| "a number of things a second, such as 20000".to_owned())?;
    if (0.1..=10_000_000.0).contains(&rate) { Ok(rate) } else { Err("between 0.1 and 10,000,000".to_owned()) }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    match args.what {
        What::Ingest(ingest) => runtime.block_on(load_ingest(&ingest)),
        What::Noisy(noisy) => runtime.block_on(load_noisy(&noisy)),
        What::Query(query) => runtime.block_on(load_queries(&query)),
    }
}

async fn load_ingest(args: &Ingest) -> anyhow::Result<()> {
    let running = running(&args.running);
    let binary = if running.is_some() { PathBuf::new() } else { args.site.binary()? };
    let corpus = corpus(Kind::Hard, args.records, args.seed.seed, &args.loghub.loghub)?;
    if let Some(urls) = running {
        // Of its own: what was there before is not counted.
        let tenant = format!("load-{}", SystemClock.now_ns() / 1_000_000_000);
        eprintln!("the tenant of this load is {tenant}");
        ingest_into(args, &corpus, &urls, Some(tenant)).await?;
        return Ok(());
    }
    let servers = args.site.folder()?;
    let stack = args.site.stack(servers.path())?;
    let data = Data::of(stack.as_ref(), &args.site.scratch(), "load")?;
    let server = data.start_binary(&binary).await?;
    let urls = server.urls().clone();
    let held = ingest_into(args, &corpus, &urls, None).await?;
    server.wait_until_consumed(held.values().sum()).await?;
    server.stop().await?;
    let server = data.start_binary(&binary).await?;
    load::check(&held, server.urls(), None).await.context("after a restart, everything flushed")?;
    server.stop().await?;
    eprintln!("flushed, restarted, and all of it is there");
    Ok(())
}

/// Where a server runs already, if one was named.
fn running(args: &Running) -> Option<Urls> {
    let Running { grpc_url: Some(grpc), http_url: Some(http), query_url: Some(query) } = args else { return None };
    let trim = |url: &String| url.trim_end_matches('/').to_owned();
    Some(Urls { grpc: trim(grpc), http: trim(http), query: trim(query) })
}

/// The load itself; returns what the server must hold, by service.
async fn ingest_into(
    args: &Ingest,
    corpus: &Arc<Corpus>,
    urls: &Urls,
    tenant: Option<String>,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let (mut held, mut outcomes) = (BTreeMap::new(), Vec::new());
    for protocol in args.protocols.iter().copied() {
        let job = Job {
            protocol,
            pace: args.rate.map_or(Pace::Saturate(IN_FLIGHT), Pace::Rate),
            batches: usize::MAX,
            for_at_most: Some(args.duration),
            tenant: tenant.clone(),
        };
        eprintln!("sending over {} for {:.0} s", protocol.name(), args.duration.as_secs_f64());
        outcomes.push(load::run(corpus, urls, &job, &mut held).await?);
        load::check(&held, urls, tenant.as_deref()).await?;
    }
    print!("{}", load::table(&outcomes, args.duration));
    println!("\n{} records were acknowledged, and all of them are returned.", thousands(held.values().sum()));
    if let Some(path) = &args.json {
        write_json(path, &outcomes)?;
    }
    let broken: usize = outcomes.iter().map(|outcome| outcome.freshness.late + outcome.freshness.lost).sum();
    ensure!(broken == 0, "{broken} probes were not returned by the first query after their acknowledgement");
    Ok(held)
}

async fn load_noisy(args: &Noisy) -> anyhow::Result<()> {
    let binary = args.site.binary()?;
    let corpus = corpus(Kind::Hard, args.records, args.seed.seed, &args.loghub.loghub)?;
    let servers = args.site.folder()?;
    let stack = args.site.stack(servers.path())?;
    let data = Data::of(stack.as_ref(), &args.site.scratch(), "noisy")?;
    let server = data.start_binary(&binary).await?;
    let settings = noisy::Settings { quota: args.quota, times: args.times, span: args.duration };
    let outcome = noisy::run(settings, &corpus, server.urls()).await?;
    print!("{}", noisy::table(settings, &outcome));
    if let Some(path) = &args.json {
        write_json(path, &outcome)?;
    }
    server.stop().await?;
    Ok(())
}

async fn load_queries(args: &Query) -> anyhow::Result<()> {
    let binary = args.site.binary()?;
    let corpus = corpus(Kind::Hard, args.records, args.seed.seed, &args.loghub.loghub)?;
    let servers = args.site.folder()?;
    let stack = args.site.stack(servers.path())?;
    let data = Data::of(stack.as_ref(), &args.site.scratch(), "query")?;
    let server = filled(&binary, &data, &corpus).await?;
    let urls = server.urls().clone();
    let pool = Arc::new(mix::Pool::gather(&corpus, &urls).await?);
    let seed = args.seed.seed;
    let saturated = mix::saturate(&pool, &urls, usize::from(args.clients), args.duration, seed).await?;
    println!("{}", mix::table(&format!("saturated by {} clients", args.clients), &saturated));
    let rate = args.rate.unwrap_or(saturated.rate * 0.8);
    let background = args.with_ingest.map(|rate| {
        let job = Job {
            protocol: Protocol::Grpc,
            pace: Pace::Rate(rate),
            batches: usize::MAX,
            for_at_most: Some(args.duration),
            tenant: None,
        };
        let (corpus, urls) = (Arc::clone(&corpus), urls.clone());
        tokio::spawn(async move { send(&corpus, &urls, &job).await })
    });
    let loaded = mix::at_rate(&pool, &urls, rate, args.duration, seed).await?;
    let mut title = format!("at {rate:.0} a second wanted");
    if let Some(background) = background {
        let sent = background.await.context("the ingest panicked")??;
        title += &format!(", beside {} records/s", thousands(sent.rate() as u64));
    }
    println!("{}", mix::table(&title, &loaded));
    server.stop().await?;
    if let Some(path) = &args.json {
        write_json(path, &[saturated, loaded])?;
    }
    Ok(())
}

/// A server that holds the corpus, flushed and started again.
async fn filled(binary: &std::path::Path, data: &Data, corpus: &Arc<Corpus>) -> anyhow::Result<Server> {
    let server = data.start_binary(binary).await?;
    let sent = send(corpus, server.urls(), &Job::whole(Protocol::Grpc, corpus)).await?;
    server.wait_until_consumed(sent.acknowledged).await?;
    server.stop().await?;
    data.start_binary(binary).await
}
