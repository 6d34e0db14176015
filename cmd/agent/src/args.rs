use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};
use loglake_agent::generate::{Bursts, LevelWeights, Plan, Services, Settings};
use loglake_agent::send::{Format, Source};
use loglake_agent::{Options, Target, TlsFiles, Token, parse_duration};
use loglake_model::Timestamp;

/// Ships logs to Loglake over gRPC, and makes realistic ones up for tests.
///
/// Every record is acknowledged only when it is durable. The exit code is 0 when all were accepted, 1 when any was not, 64
/// when the command line is wrong. A token is read from the environment (LOGLAKE_TOKEN) or from a file, never from the
/// command line.
#[derive(Debug, Parser)]
#[command(name = "loglake-agent", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sends files of text or NDJSON.
    #[command(after_help = SEND_EXAMPLES)]
    Send(SendArgs),
    /// Makes records up in the manner of real systems and sends or prints them.
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),
}

const SEND_EXAMPLES: &str = "Examples:
  Sixteen files, each its own service (Apache.log is the service Apache):
    loglake-agent send test/data/loghub/*.log
  With event times of your own, a millisecond apart:
    loglake-agent send --start 2026-01-01T00:00:00Z --step 1ms app.log
  What another program prints, as it comes:
    journalctl -f -o cat | loglake-agent send --service journal -
  A compressed file:
    zcat old.log.gz | loglake-agent send --service billing -

Text: each line is a message (one CR at its end is taken off, blank lines are skipped), its level the first level word
in it (`[error]`, `INFO`, `warning`). NDJSON: the keys timestamp, level, service, message, trace_id, span_id,
parent_span_id, host, tags and attributes, and the aliases that POST /v1/ingest takes; other keys become attributes.";

const GENERATE_EXAMPLES: &str = "Examples:
  A thousand records a second until Ctrl-C:
    loglake-agent generate
  A million records of the last six hours, as fast as the server takes them:
    loglake-agent generate --rate 0 --total 1000000 --span 6h --start 2026-01-01T06:00:00Z
  Ten times the rate for 5 seconds of every minute, more errors than usual:
    loglake-agent generate --rate 2000 --bursts 10:60s:5s --levels info=70,warn=20,error=10
  A corpus in a file, the same each time:
    loglake-agent generate --stdout --rate 0 --total 100000 --seed 7 --start 2026-01-01T00:00:00Z > corpus.ndjson";

#[derive(Debug, ClapArgs)]
pub(crate) struct SendArgs {
    /// Files to send, one after the other; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How lines are read.
    #[arg(long, value_enum, default_value = "auto")]
    format: Format,
    /// The service, where a line names none [default: the file's name without its extension].
    #[arg(long)]
    service: Option<String>,
    /// The host, where a line names none.
    #[arg(long, default_value = "", hide_default_value = true)]
    host: String,
    /// Event time of the first line that names none; lines are counted over all files [default: now].
    #[arg(long, value_name = "RFC3339", value_parser = parse_start)]
    start: Option<i64>,
    /// Event time between two such lines [default with --start: 1ms; else the time at which each is read].
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration)]
    step: Option<Duration>,
    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,
}

impl SendArgs {
    pub(crate) fn source(&self) -> Source {
        Source {
            files: self.files.clone(),
            format: self.format,
            service: self.service.clone(),
            host: self.host.clone(),
            start_ns: self.start,
            step: self.step,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GenerateArgs {
    /// Records a second; 0 is as fast as they are taken.
    #[arg(long, default_value = "1000", value_parser = parse_rate)]
    rate: f64,
    /// How many services, or their names between commas. The first speaks most.
    #[arg(long, default_value = "8")]
    services: Services,
    /// How often each level is: LEVEL=WEIGHT between commas [default: trace=5,debug=100,info=800,warn=60,error=34,fatal=1].
    #[arg(long, value_name = "WEIGHTS")]
    levels: Option<LevelWeights>,
    /// Bursts: FACTOR times the rate for the last LENGTH of EVERY period.
    #[arg(long, value_name = "FACTOR:EVERY:LENGTH")]
    bursts: Option<Bursts>,
    /// How many records a trace has, across services; 0 for no traces.
    #[arg(long, default_value_t = 5, value_name = "N")]
    trace_records: u64,
    /// Decides every draw: the same seed and settings give the same records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after so many records [default: never].
    #[arg(long, value_name = "N")]
    total: Option<u64>,
    /// Stop after so long [default: never].
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Event time of the first record [default: now].
    #[arg(long, value_name = "RFC3339", value_parser = parse_start)]
    start: Option<i64>,
    /// Spread the event times of --total records over such a length, such as 6h [default: as the rate says].
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration)]
    span: Option<Duration>,
    /// Print NDJSON on standard output instead of sending.
    #[arg(long)]
    pub(crate) stdout: bool,
    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,
}

impl GenerateArgs {
    pub(crate) fn plan(&self, now_ns: i64) -> Plan {
        Plan {
            settings: Settings {
                seed: self.seed,
                services: self.services.clone(),
                levels: self.levels.unwrap_or_default(),
                records_per_trace: self.trace_records,
            },
            rate: (self.rate > 0.0).then_some(self.rate),
            bursts: self.bursts,
            total: self.total,
            duration: self.duration,
            start_ns: self.start.unwrap_or(now_ns),
            span: self.span,
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Delivery")]
pub(crate) struct DeliveryArgs {
    /// The servers' gRPC addresses, between commas or each with its own --server: any ingestors of one cluster. Another one is
    /// tried when one does not answer; what has no answer yet goes there in the same session, so that it counts once.
    #[arg(
        long,
        env = "LOGLAKE_SERVER",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL",
        value_delimiter = ','
    )]
    server: Vec<String>,
    /// A file that holds the token and nothing else [default: the environment's LOGLAKE_TOKEN, if any].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A PEM file of the authorities that an https:// server's certificate may come from [default: the system's].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A PEM file with a client certificate, for a server that asks for one; it stands for a token there.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// A PEM file with its private key.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    key_file: Option<PathBuf>,
    /// The tenant, on a server without tokens; elsewhere it must be the token's.
    #[arg(long)]
    tenant: Option<String>,
    /// Records a batch at most.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch_records: u32,
    /// How long the first record of a batch waits for others.
    #[arg(long, default_value = "100ms", value_name = "LENGTH", value_parser = parse_duration)]
    batch_interval: Duration,
    /// Batches that may be under way without a result.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    in_flight: u32,
    /// How long a server that does not answer is tried again.
    #[arg(long, default_value = "60s", value_name = "LENGTH", value_parser = parse_duration)]
    retry_for: Duration,
    /// No progress on standard error.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// A batch is cut at this many bytes: well within what a server takes in flight.
const BATCH_BYTES: usize = 1024 * 1024;
/// A result that takes longer than this is not coming.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

impl DeliveryArgs {
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let token = match &self.token_file {
            Some(path) => Some(Token::from_file(path)?),
            None => {
                std::env::var("LOGLAKE_TOKEN").ok().filter(|text| !text.trim().is_empty()).map(|text| Token::new(&text))
            }
        };
        let identity = self.certificate_file.clone().zip(self.key_file.clone());
        let tls = TlsFiles { ca: self.ca_file.clone(), identity };
        Target::new(&self.server.join(","), &tls, token.as_ref(), self.tenant.as_deref())
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            in_flight: self.in_flight as usize,
            retry_for: self.retry_for,
            answer_timeout: ANSWER_TIMEOUT,
            jitter_seed: 0,
        }
    }

    pub(crate) fn batch_records(&self) -> usize {
        self.batch_records as usize
    }

    pub(crate) fn batch_bytes(&self) -> usize {
        BATCH_BYTES
    }

    pub(crate) fn batch_interval(&self) -> Duration {
        self.batch_interval
    }
}

fn parse_start(text: &str) -> Result<i64, String> {
    Timestamp::parse(text).map(|timestamp| timestamp.0).map_err(|error| error.to_string())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1e9).contains(&rate) => Ok(rate),
        _ => Err("records a second, between 0 and 1e9".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Args::command().debug_assert();
        let args =
            Args::try_parse_from(["loglake-agent", "generate", "--rate", "0", "--total", "5", "--levels", "info=1"])
                .unwrap();
        let Command::Generate(generate) = args.command else { panic!("not generate") };
        let plan = generate.plan(7);
        assert_eq!((plan.rate, plan.total, plan.start_ns), (None, Some(5), 7));
        for bad in [
            &["send"][..],
            &["generate", "--rate", "-1"],
            &["send", "--token", "x", "f"],
            &["send", "--start", "x", "f"],
        ] {
            let words = std::iter::once(&"loglake-agent").chain(bad);
            assert!(Args::try_parse_from(words).is_err(), "{bad:?}");
        }
    }
}
