use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use loglake_service::Sources;
use loglake_service::config::Value as _;

const PLACE: &str = "\
Which lake:
  --data DIR (or LOGLAKE_DATA)   the data folder of `loglake dev`
  --config FILE, or S3_BUCKET    a cluster: bucket, index and broker as its roles have them
  nothing at all                 the data folder ./data";

const FSCK: &str = "\
Examples:
  loglake admin fsck                         checks ./data, its index too if it is not running
  loglake admin fsck --config loglake.toml   checks a cluster while it runs
  loglake admin fsck --deep                  reads every byte, counts every record
  loglake admin fsck --repair                mends the index, removes half-written files
  loglake admin fsck --json | jq .findings   for scripts

Exits with 0 when no fault stands, 1 when one does, 2 when the check could not be made, and 64
for a wrong command line or configuration. What each finding means: docs/admin.md";

const REINDEX: &str = "\
Examples:
  loglake admin reindex --config loglake.toml                 all partitions
  loglake admin reindex --config loglake.toml --partition 3   one

The index is read from the bucket alone and replaced partition by partition, each in one step:
queries go on and see the old index or the new one.

Exits with 0 when all was done, 1 when a partition could not be, 2 when it could not begin.";

const FLUSH: &str = "\
Examples:
  loglake admin flush                         `loglake dev` on ./data, which must run
  loglake admin flush --config loglake.toml   every processor of a cluster
  loglake admin flush --partition 3 --wait 10s

What was acknowledged before the call is in chunks when it returns. Needs the cluster secret.
Processors are found through the index; `loglake dev` is asked at processor.tail_listen, or at
--tail.

Exits with 0 when all was flushed, 1 when something was not, 2 when nobody could be asked.";

const REDRIVE: &str = "\
Examples:
  loglake admin quarantine redrive --dry-run --config loglake.toml   what would be done
  loglake admin quarantine redrive --config loglake.toml             does it
  loglake admin quarantine redrive --data data                       stop `loglake dev` first

Messages that this program can read are appended to the broker again; their records get new ids.
It may be stopped and run again at any time: each message goes in once.

Exits with 0 when all was done, 1 when an object could not be, 2 when it could not begin.";

fn with_place(text: &str) -> String {
    [text, "\n\n", PLACE].concat()
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Checks that what is stored is whole: chains, chunks, quarantine and index.
    #[command(after_help = FSCK, after_long_help = with_place(FSCK))]
    Fsck(FsckArgs),
    /// Builds the index anew from the bucket, while queries go on.
    #[command(after_help = REINDEX, after_long_help = with_place(REINDEX))]
    Reindex(ReindexArgs),
    /// Asks running processors to flush now, and waits for it.
    #[command(after_help = FLUSH, after_long_help = with_place(FLUSH))]
    Flush(FlushArgs),
    /// Messages that could not be read.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Lists them with their reasons.
    #[command(after_long_help = PLACE)]
    List(ListArgs),
    /// Puts those that can be read now into the log again.
    #[command(after_help = REDRIVE, after_long_help = with_place(REDRIVE))]
    Redrive(RedriveArgs),
}

#[derive(Args, Debug)]
pub(crate) struct FsckArgs {
    /// Reads every byte of every chunk: counts records, checks each line, and that no record is there twice.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Mends what can be mended safely: the index and half-written files. Never deletes or changes an object.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Looks at the bucket only: for when the index cannot be reached.
    #[arg(long, conflicts_with = "repair")]
    pub(crate) bucket_only: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReindexArgs {
    /// Only this partition; may be given several times.
    #[arg(long, value_name = "N")]
    pub(crate) partition: Vec<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct FlushArgs {
    /// Only this partition; may be given several times.
    #[arg(long, value_name = "N")]
    pub(crate) partition: Vec<u32>,
    /// How long to wait at most, up to 10m.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = Duration::read)]
    pub(crate) wait: Duration,
    /// Asks the processor at this address only, host:port, and no index.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tail: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RedriveArgs {
    /// Only says what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// Prints one JSON document on the standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Shows no progress on the standard error stream.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Which lake it is about.
#[derive(Args, Debug)]
pub(crate) struct PlaceArgs {
    /// The data folder of `loglake dev` [env: LOGLAKE_DATA]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A cluster's TOML file [env: LOGLAKE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets a key over the file and the environment; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl From<PlaceArgs> for Sources {
    fn from(args: PlaceArgs) -> Self {
        let process = Self::of_process();
        Self { file: args.config.or(process.file.clone()), sets: args.set, data: args.data, ..process }
    }
}
